import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from sae_core.demo import packages, recipe
from sae_core.demo.credits import agrees
from sae_core.demo.sentences import SENTENCES
from sae_core.demo.sources import PACKAGES, SYNTHESIS_PACKAGES, Voice
from sae_core.demo.synthetic_voices import SYNTHETIC_VOICES, SyntheticVoice, merge_into_root
from sae_core.demo.voices import VOICES
from sae_core.files.errors import CorpusError, MissingDependencyError

BUZZ = (0.1 * np.sign(np.sin(2 * np.pi * 140 * np.arange(16_000) / 16_000))).astype(np.float32)


def voice(**changes):
    traits = {
        "speaker_id": "ann",
        "package": "pack",
        "pattern": r"/sounds/es/[^/]+\.wav$",
        "language": "es",
        "gender": "female",
        "cap": 4,
    }
    return Voice(**{**traits, **changes})


@pytest.fixture
def package(tmp_path):
    """An unpacked package: twelve Spanish files of one second, and others beside them."""
    for place in [*(f"es/{i}" for i in range(12)), "en/1", "es/deep/1"]:
        path = tmp_path / f"usr/share/game/sounds/{place}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, BUZZ, 16_000)
    return tmp_path


def test_a_voice_finds_its_own_files_only(package):
    found = recipe.find_files(voice(), package)
    assert sorted(path.name for path in found) == sorted(f"{i}.wav" for i in range(12))
    assert {path.parent.name for path in found} == {"es"}


def test_clips_are_made_up_to_the_cap_and_numbered(package):
    files = recipe.find_files(voice(), package)
    clips = list(recipe.clips_of(voice(cap=3), files))
    assert [clip.clip_id for clip in clips] == ["ann-es-000", "ann-es-001", "ann-es-002"]
    assert len(list(recipe.clips_of(voice(cap=9), files))) == 4  # three seconds each of twelve


def test_the_same_files_give_the_same_bytes(package):
    first, second = (
        [clip.samples for clip in recipe.clips_of(voice(), recipe.find_files(voice(), package))]
        for _ in range(2)
    )
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(a, b)


def test_a_written_clip_is_described_by_its_row(package, tmp_path):
    clip = next(recipe.clips_of(voice(channel="telephone"), recipe.find_files(voice(), package)))
    row = recipe._write_clip(clip, tmp_path / "out", "train")
    assert set(row) == set(recipe.LABEL_COLUMNS)
    info = soundfile.info(tmp_path / "out" / row["audio_path"])
    assert (info.format, info.samplerate, info.channels) == ("MP3", 8_000, 1)
    assert row["duration_s"] == pytest.approx(info.duration, abs=1e-3)
    assert row["duration_s"] == pytest.approx(3.2, abs=0.1)


def test_a_track_is_cut_into_clips_without_language(tmp_path):
    path = tmp_path / "song.wav"
    soundfile.write(path, np.tile(BUZZ, 30), 16_000)
    track = voice(language=None, gender=None, kind="music", pattern=r"/song\.wav$", cap=5)
    clips = list(recipe.clips_of(track, recipe.find_files(track, tmp_path)))
    assert [clip.clip_id for clip in clips] == [f"ann-{i:03d}" for i in range(5)]
    assert {len(clip.samples) for clip in clips} == {4 * 16_000}


def test_what_would_come_out_the_same_is_not_written_again(package, tmp_path):
    clip = next(recipe.clips_of(voice(), recipe.find_files(voice(), package)))
    path = tmp_path / "out" / recipe._write_clip(clip, tmp_path / "out", "train")["audio_path"]
    before = path.stat().st_mtime_ns
    recipe._write_clip(clip, tmp_path / "out", "train")
    assert path.stat().st_mtime_ns == before


def test_speakers_with_too_few_clips_are_all_named():
    table = pd.DataFrame({"speaker_id": ["ann"] * 11 + ["bob"] * 10})
    recipe.check_enough(table[table["speaker_id"] == "ann"], [voice()])
    with pytest.raises(CorpusError, match=r"bob \(10\), cy \(0\)"):
        recipe.check_enough(table, [voice(), voice(speaker_id="bob"), voice(speaker_id="cy")])


def test_audio_of_an_earlier_run_goes(tmp_path):
    for name in ("kept", "stray"):
        path = tmp_path / f"audio/pack/{name}.mp3"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    recipe._remove_strays(tmp_path, pd.DataFrame({"audio_path": ["audio/pack/kept.mp3"]}))
    assert [path.name for path in tmp_path.rglob("*.mp3")] == ["kept.mp3"]


@pytest.mark.parametrize(
    "changes",
    [
        {"language": None},
        {"kind": "music"},
        {"language": "xx"},
        {"gender": "f"},
        {"cap": 0},
        {"channel": "fm"},
    ],
)
def test_a_voice_with_impossible_traits_is_refused(changes):
    with pytest.raises(ValueError, match="ann"):
        voice(**changes)


