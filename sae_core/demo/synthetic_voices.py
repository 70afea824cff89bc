"""Synthetic voices made on the spot with flite, Festival and eSpeak NG, run from unpacked packages."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sae_core.demo.sentences import SENTENCES
from sae_core.demo.sources import GENDERS
from sae_core.files.errors import CorpusError

_SYNTHESIS_S = 120.0


@dataclass(frozen=True)
class SyntheticVoice:
    """One voice of one engine.

    engine: flite, festival or espeak-ng.
    name: as the engine calls it.
    package: the Debian package credited with the voice.
    encoding: of the text that the engine expects.
    """

    engine: str
    name: str
    language: str
    gender: str
    package: str
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        if self.engine not in _COMMANDS or self.language not in SENTENCES or self.gender not in GENDERS:
            raise ValueError(f"{self.name}: engine, language or gender is not known")

    @property
    def speaker_id(self) -> str:
        """The engine's name for the voice, with the engine's own."""
        return f"{self.engine}-{self.name}".replace("+", "-").lower()


def merge_into_root(folders: Sequence[Path], root: Path) -> None:
    """Link the files of unpacked packages into one tree that programs can run from, absolute places rewritten.

    Packages expect to lie in `/`: absolute symbolic links are pointed into `root`, and so are the paths that Festival's
    Scheme files name.
    """
    done = root / ".complete"
    if done.exists():
        return
    for folder in folders:
        for source in sorted(folder.rglob("*")):
            target = root / source.relative_to(folder)
            if source.is_dir() and not source.is_symlink():
                target.mkdir(parents=True, exist_ok=True)
            elif not target.is_symlink() and not target.exists():
                _place(source, target, root)
    done.touch()


def _place(source: Path, target: Path, root: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_symlink():
        to = os.readlink(source)
        target.symlink_to(f"{root}{to}" if to.startswith("/") else to)
    elif source.suffix == ".scm":
        text = source.read_bytes()
        target.write_bytes(text.replace(b'"/usr/share/festival', f'"{root}/usr/share/festival'.encode()))
    else:
        target.symlink_to(source.resolve())


def speak(voice: SyntheticVoice, *, root: Path, folder: Path) -> Iterator[Path]:
    """A WAV file a sentence, made in `folder` unless already there.

    CorpusError where the engine fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for i, sentence in enumerate(SENTENCES[voice.language]):
        target = folder / f"{voice.speaker_id}-{i:02d}.wav"
        if not target.exists():
            unfinished = target.with_suffix(".unfinished.wav")
            _synthesize(voice, sentence, root=root, target=unfinished)
            unfinished.rename(target)
        yield target


def _synthesize(voice: SyntheticVoice, sentence: str, *, root: Path, target: Path) -> None:
    libraries = sorted(str(path) for path in root.glob("usr/lib/*-linux-gnu*")) + [
        str(path) for path in root.glob("lib/*-linux-gnu*")
    ]
    data = next(root.glob("usr/lib/*/espeak-ng-data"), root).parent
    environment = {**os.environ, "LD_LIBRARY_PATH": ":".join(libraries), "ESPEAK_DATA_PATH": str(data)}
    command, text = _COMMANDS[voice.engine](voice, sentence, root, target)
    done = subprocess.run(
        command, input=text, env=environment, capture_output=True, check=False, timeout=_SYNTHESIS_S
    )
    if done.returncode or not target.exists() or not target.stat().st_size:
        detail = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise CorpusError(
            f"{voice.engine} makes no speech with {voice.name}: {detail[-1] if detail else 'no reason'}",
            where=target,
            remedy="remove the synthesis folder from the cache and build again",
        )


def _flite(voice: SyntheticVoice, sentence: str, root: Path, target: Path) -> tuple[list[str], bytes]:
    return [str(root / "usr/bin/flite"), "-voice", voice.name, "-t", sentence, "-o", str(target)], b""


def _espeak(voice: SyntheticVoice, sentence: str, root: Path, target: Path) -> tuple[list[str], bytes]:
    return [str(root / "usr/bin/espeak-ng"), "-v", voice.name, "-s", "160", "-w", str(target), sentence], b""


def _festival(voice: SyntheticVoice, sentence: str, root: Path, target: Path) -> tuple[list[str], bytes]:
    script = target.with_suffix(".scm")
    script.write_bytes(
        f'(voice_{voice.name})\n(utt.save.wave (utt.synth (Utterance Text "{sentence}")) "{target}" \'riff)\n'.encode(
            voice.encoding
        )
    )
    data = f"{root}/usr/share/festival/"
    return [str(root / "usr/bin/festival"), "--datadir", data, "-b", str(script)], b""


_COMMANDS = {"flite": _flite, "festival": _festival, "espeak-ng": _espeak}

SYNTHETIC_VOICES: tuple[SyntheticVoice, ...] = (
    SyntheticVoice("flite", "awb", "en", "male", "flite"),
    SyntheticVoice("flite", "rms", "en", "male", "flite"),
    SyntheticVoice("flite", "slt", "en", "female", "flite"),
    SyntheticVoice("flite", "kal16", "en", "male", "flite"),
    SyntheticVoice("festival", "ked_diphone", "en", "male", "festvox-kdlpc16k"),
    SyntheticVoice("festival", "lp_diphone", "it", "female", "festvox-italp16k", "latin-1"),
    SyntheticVoice("festival", "pc_diphone", "it", "male", "festvox-itapc16k", "latin-1"),
    SyntheticVoice("festival", "czech_dita", "cs", "female", "festvox-czech-dita", "iso-8859-2"),
    SyntheticVoice("festival", "czech_machac", "cs", "male", "festvox-czech-machac", "iso-8859-2"),
    SyntheticVoice("festival", "czech_ph", "cs", "male", "festvox-czech-ph", "iso-8859-2"),
    SyntheticVoice("festival", "msu_ru_nsh_clunits", "ru", "male", "festvox-ru"),
    SyntheticVoice("festival", "suo_fi_lj_diphone", "fi", "female", "festvox-suopuhe-lj", "latin-1"),
    SyntheticVoice("festival", "hy_fi_mv_diphone", "fi", "male", "festvox-suopuhe-mv", "latin-1"),
    SyntheticVoice("espeak-ng", "es+m3", "es", "male", "espeak-ng"),
    SyntheticVoice("espeak-ng", "es+f2", "es", "female", "espeak-ng"),
    SyntheticVoice("espeak-ng", "es-419+m7", "es", "male", "espeak-ng"),
    SyntheticVoice("espeak-ng", "es-419+f4", "es", "female", "espeak-ng"),
    SyntheticVoice("espeak-ng", "fr+m1", "fr", "male", "espeak-ng"),
    SyntheticVoice("espeak-ng", "fr+f3", "fr", "female", "espeak-ng"),
    SyntheticVoice("espeak-ng", "de+m5", "de", "male", "espeak-ng"),
    SyntheticVoice("espeak-ng", "de+f5", "de", "female", "espeak-ng"),
    SyntheticVoice("espeak-ng", "ru+f1", "ru", "female", "espeak-ng"),
)
