"""The verdict of a latent: what the parts say that it is made of."""

import dataclasses
import shutil

import pytest

from sae_core.analysis import verdict
from sae_core.analysis.universality import match_saes
from sae_core.analysis.verdict import OneOrGroup, counterparts_of, is_quick_to_match, one_or_group, seeds_with
from sae_core.build.groups import store_groups
from sae_core.workspace.workspace import Workspace

PLAIN, NESTED = "synthetic-topk-64-k8-s1", "synthetic-matryoshka-64-k8-s1"


@pytest.fixture(scope="module")
def view(small_workspace, tmp_path_factory):
    folder = shutil.copytree(small_workspace, tmp_path_factory.mktemp("verdict") / "w")
    store_groups(folder, [PLAIN])
    return Workspace(folder).sae(PLAIN)


def test_a_latent_stands_beside_the_smallest_group_that_comes_near_the_best(view):
    latent = int(view.latents["best_f1"].idxmax())
    found, facts = one_or_group(view, latent), view.latents.iloc[latent]
    assert (found.attribute, found.value) == (facts["best_attribute"], facts["best_value"])
    table = view.groups().table.query("attribute == @found.attribute and value == @found.value")
    f1 = table.set_index("n_latents")["f1"]
    assert found.n_latents == min(n for n in f1.index if f1[n] >= f1.max() - 0.02)
    assert found.group_f1 == f1[found.n_latents] and found.f1 == pytest.approx(facts["best_f1"])
    assert one_or_group(view.workspace.sae(NESTED), 0) is None, "no groups are kept"


def test_one_latent_is_enough_unless_a_group_is_clearly_better():
    one = OneOrGroup("language", "es", 0.80, 4, 0.81, 0.7, 0.9)
    assert one.is_enough and not dataclasses.replace(one, group_f1=0.83).is_enough


def test_a_counterpart_counts_from_what_chance_reaches(view, monkeypatch):
    other = view.workspace.sae(NESTED)
    found = match_saes(view, other)
    is_found = [counterparts_of(view, latent, [other])[0].is_found for latent in range(view.n_latents)]
    assert is_found == list((found.one["correlation"] >= found.threshold_at(0.01)) & (found.one["best"] >= 0))
    assert any(is_found) and not all(is_found)
    assert is_quick_to_match(view, [other])
    monkeypatch.setattr(verdict, "MAX_PRODUCTS", 600 * 8 * 8)
    assert not is_quick_to_match(view, [other])
    assert seeds_with(view, 0) is None
