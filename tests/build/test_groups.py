"""Groups kept beside an SAE: what is stored is what was found, and damage or another index is no answer."""

import shutil

import numpy as np
import pytest

from sae_core.analysis.groups import GROUP, SINGLE, absorption_of, groups_beside
from sae_core.build.groups import store_groups
from sae_core.files.errors import ArtifactError
from sae_core.measures.attributes import attribute_targets
from sae_core.measures.groups import find_groups
from sae_core.workspace.workspace import Workspace

PLAIN = "synthetic-topk-64-k8-s1"


@pytest.fixture(scope="module")
def folder(small_workspace, tmp_path_factory):
    folder = shutil.copytree(small_workspace, tmp_path_factory.mktemp("groups") / "w")
    assert store_groups(folder, [PLAIN]) == [PLAIN]
    return folder


def test_what_is_kept_is_what_was_found(folder):
    view = Workspace(folder).sae(PLAIN)
    kept = view.groups()
    target = attribute_targets(view.workspace.corpus, view.embeddings.is_valid)[0]
    first = view.statistics.predominant(target.attribute, target.value)
    found = find_groups(view.codes, target, view.workspace.corpus.speaker_groups, first)
    for size, group in found.groups.items():
        again = kept.group(target.attribute, target.value, size)
        np.testing.assert_array_equal(again.latents, group.latents)
        np.testing.assert_allclose(again.weights, group.weights)
        assert again.threshold == group.threshold
        line = kept.table[(kept.table["value"] == target.value) & (kept.table["n_latents"] == size)].iloc[0]
        assert line["f1"] == pytest.approx(found.measures[size]["f1"])
    strongest = view.group_examples(again).strongest
    assert (np.diff(strongest.activations) <= 0).all() and strongest.activations[0] == again.activations(
        view.codes
    ).max()
    with pytest.raises(ValueError, match="no group of 3"):
        kept.group(target.attribute, target.value, 3)


def test_groups_stand_beside_the_single_latent(folder):
    view = Workspace(folder).sae(PLAIN)
    table = groups_beside(view)
    for _, some in table.groupby(["attribute", "value"]):
        single = some[some["kind"] == SINGLE].iloc[0]
        one = some[(some["kind"] == GROUP) & (some["n_latents"] == 1)].iloc[0]
        # the same latent; where its threshold lies between two activations may differ
        assert one["f1"] == pytest.approx(single["f1"], abs=0.02)
        assert some["n_needed"].iloc[0] in (1, 2, 4, 8, 16)
    with pytest.raises(ArtifactError, match="no groups"):
        groups_beside(view.workspace.sae("synthetic-matryoshka-64-k8-s1"))


def test_damaged_groups_are_no_answer_and_made_again(folder):
    file = folder / "saes" / PLAIN / "group_latents.parquet"
    before = file.stat().st_mtime_ns
    store_groups(folder, [PLAIN])
    assert file.stat().st_mtime_ns == before
    file.write_bytes(b"lost")
    assert Workspace(folder).sae(PLAIN).groups() is None
    store_groups(folder, [PLAIN])
    assert Workspace(folder).sae(PLAIN).groups() is not None


def test_absorbed_clips_carry_the_value_and_are_missed_by_its_latent(folder):
    view = Workspace(folder).sae(PLAIN)
    for line in view.predominant_latents().itertuples():
        found = absorption_of(view, line.attribute, line.value)
        rows = found.clips["row"].to_numpy()
        assert view.workspace.corpus.has_value(line.attribute, line.value)[rows].all()
        assert (view.codes.dense(rows)[:, line.latent] <= line.threshold).all()
        assert len(rows) <= found.n_missed == round((1 - line.recall) * found.n_positive)
