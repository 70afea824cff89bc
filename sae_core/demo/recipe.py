"""How the demo's folder of clips is gathered: packages to voices, voices to short MP3 files, labels and credits.

The same packages give the same clips in the same splits; what the cache holds is not fetched or spoken again, and
files that would come out the same are left alone.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from re import compile as compile_pattern

import numpy as np
import pandas as pd
import soundfile
from jaxtyping import Float

from sae_core.demo.credits import write_credits
from sae_core.demo.packages import fetch_packages, with_dependencies
from sae_core.demo.sources import PACKAGES, SYNTHESIS_PACKAGES, Voice
from sae_core.demo.splits import Person, Trait, split_people
from sae_core.demo.synthetic_voices import SYNTHETIC_VOICES, SyntheticVoice, merge_into_root, speak
from sae_core.demo.utterances import (
    TELEPHONE_HZ,
    WIDEBAND_HZ,
    cut_music,
    encode,
    in_fixed_order,
    median_pitch_hz,
    read_sound,
    set_level,
    speech_utterances,
    trim_silence,
)
from sae_core.demo.voices import VOICES
from sae_core.files.errors import CorpusError
from sae_core.files.progress import Progress, ignore

LABEL_COLUMNS = (
    "audio_path", "clip_id", "start_s", "duration_s", "speaker_id", "split", "language", "gender", "kind", "source",
    "channel",
)  # fmt: skip
FEWEST_CLIPS = 11
N_PITCH_CLIPS = 5
SPARE_PIECES = 2  # some of a track are near silence
LANGUAGE_WEIGHT = (
    16.0  # what other traits weigh 0.5 to 3: every major language needs its quota of unseen speakers
)
CLIPS_OF_A_VOICE = 24  # a usual cap: what counts as one person when clips are balanced


@dataclass(frozen=True)
class Clip:
    """One clip before it is written: its voice's traits and its samples."""

    voice: Voice
    number: int
    samples: Float[np.ndarray, " t"]

    @property
    def sample_rate_hz(self) -> int:
        """8 kHz for a telephone, 16 kHz else."""
        return _rate_hz(self.voice)

    @property
    def clip_id(self) -> str:
        """Speaker, language where there is one, and number."""
        language = f"-{self.voice.language}" if self.voice.language else ""
        stem = self.voice.speaker_id
        return f"{stem}{'' if language and stem.endswith(language) else language}-{self.number:03d}"


def gather(folder: Path, *, cache: Path, progress: Progress = ignore) -> pd.DataFrame:
    """The table of clips, written with their audio, credits and licences below `folder`; see `LABEL_COLUMNS`.

    `folder` receives audio/<source>/<clip_id>.mp3, labels.parquet, CREDITS.md and licenses/; `cache` (about 2 GB) keeps
    packages between runs. MissingDependencyError without apt and dpkg; CorpusError names packages or voices not found.
    """
    packages = fetch_packages([package.name for package in PACKAGES], cache=cache, progress=progress)
    synthesis = fetch_packages(
        with_dependencies([package.name for package in SYNTHESIS_PACKAGES]), cache=cache, progress=progress
    )
    merge_into_root(list(synthesis.values()), cache / "synthesis")
    spoken = [_as_voice(voice) for voice in SYNTHETIC_VOICES]
    splits = assign_splits([*VOICES, *spoken])
    rows: list[dict[str, object]] = []
    pitches: dict[str, float | None] = {}
    n_voices = len(VOICES) + len(spoken)
    for i, (voice, clips) in enumerate(_all_clips(packages, cache)):
        progress(i, n_voices, f"voice {voice.speaker_id}")
        taken = list(clips)
        rows += [_write_clip(clip, folder, splits[voice.split_unit]) for clip in taken]
        pitches.setdefault(f"{voice.speaker_id} {voice.language}", _pitch_of(taken))
    table = pd.DataFrame(rows, columns=list(LABEL_COLUMNS))
    check_enough(table, [*VOICES, *spoken])
    _remove_strays(folder, table)
    table.to_parquet(folder / "labels.parquet", index=False)
    write_credits(folder, table, pitches, cache=cache)
    progress(n_voices, n_voices, "voices")
    return table


def check_enough(table: pd.DataFrame, voices: Iterable[Voice]) -> None:
    """Raise CorpusError naming the speakers of whom fewer than `FEWEST_CLIPS` clips were found."""
    counts = table["speaker_id"].value_counts()
    meagre = [
        f"{name} ({counts.get(name, 0)})"
        for name in dict.fromkeys(voice.speaker_id for voice in voices)
        if counts.get(name, 0) < FEWEST_CLIPS
    ]
    if meagre:
        raise CorpusError(
            f"voices with fewer than {FEWEST_CLIPS} clips: {', '.join(meagre)}",
            remedy="packages have changed since the recipe was written; adapt sae_core/demo/voices.py",
        )


