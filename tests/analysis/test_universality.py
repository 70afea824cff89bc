"""SAEs side by side on a workspace with planted truth."""

import numpy as np
import pytest

from sae_core.analysis import universality
from sae_core.analysis.universality import (
    clips_to_match,
    counterparts,
    latents_elsewhere,
    match_saes,
    matched_fractions,
    values_by_sae,
)
from sae_core.sae.config import SaeConfig
from sae_core.workspace.workspace import Workspace

PLAIN, NESTED = "synthetic-topk-64-k8-s1", "synthetic-matryoshka-64-k8-s1"


@pytest.fixture(scope="module")
def views(small_workspace):
    workspace = Workspace(small_workspace)
    return workspace.sae(PLAIN), workspace.sae(NESTED)


def test_an_sae_is_all_in_itself_and_in_another_in_part(views):
    plain, nested = views
    itself = match_saes(plain, plain, clips="all")
    is_active = itself.one["n_active"] > 0
    np.testing.assert_allclose(itself.one["correlation"][is_active], 1, atol=1e-5)
    assert (itself.one["partner"] == itself.one["latent"])[is_active].all()
    table = matched_fractions(views)
    assert list(table["sae"]) == [PLAIN, NESTED] and (table["one_to_one"] <= table["fraction"]).all()
    assert table["fraction"].between(0.05, 0.99).all()
    assert match_saes(plain, nested) is match_saes(plain, nested)


def test_unseen_speakers_are_none_of_training(views):
    split = views[0].workspace.corpus.table["split"]
    assert set(split[clips_to_match(*views, "unseen speakers")]) == {"selection", "held-out"}
    assert clips_to_match(*views, "all").all()


def test_universal_latents_are_those_that_every_other_sae_has(views):
    plain, nested = views
    found = match_saes(plain, nested)
    table = latents_elsewhere(plain, [nested]).set_index("latent")
    assert set(table.index) == set(found.one["latent"][found.one["n_active"] > 0])
    is_matched = (found.one["correlation"] >= found.threshold_at(0.01)) & (found.one["correlation"] > 0)
    assert set(table.index[table["is_universal"]]) == set(found.one["latent"][is_matched])
    assert (
        table[NESTED][table["is_universal"]] == found.one["best"][table.index[table["is_universal"]]]
    ).all()
    assert table["name"].iloc[0] == plain.name_of(int(table.index[0]))


def test_a_row_for_each_value_and_sae_is_what_the_sae_says(views):
    plain, nested = views
    table = values_by_sae(plain.workspace)
    assert set(table["sae"]) == {PLAIN, NESTED}
    line = table[table["sae"] == PLAIN].iloc[0]
    own = (
        plain.predominant_latents().set_index(["attribute", "value"]).loc[(line["attribute"], line["value"])]
    )
    assert (line["latent"], line["f1"], line["is_confirmed"]) == (
        own["latent"],
        own["f1"],
        own["is_confirmed"],
    )
    assert len(table) == 2 * len(nested.predominant_latents())


def test_matches_are_the_same_seen_from_either_side(views):
    plain, nested = views
    one, other = match_saes(plain, nested), match_saes(nested, plain)
    assert other.turned().one.equals(one.one) and other.null_one.equals(one.null_other)
    np.testing.assert_array_equal(one.fractions()["best_of_other"], other.fractions()["best_of_one"])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # of each other encoder the one most like it: variant before size
        ("a-topk-64-k8", ["b-topk-128-k8", "c-matryoshka-64-k8"]),
        ("b-topk-128-k8", ["a-topk-64-k8", "c-matryoshka-64-k8"]),
    ],
)
def test_other_encoders_are_compared_with_first(views, monkeypatch, name, expected):
    names = ["a-topk-64-k8", "a-topk-64-k8-s1", "b-topk-128-k8", "b-matryoshka-64-k8", "c-matryoshka-64-k8"]
    assert counterparts(_listing(views[0].workspace, monkeypatch, names), name) == expected


def test_of_one_encoder_seeds_are_compared_with_first_then_what_is_most_like_it(views, monkeypatch):
    names = ["a-topk-64-k8", "a-topk-64-k8-s1", "a-topk-64-k8-s2", "a-topk-128-k8", "a-matryoshka-64-k8"]
    workspace = _listing(views[0].workspace, monkeypatch, names)
    assert counterparts(workspace, "a-topk-64-k8") == ["a-topk-64-k8-s1", "a-topk-64-k8-s2"]
    assert counterparts(workspace, "a-topk-128-k8")[0].startswith("a-topk-64-k8")
    assert counterparts(workspace, "a-matryoshka-64-k8")[0] == "a-topk-64-k8"


def _listing(workspace, monkeypatch, names):
    """The workspace as if it held these SAEs, named embedder-variant-L-kk-sseed."""

    def config(_, name):
        _, variant, n_latents, k, *seed = name.split("-")
        return SaeConfig(
            dim=16,
            variant=variant,
            n_latents=int(n_latents),
            k=int(k[1:]),
            seed=int(seed[0][1:]) if seed else 0,
        )

    monkeypatch.setattr(universality, "_config_of", config)
    monkeypatch.setattr(type(workspace), "sae_names", lambda _: names)
    monkeypatch.setattr(type(workspace), "embeddings_of", lambda _, name: name.split("-")[0])
    return Workspace(workspace.path)