@pytest.mark.parametrize(
    ("speaker_id", "path", "is_its_own"),
    [
        ("allison-smith", "usr/share/asterisk/sounds/en_US_f_Allison/vm-login.wav", True),
        ("allison-smith", "usr/share/asterisk/sounds/en_US_f_Allison/silence/1.wav", False),
        ("carlo-flora", "usr/share/asterisk/sounds/it_IT_m_Carlo/digits/1.wav", True),
        ("tuxpaint-es", "usr/share/tuxpaint/stamps/food/fruit/apple_desc_es.ogg", True),
        ("tuxpaint-es", "usr/share/tuxpaint/stamps/animals/birds/hen_desc_es.ogg", False),
        ("tuxpaint-es", "usr/share/tuxpaint/stamps/food/fruit/apple_desc_fr.ogg", False),
        ("klettres-en", "usr/share/klettres/en/alpha/a.ogg", True),
        ("klettres-en", "usr/share/klettres/en_GB/alpha/a.ogg", False),
        ("ktuberling-da-a", "usr/share/ktuberling/sounds/da/xmas_tree.ogg", True),
        ("ktuberling-da-b", "usr/share/ktuberling/sounds/da/xmas_tree.ogg", False),
        ("drascula-es-hacker", "usr/share/scummvm/drascula/es/259.ALS", True),
        ("drascula-es-hacker", "usr/share/scummvm/drascula/es/VB10.ALS", False),
        ("drascula-es-b", "usr/share/scummvm/drascula/es/VB10.ALS", False),
        ("fillets-cs-big", "usr/share/games/fillets-ng/sound/barrel/cs/bar-v-fotka.ogg", True),
        ("fillets-cs-big", "usr/share/games/fillets-ng/sound/barrel/cs/bar-m-fotka.ogg", False),
        ("kajongg-male1", "usr/share/kajongg/voices/male1/b1.ogg", True),
        ("kajongg-female1", "usr/share/kajongg/voices/male1/b1.ogg", False),
    ],
)
def test_file_names_tell_voices_apart(speaker_id, path, is_its_own):
    first = next(v for v in VOICES if v.speaker_id == speaker_id)
    assert bool(re.search(first.pattern, "/" + path)) is is_its_own


def test_every_package_of_a_voice_is_credited_and_every_credited_one_is_used():
    assert {v.package for v in VOICES} == {p.name for p in PACKAGES}
    assert {v.package for v in SYNTHETIC_VOICES} <= {p.name for p in SYNTHESIS_PACKAGES}


def test_clip_ids_cannot_clash():
    heard = [(v.speaker_id, v.language) for v in VOICES] + [
        (v.speaker_id, v.language) for v in SYNTHETIC_VOICES
    ]
    assert len(heard) == len(set(heard))


def test_no_voice_outweighs_the_others():
    assert max(v.cap for v in VOICES) <= 60


def test_each_language_of_the_synthetic_voices_has_enough_sentences_of_its_own():
    assert {v.language for v in SYNTHETIC_VOICES} == set(SENTENCES)
    for sentences in SENTENCES.values():
        assert len(set(sentences)) == len(sentences) == 14


def test_every_sentence_can_be_written_as_its_engines_expect():
    for spoken in SYNTHETIC_VOICES:
        for sentence in SENTENCES[spoken.language]:
            assert sentence.encode(spoken.encoding)
            assert '"' not in sentence


def test_an_unknown_engine_is_refused():
    with pytest.raises(ValueError, match="hal"):
        SyntheticVoice("cyberdyne", "hal", "en", "male", "x")


def test_packages_are_merged_into_one_tree_with_places_rewritten(tmp_path):
    package, root = tmp_path / "package", tmp_path / "root"
    (package / "etc").mkdir(parents=True)
    (package / "usr/share/festival").mkdir(parents=True)
    (package / "etc/festival.scm").write_text('(path "/usr/share/festival/voices/")')
    (package / "usr/share/festival/init.scm").symlink_to("/etc/festival.scm")
    (package / "usr/share/festival/dict.out").write_text("words")
    merge_into_root([package], root)
    assert (root / "usr/share/festival/init.scm").read_text() == f'(path "{root}/usr/share/festival/voices/")'
    assert (root / "usr/share/festival/dict.out").read_text() == "words"


def test_a_machine_without_apt_is_told_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(packages.shutil, "which", lambda tool: None)
    with pytest.raises(MissingDependencyError, match=r"lacks apt-get.*Debian or Ubuntu"):
        recipe.gather(tmp_path / "out", cache=tmp_path / "cache")


@pytest.fixture
def archive(monkeypatch):
    """An apt that knows one package, `known`, and a dpkg that unpacks it; what was asked is recorded."""
    asked = []

    class Done:
        returncode, stdout, stderr = 0, "", ""

    def run(command, **options):
        asked.append(command)
        done = Done()
        if command[0] == "apt-get" and command[-1] == "known":
            (Path(options["cwd"]) / "known_1.0_all.deb").touch()
        elif command[0] == "apt-get":
            done.returncode, done.stderr = 100, "E: Unable to locate package"
        elif command[0] == "dpkg":
            Path(command[-1]).mkdir()
        return done

    monkeypatch.setattr(packages.shutil, "which", lambda tool: f"/usr/bin/{tool}")
    monkeypatch.setattr(packages.subprocess, "run", run)
    return asked


def test_packages_the_archive_lacks_are_all_named_and_the_others_kept(archive, tmp_path):
    with pytest.raises(CorpusError, match=r"lost, gone.*Unable to locate.*apt-get update"):
        packages.fetch_packages(["lost", "known", "gone"], cache=tmp_path)
    assert (tmp_path / "unpacked/known").is_dir()


def test_what_is_in_the_cache_is_not_fetched_again(archive, tmp_path):
    packages.fetch_packages(["known"], cache=tmp_path)
    n_asked = len(archive)
    assert packages.fetch_packages(["known"], cache=tmp_path) == {"known": tmp_path / "unpacked/known"}
    assert len(archive) == n_asked


@pytest.mark.parametrize(
    ("gender", "pitch_hz", "expected"),
    [
        ("male", 120.0, True),
        ("male", 240.0, False),
        ("female", 210.0, True),
        ("female", 110.0, False),
        ("male", None, True),
    ],
)
def test_a_gender_is_checked_against_pitch(gender, pitch_hz, expected):
    assert agrees(gender, pitch_hz) is expected
