"""Whether an SAE has a latent for a value has one answer, wherever it is asked."""

import numpy as np
import pytest

from sae_core.analysis.map_colours import UNNAMED, group_by_detected_value
from sae_core.analysis.movement import best_active_set
from sae_core.analysis.steering_experiment import steering_presets
from sae_core.build.sweep import tabulate_saes
from sae_core.measures.attributes import SOURCE_ATTRIBUTE
from sae_core.workspace.workspace import open_workspace


@pytest.fixture(scope="module")
def workspace(small_workspace):
    return open_workspace(small_workspace)


def pairs(table, columns=("attribute", "value")):
    return set(table[list(columns)].itertuples(index=False, name=None))


def test_overview_sweep_presets_and_names_confirm_the_same_values(workspace):
    swept = tabulate_saes(workspace)
    swept = swept[swept["attribute"] != SOURCE_ATTRIBUTE]
    n_confirmed = 0
    for name in workspace.sae_names():
        view, mine = workspace.sae(name), swept[swept["sae"] == name]
        best = view.predominant_latents()
        confirmed = pairs(best[best["is_confirmed"]])
        assert pairs(mine[mine["is_confirmed"]]) == confirmed
        presets = steering_presets(view, n=99)
        assert {(found.attribute, found.value) for found in presets if found.is_confirmed} == confirmed
        named = view.latents[view.latents["is_named"]]
        assert pairs(named, ("best_attribute", "best_value")) <= confirmed
        assert set(best.loc[best["is_confirmed"], "latent"]) <= set(named["latent"])
        colours = {group.key for group in group_by_detected_value(view, np.arange(view.n_latents)).groups}
        assert colours - {UNNAMED} <= {"=".join(value) for value in confirmed}
        n_confirmed += len(confirmed)
    assert n_confirmed


def test_the_latent_that_movement_and_steering_begin_with_is_the_one_that_was_judged(workspace):
    view = workspace.sae(workspace.sae_names()[0])
    presets = {(found.attribute, found.value): found for found in steering_presets(view, n=99)}
    for line in view.predominant_latents().itertuples():
        value = (line.attribute, line.value)
        choice = best_active_set(view, *value)
        assert (choice.latent, choice.threshold) == (line.latent, pytest.approx(line.threshold))
        if value in presets:
            assert presets[value].latents[0] == line.latent


@pytest.mark.slow
def test_in_the_demo_spanish_has_one_verdict_wherever_one_asks(tmp_path):
    """Spanish is confirmed on Whisper's embeddings, by the latent that selection speakers chose, and not on GE2E's."""
    from sae_core.analysis.first_value import first_value
    from sae_core.demo.bundle import unpack_demo

    workspace = open_workspace(unpack_demo(tmp_path / "demo"))
    view = workspace.sae(workspace.sae_names()[0])
    assert view.embeddings.name == "whisper"
    best = view.predominant_latents().set_index("value")
    confirmed = set(best.index[best["is_confirmed"]])
    assert {"en", "es", "music"} <= confirmed
    spanish = int(best.loc["es", "latent"])
    assert view.latents.loc[spanish, "best_value"] == "es" and bool(view.latents.loc[spanish, "is_named"])
    assert first_value(view) == ("language", "es")
    presets = {preset.value: preset for preset in steering_presets(view) if preset.is_confirmed}
    assert presets["es"].latents[0] == spanish
    assert view.name_of(spanish) == f"#{spanish} es"
    other = workspace.sae("ge2e-matryoshka-1024-k16").predominant_latents().set_index("value")
    assert not other.loc["es", "is_confirmed"] and other.loc["female", "is_confirmed"]
