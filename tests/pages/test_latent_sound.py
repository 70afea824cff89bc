"""How clips sound, on the pages: the line, the correlations, the ranges, the facts of one clip."""

import json
import os
import shutil

import numpy as np
import pytest

from tests.planting import plant_measures


@pytest.fixture(scope="module")
def measured(small_workspace, tmp_path_factory):
    """The small workspace with planted measures: where one latent tells its value, bandwidth ends at 3310 Hz;
    the first clip has no pitch."""
    from sae_core.corpus import acoustics
    from sae_core.workspace.workspace import open_workspace

    folder = tmp_path_factory.mktemp("measured") / "w"
    shutil.copytree(small_workspace, folder, copy_function=os.link)
    workspace = open_workspace(folder)
    view = workspace.sae(workspace.sae_names()[0])
    facts = view.latents
    latent = int(facts.loc[facts["is_named"] & facts["warning"].isna(), "n_active"].idxmax())
    n_clips = len(workspace.corpus)
    hz = np.random.default_rng(0).uniform(5000, 7000, n_clips)
    hz[view.index.rows_active(latent, view.threshold_of(latent))] = 3310.0
    table = plant_measures(n_clips, bandwidth_hz=hz, snr_db=np.full(n_clips, 21.26))
    table.loc[0, "f0_median_hz"] = None
    acoustics._save(folder, workspace.corpus, table, {})
    return folder, view, latent


def test_a_latent_says_what_sets_it_apart_and_shows_it(app_test, measured, words, drawn):
    from pages.shared.wording import value_words
    from sae_core.analysis.hints import hint
    from sae_core.analysis.latent_acoustics import relate_to_sound

    folder, view, latent = measured
    app = app_test(folder, "latents", latent=str(latent)).run()
    assert not app.exception
    line = hint(view, latent, say=value_words)
    assert line.endswith(" below 3.4 kHz bandwidth")
    assert f"{line[:1].upper()}{line[1:]}." in words(app)
    assert f"over {len(view.workspace.corpus):,} clips." in words(app)
    found = relate_to_sound(view, latent)
    trace = json.loads(app.get("plotly_chart")[-1].proto.spec)["data"][0]
    names = [str(name) for name in trace["y"]]
    assert "Bandwidth" in names and "Signal to noise" not in names  # which never varies here
    place = names.index("Bandwidth")
    wanted = found.correlations.set_index("measure").loc["bandwidth_hz"]
    assert f"{wanted.correlation:.2f} ({wanted.low:.2f}–{wanted.high:.2f})" in trace["customdata"][place][0]
    bars = {bar["label"]: bar for bar in drawn(app, "sound_ranges")["bars"]}
    assert bars["Bandwidth < 3.4 kHz"]["filled"] == 1.0
    assert bars["Bandwidth < 3.4 kHz"]["marker"] == 0.0


def test_unmeasured_clips_say_what_to_run(app_test, small_workspace, words, drawn):
    app = app_test(small_workspace, "latents", latent="3").run()
    assert not app.exception
    assert f"python -m sae_core measure --workspace {small_workspace}" in words(app)
    assert "no acoustic measures yet" in words(app)
    assert drawn(app, "near_by_cosine")["bars"], "the rest of the page is there"


def test_the_facts_of_a_clip_hold_its_measures(app_test, measured):
    folder, view, _ = measured
    clip_id = str(view.workspace.corpus.table["clip_id"].iloc[0])
    app = app_test(folder, "clips", clip=clip_id).run()
    facts = next(text for text in (element.proto.body for element in app.get("html")) if "Pitch (F0)" in text)
    assert ">Signal to noise</span>" in facts and ">21 dB</span>" in facts
    assert facts.split("Pitch (F0)")[1].split("</div>")[0].endswith(">–</span>")
