"""The data check of a workspace, kept until its clips or its vectors change; decisions are read each time."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from pages.shared.caching import cached
from sae_core.analysis.data_check import find_suspicions, first_look, with_decisions
from sae_core.corpus.acoustics import CHECKS_FILE
from sae_core.corpus.clips import Corpus
from sae_core.workspace.workspace import SaeView


@cached(keep=4, spinner="Comparing all clips with each other …")
def _suspicions(view: SaeView) -> pd.DataFrame:
    return find_suspicions(view.workspace, view.embeddings)


_FAULT_WORDS = {
    "out of range": "beyond full scale",
    "clipped": "clipped",
    "cancelling": "with channels that cancel each other",
    "two sides": "with two different sides",
    "silent": "silent",
    "no speech": "without speech",
    "same sound": "with the same sound as another",
}


def first_look_words(path: Path) -> str:
    """What a first look at the sound of a workspace found, in Markdown; empty where it is not measured."""
    files = [path / "clips.parquet", path / CHECKS_FILE]
    counts = _first_look(str(path), tuple(file.stat().st_mtime_ns if file.exists() else 0 for file in files))
    if counts is None:
        return ""
    if not counts:
        return "**Data check**: no clip is clipped, silent, without speech or a copy of another."
    found = (f"{n:,} {_FAULT_WORDS[fault]}" for fault, n in counts.items())
    return f"**Data check**: of the clips, {', '.join(found)}."


@cached(keep=20)
def _first_look(path: str, stamp: tuple[int, ...]) -> Mapping[str, int] | None:  # noqa: ARG001 - the key
    return first_look(Path(path), Corpus.load(Path(path)))


def checked(view: SaeView) -> pd.DataFrame:
    """The findings of `check_workspace` with the vectors that the chosen SAE reads."""
    return with_decisions(_suspicions(view), view.workspace)
