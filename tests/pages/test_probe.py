"""The Probe page: what it draws is what the core says, bad sounds are told calmly, and only what is kept is kept."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.voiced import as_wav, clip_samples


@pytest.fixture
def view(voiced_workspace):
    from sae_core.workspace.workspace import open_workspace

    workspace = open_workspace(voiced_workspace)
    return workspace.sae(workspace.sae_names()[0])


@pytest.fixture
def brought(voiced_workspace):
    """Two voices, one after the other."""
    return as_wav(np.concatenate([clip_samples(voiced_workspace, row) for row in (0, 7)]))


def upload(app, content, name="mine.wav"):
    app.file_uploader[0].upload(name, content, "audio/wav").run()
    assert not app.exception
    assert not app.file_uploader[0].value, "Streamlit holds a second copy"
    return app


def test_a_brought_sound_is_drawn_as_the_core_sees_it(
    app_test, voiced_workspace, view, brought, drawn, words
):
    from sae_core.analysis.probe import (
        examine_excerpt,
        how_unusual,
        nearest_clips,
        nearest_speakers,
        open_examiner,
        time_latents,
    )
    from sae_core.workspace.excerpts import read_excerpt

    app = upload(app_test(voiced_workspace, "probe").run(), brought)
    examiner = open_examiner(view)
    excerpt = read_excerpt(brought, "mine.wav", sample_rate_hz=16_000)
    found = examine_excerpt(view, examiner, excerpt)
    times = time_latents(view, examiner, excerpt, found)
    figure = drawn(app, "firing_times")
    assert [row["opens"] for row in figure["rows"]] == times.latents.tolist()
    np.testing.assert_allclose([row["values"] for row in figure["rows"]], times.activations, atol=1e-3)
    np.testing.assert_allclose(figure["starts_s"], times.starts_s, atol=1e-3)
    assert "/media/" in figure["url"] and figure["duration_s"] == 3.0
    facts = how_unusual(view, found)
    bars = drawn(app, "probe_latents")["bars"]
    assert [bar["opens"] for bar in bars] == facts["latent"].tolist()
    np.testing.assert_allclose([bar["filled"] for bar in bars], facts["share_weaker"])
    near = [card["opens"] for card in drawn(app, "probe_clips")["clips"]]
    assert near == nearest_clips(view, found)["row"].tolist()
    voices = [card["title"] for card in drawn(app, "probe_speakers")["clips"]]
    assert voices == nearest_speakers(view, found)["speaker_id"].tolist()
    assert "was not laid out again: the diamond is the mean position of its 8 nearest clips" in words(app)
    assert not (voiced_workspace / "probes").exists()
    app.segmented_control(key="probe_order").set_value("most unusual first").run()
    rare = [bar["opens"] for bar in drawn(app, "probe_latents")["bars"]]
    assert rare == facts.sort_values("share_as_strong", kind="stable")["latent"].tolist()


@pytest.mark.parametrize("why", ["is not a recording", "is silent"])
def test_a_bad_sound_is_told_and_the_next_is_drawn(app_test, voiced_workspace, brought, drawn, words, why):
    content = as_wav(np.zeros(32_000)) if why == "is silent" else b"no sound at all" * 99
    app = upload(app_test(voiced_workspace, "probe").run(), content, "bad.wav")
    assert why in app.error[0].value and "bad.wav" in app.error[0].value
    assert "**What to do:** bring a" in words(app)
    assert "went wrong" not in words(app)
    upload(app, brought)
    assert not app.error
    assert drawn(app, "firing_times")["rows"]


def test_a_channel_can_be_chosen(app_test, voiced_workspace, drawn):
    one, other = clip_samples(voiced_workspace, 0), clip_samples(voiced_workspace, 7)
    app = upload(app_test(voiced_workspace, "probe").run(), as_wav(np.stack([one, other], axis=1)))
    mixed = drawn(app, "probe_clips")["clips"][0]
    app.selectbox(key="probe_channel_1").set_value(1).run()
    assert drawn(app, "probe_clips")["clips"][0]["opens"] == 7
    assert mixed["note"] == ""
    assert drawn(app, "probe_clips")["clips"][0]["note"] == "the same sound"


def test_a_link_probes_a_clip_of_the_corpus(app_test, voiced_workspace, view, drawn, words):
    app = app_test(voiced_workspace, "probe", clip="clip-0000021").run()
    assert not app.exception
    assert app.segmented_control(key="sound_choice").value == "corpus"
    bars = drawn(app, "probe_latents")["bars"]
    assert [bar["opens"] for bar in bars] == view.codes.active(21)[0].tolist()
    assert 21 not in [card["opens"] for card in drawn(app, "probe_clips")["clips"]]
    assert "this clip's own position" in words(app)
    assert drawn(app, "firing_times")["title"] == "clip-0000021"


def test_without_its_embedder_a_clip_shows_all_but_the_times(app_test, small_workspace, drawn, words):
    app = app_test(small_workspace, "probe", clip="clip-0000021").run()
    assert not app.exception
    assert "There is no latent timeline" in app.info[0].value
    assert drawn(app, "probe_latents")["bars"]
    app = app_test(small_workspace, "probe").run()
    upload(app, as_wav(clip_samples(small_workspace, 0)))
    assert "which is no embedder of this VoxScope" in app.error[0].value


def test_a_sound_is_kept_only_when_asked_and_can_be_deleted(
    app_test, voiced_workspace, tmp_path, brought, drawn
):
    import shutil

    folder = Path(shutil.copytree(voiced_workspace, tmp_path / "workspace"))
    before = set(folder.rglob("*"))
    app = upload(app_test(folder, "probe").run(), brought)
    rows = [row["opens"] for row in drawn(app, "firing_times")["rows"]]
    assert set(folder.rglob("*")) == before
    press(app, "Keep it in this workspace")
    (meta,) = (folder / "probes").glob("*/probe.json")
    assert json.loads(meta.read_text())["settings"]["name"] == "mine.wav"
    assert app.query_params["kept"] == meta.parent.name
    assert app.segmented_control(key="sound_choice").value == "kept"
    again = app_test(folder, "probe", kept=meta.parent.name).run()
    assert [row["opens"] for row in drawn(again, "firing_times")["rows"]] == rows
    meta.write_text("{")
    again = app_test(folder, "probe", kept=meta.parent.name).run()
    assert "**probe.json** is not valid JSON" in again.error[0].value
    press(again, "Delete it for everyone")
    assert not list((folder / "probes").iterdir())
    assert again.segmented_control(key="sound_choice").value == "yours"


def press(app, label):
    next(button for button in app.button if button.label == label).click().run()
    assert not app.exception


def test_letting_go_frees_what_was_recorded(app_test, voiced_workspace, brought, drawn):
    app = app_test(voiced_workspace, "probe").run()
    app.audio_input[0].upload("audio.wav", brought, "audio/wav").run()
    assert drawn(app, "firing_times")["title"] == "your recording"
    held = ("brought sound", "probed sound")
    assert all(slot in app.session_state for slot in held)
    press(app, "Discard it")
    assert not any(slot in app.session_state for slot in held)
    assert not app.audio_input[0].value
    assert not app.get("bidi_component")


def test_a_long_sound_says_which_part_is_heard(
    app_test, voiced_workspace, brought, drawn, words, monkeypatch
):
    from pages.parts.probe import choice, keeping

    for module in ("sae_core.workspace.excerpts", choice, keeping):
        monkeypatch.setattr(f"{getattr(module, '__name__', module)}.MAX_HEARD_S", 1.6)
    app = upload(app_test(voiced_workspace, "probe").run(), brought)
    assert "analysed from 0 s to 2 s of 3 s" in words(app)
    app.slider[0].set_value(1).run()
    assert "analysed from 1 s to 3 s of 3 s" in words(app)
    assert drawn(app, "firing_times")["duration_s"] == pytest.approx(1.6)
