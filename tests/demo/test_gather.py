"""The whole recipe over two small packages and an engine that the test makes."""

import numpy as np
import pandas as pd
import pytest
import soundfile

from sae_core.demo import credits as demo_credits
from sae_core.demo import recipe
from sae_core.demo.sources import Package, Voice
from sae_core.demo.synthetic_voices import SyntheticVoice, speak
from sae_core.files.errors import CorpusError

N_FILES = 40
ENGINE = """#!/bin/sh
for target; do :; done
cp "$0.wav" "$target"
"""


def put_engine(root, text=ENGINE):
    """A program in flite's place that answers everything with one sound, written where its last argument says."""
    engine = root / "usr/bin/flite"
    engine.parent.mkdir(parents=True, exist_ok=True)
    engine.write_text(text)
    engine.chmod(0o755)
    soundfile.write(f"{engine}.wav", np.sin(np.arange(48_000) / 9) * 0.2, 16_000)


@pytest.fixture
def sources(monkeypatch, tmp_path):
    """Two voices and a track in one package and a synthetic voice in another, in a cache as apt would leave it."""
    cache = tmp_path / "cache"
    game, flite = (cache / "unpacked" / name for name in ("game", "flite"))
    rng = np.random.default_rng(0)
    for name, pitch_hz in (("ann", 220), ("bob", 110)):
        for i in range(N_FILES):
            path = game / f"usr/share/{name}/{i}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            buzz = np.sign(np.sin(2 * np.pi * pitch_hz * np.arange(8_000) / 8_000)) * rng.uniform(0.05, 0.2)
            soundfile.write(path, buzz.astype(np.float32), 8_000)
    soundfile.write(game / "usr/share/song.wav", rng.uniform(-0.1, 0.1, 60 * 8_000), 8_000)
    papers = game / "usr/share/doc/game"
    papers.mkdir(parents=True)
    (papers / "copyright").write_text("Copyright Ann and Bob")
    put_engine(flite)
    monkeypatch.setattr(
        recipe, "fetch_packages", lambda names, **_: {n: cache / "unpacked" / n for n in names}
    )
    monkeypatch.setattr(recipe, "with_dependencies", list)
    monkeypatch.setattr(demo_credits, "version_of", lambda name, **_: "1.0-1")
    voices = (
        Voice("ann", "game", r"/ann/", "es", "female", channel="telephone", cap=12),
        Voice("bob", "game", r"/bob/", "en", "female", cap=12),
        Voice("music-song", "game", r"/song\.wav$", None, None, kind="music", cap=12),
    )
    packages = (Package("game", "CC-BY-3.0", "Ann and Bob", "https://example.org", "MODIFIED"),)
    engines = (Package("flite", "GPL-2.0-only", "A university", "https://example.org"),)
    for module in (recipe, demo_credits):
        monkeypatch.setattr(module, "PACKAGES", packages)
        monkeypatch.setattr(module, "SYNTHESIS_PACKAGES", engines)
    monkeypatch.setattr(recipe, "VOICES", voices)
    monkeypatch.setattr(recipe, "SYNTHETIC_VOICES", (SyntheticVoice("flite", "hal", "en", "male", "flite"),))
    return cache


@pytest.fixture
def gathered(sources, tmp_path):
    folder = tmp_path / "demo"
    return folder, recipe.gather(folder, cache=sources)


def test_every_row_has_its_audio_and_every_audio_its_row(gathered):
    folder, table = gathered
    assert sorted(table["audio_path"]) == sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*.mp3")
    )
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "labels.parquet"), table)
    for row in table.itertuples():
        info = soundfile.info(folder / row.audio_path)
        assert info.samplerate == (8_000 if row.channel == "telephone" else 16_000)
        assert 1.5 <= row.duration_s <= 8.0


def test_labels_say_who_what_and_where_from(gathered):
    _, table = gathered
    assert tuple(table.columns) == recipe.LABEL_COLUMNS
    assert table.groupby("speaker_id")["clip_id"].size().to_dict() == {
        "ann": 12, "bob": 12, "music-song": 12, "flite-hal": 14,
    }  # fmt: skip
    assert set(table.loc[table["kind"] == "synthetic", "source"]) == {"flite"}
    music = table[table["kind"] == "music"]
    assert music["language"].isna().all() and music["gender"].isna().all()


def test_credits_name_people_licence_and_labels_in_doubt(gathered):
    folder, _ = gathered
    text = (folder / "CREDITS.md").read_text()
    assert "## game 1.0-1" in text and "Ann and Bob" in text and "creativecommons.org/licenses/by/3.0" in text
    assert "MODIFIED" in text
    assert (folder / "licenses/game.copyright.txt").read_text() == "Copyright Ann and Bob"
    doubts = text.split("## Labels in doubt")[1]
    assert "bob (en): female, median pitch 11" in doubts
    assert "ann" not in doubts


def test_gathering_again_changes_no_byte(gathered, sources):
    folder, _ = gathered
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*.mp3")}
    recipe.gather(folder, cache=sources)
    assert before == {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*.mp3")}


def test_an_engine_that_fails_is_named_with_what_it_said(tmp_path):
    put_engine(tmp_path, "#!/bin/sh\necho no such voice >&2\nexit 1\n")
    spoken = SyntheticVoice("flite", "hal", "en", "male", "flite")
    with pytest.raises(CorpusError, match=r"flite makes no speech with hal: no such voice"):
        list(speak(spoken, root=tmp_path, folder=tmp_path / "spoken"))


def test_what_is_spoken_already_is_not_spoken_again(tmp_path):
    put_engine(tmp_path)
    spoken = SyntheticVoice("flite", "hal", "en", "male", "flite")
    first = list(speak(spoken, root=tmp_path, folder=tmp_path / "spoken"))
    put_engine(tmp_path, "#!/bin/sh\nexit 1\n")
    assert list(speak(spoken, root=tmp_path, folder=tmp_path / "spoken")) == first
