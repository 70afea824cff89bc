"""SAEs side by side on a workspace with planted truth."""

import numpy as np
import pytest

from sae_core.analysis.universality import (
    clips_to_match,
    latents_elsewhere,
    match_saes,
    matched_fractions,
    values_by_sae,
)
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