def _remove_strays(folder: Path, table: pd.DataFrame) -> None:
    """Remove audio of an earlier run that the table does not name."""
    known = set(table["audio_path"])
    for path in (folder / "audio").rglob("*.mp3"):
        if path.relative_to(folder).as_posix() not in known:
            path.unlink()


def assign_splits(voices: Iterable[Voice]) -> dict[str, str]:
    """Split unit → split, so that unseen speakers carry each language, gender and kind; see `splits.split_people`."""
    people: dict[str, dict[Trait, float]] = defaultdict(dict)
    for voice in voices:
        traits = people[voice.split_unit]
        traits |= dict.fromkeys(_traits(voice), 1.0)
        clips = Trait(f"clips {voice.language or voice.kind}", 1.0, is_reported=False)
        traits[clips] = traits.get(clips, 0.0) + voice.cap / CLIPS_OF_A_VOICE
    return split_people(Person(name, traits) for name, traits in people.items())


def _traits(voice: Voice) -> set[Trait]:
    """What is balanced of one voice: its language before all, then kind, gender and channel, then their pairs."""
    found = {Trait(f"kind={voice.kind}", 3.0)}
    if voice.kind == "music":
        return found
    language = f"language={voice.language}"
    found |= {
        Trait(language, LANGUAGE_WEIGHT),
        Trait(f"{language} kind={voice.kind}", 1.5, is_reported=False),
        Trait(f"channel={voice.channel}", 3.0),
        Trait(f"source={voice.package}", 0.5, is_reported=False),
    }
    if voice.gender != "unknown":
        found |= {
            Trait(f"gender={voice.gender}", 2.0),
            Trait(f"{language} gender={voice.gender}", 1.0, is_reported=False),
        }
    return found


def find_files(voice: Voice, package: Path) -> list[Path]:
    """The voice's files in an unpacked package, in an order that is the same everywhere."""
    pattern = compile_pattern(voice.pattern)
    found = [
        path
        for path in package.rglob("*")
        if path.is_file() and pattern.search("/" + path.relative_to(package).as_posix())
    ]
    return in_fixed_order(found, package)


def clips_of(voice: Voice, files: list[Path]) -> Iterator[Clip]:
    """At most `voice.cap` clips of one voice, from files in the order given."""
    rate_hz = _rate_hz(voice)
    if voice.kind == "music":
        pieces: Iterator[Float[np.ndarray, " _"]] = (
            piece
            for path in files
            for piece in cut_music(_whole_track(path, rate_hz), rate_hz, voice.cap + SPARE_PIECES)
        )
    elif voice.kind == "synthetic":
        pieces = (set_level(trim_silence(read_sound(path, rate_hz), rate_hz)) for path in files)
    else:
        pieces = speech_utterances(files, rate_hz)
    for number, samples in zip(range(voice.cap), pieces, strict=False):
        yield Clip(voice, number, samples)


def _whole_track(path: Path, rate_hz: int) -> Float[np.ndarray, " t"]:
    return trim_silence(read_sound(path, rate_hz), rate_hz)


def _rate_hz(voice: Voice) -> int:
    return TELEPHONE_HZ if voice.channel == "telephone" else WIDEBAND_HZ


def _all_clips(packages: dict[str, Path], cache: Path) -> Iterator[tuple[Voice, Iterator[Clip]]]:
    for voice in VOICES:
        yield voice, clips_of(voice, find_files(voice, packages[voice.package]))
    for spoken in SYNTHETIC_VOICES:
        files = speak(spoken, root=cache / "synthesis", folder=cache / "spoken" / spoken.speaker_id)
        yield _as_voice(spoken), clips_of(_as_voice(spoken), list(files))


def _as_voice(spoken: SyntheticVoice) -> Voice:
    return Voice(
        spoken.speaker_id, spoken.package, r"\.wav$", spoken.language, spoken.gender, kind="synthetic", cap=14
    )


def _write_clip(clip: Clip, folder: Path, split: str) -> dict[str, object]:
    """The clip's row of labels, once its MP3 is written; the duration is that of what a decoder gives back."""
    voice = clip.voice
    path = Path("audio") / voice.package / f"{clip.clip_id}.mp3"
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    data = encode(clip.samples, clip.sample_rate_hz)
    if not target.is_file() or target.read_bytes() != data:
        target.write_bytes(data)
    return {
        "audio_path": path.as_posix(), "clip_id": clip.clip_id, "start_s": 0.0,
        "duration_s": round(float(soundfile.info(target).duration), 3), "speaker_id": voice.speaker_id,
        "split": split, "language": voice.language, "gender": voice.gender, "kind": voice.kind, "source": voice.package,
        "channel": voice.channel,
    }  # fmt: skip


def _pitch_of(clips: list[Clip]) -> float | None:
    """The median over a few clips of a voice of their median pitch; None for music."""
    if not clips or clips[0].voice.kind == "music":
        return None
    found = [median_pitch_hz(clip.samples, clip.sample_rate_hz) for clip in clips[:N_PITCH_CLIPS]]
    known = [pitch for pitch in found if pitch is not None]
    return float(np.median(known)) if known else None
