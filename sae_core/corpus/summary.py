"""What an import understood, before anything is embedded: for the terminal and for pages, in the same words."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from sae_core.corpus.clips import SPLITS
from sae_core.corpus.rows import Rows
from sae_core.files.artifacts import read_json, write_json
from sae_core.files.contents import Types
from sae_core.files.errors import ArtifactError

FILE = "import.json"
N_SHOWN = 6
_SHOWN_VALUES = ("language", "gender")
_KINDS: dict[str, Types] = {
    "layout": str,
    "evidence": str,
    "n_recordings": int,
    **dict.fromkeys(("n_clips", "n_speakers", "n_unknown", "n_failed"), int),
    "speakers_from": str,
    **dict.fromkeys(("splits", "attributes", "values", "left_out"), dict),
    **dict.fromkeys(("notices", "warnings"), list),
}


@dataclass(frozen=True)
class ImportSummary:
    """What was understood of a folder.

    layout, evidence: how it was read, and why. n_recordings: that rows name. n_clips: cut of them; 0 before that.
    speakers_from: which column or level of folders says who speaks; empty where none does. n_speakers: known ones.
    n_unknown: clips (recordings before they are cut) of unknown speaker. splits: split → (speakers, clips).
    attributes: name → number of values. values: language and gender → value → clips, as they were read.
    left_out: column → why it is none. n_failed: recordings and rows that gave no clip. notices: what else to know.
    warnings: what will not go well later on.
    """

    layout: str
    evidence: str
    n_recordings: int
    n_clips: int = 0
    speakers_from: str = ""
    n_speakers: int = 0
    n_unknown: int = 0
    splits: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    attributes: Mapping[str, int] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    n_failed: int = 0
    notices: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """All of it, a fact a line."""
        lines = [f"read as {self.layout}: {self.evidence}", f"speakers: {self._speakers()}"]
        if self.splits:
            counts = self.splits.items()
            words = (f"{split} {n_clips:,} clips of {_many(n, 'speaker')}" for split, (n, n_clips) in counts)
            lines.append(f"splits: {', '.join(words)}")
        named = (f"{name} ({_many(n, 'value')})" for name, n in list(self.attributes.items())[:20])
        more = f" and {len(self.attributes) - 20} more" if len(self.attributes) > 20 else ""
        lines.append(f"attributes: {', '.join(named) or 'none'}{more}")
        lines += [f"{name}: {_counts(counts)}" for name, counts in self.values.items()]
        if self.left_out:
            lines.append(f"columns left out: {_reasons(self.left_out)}")
        lines += [f"note: {notice}" for notice in self.notices]
        return [*lines, *(f"warning: {warning}" for warning in self.warnings)]

    def _speakers(self) -> str:
        of = "clips" if self.n_clips else "recordings"
        if not self.n_speakers:
            return f"no speaker is known; each of {self.n_unknown:,} {of} counts as a speaker of its own"
        unknown = f"; {self.n_unknown:,} {of} of unknown speaker" if self.n_unknown else ""
        return f"{self.n_speakers:,}, from {self.speakers_from or self.layout}{unknown}"

    def save(self, workspace: Path) -> None:
        """Keep it in a workspace, for pages."""
        write_json(workspace / FILE, dataclasses.asdict(self))

    @classmethod
    def load(cls, workspace: Path) -> "ImportSummary | None":
        """What `save` wrote; None where there is none, or none that can be read."""
        try:
            raw: dict[str, Any] = read_json(workspace / FILE, keys=_KINDS)
            names = {one.name for one in dataclasses.fields(cls)}
            told = {name: value for name, value in raw.items() if name in names}
            for name in ("notices", "warnings"):
                told[name] = tuple(map(str, told.get(name, ())))
            told["splits"] = {split: (int(n[0]), int(n[1])) for split, n in told.get("splits", {}).items()}
            told["attributes"] = {name: int(n) for name, n in told.get("attributes", {}).items()}
            told["left_out"] = {name: str(why) for name, why in told.get("left_out", {}).items()}
            told["values"] = {
                name: {value: int(n) for value, n in counts.items()}
                for name, counts in told.get("values", {}).items()
            }
            return cls(**told)
        except (ArtifactError, TypeError, ValueError, AttributeError, LookupError, OverflowError):
            return None


def summarise(
    rows: Rows,
    clips: pd.DataFrame | None,
    *,
    layout: str,
    evidence: str,
    attributes: Sequence[str],
    n_failed: int = 0,
) -> ImportSummary:
    """What was understood of rows, and of the clips cut of them where there are any yet."""
    table = rows.table if clips is None else clips
    speakers = table["speaker_id"] if "speaker_id" in table else pd.Series(index=table.index, dtype="object")
    counted = {name: int(table[name].nunique()) for name in attributes if name in table}
    values = {
        name: {str(value): int(n) for value, n in table[name].value_counts().head(50).items()}
        for name in _SHOWN_VALUES
        if name in counted
    }
    return ImportSummary(
        layout,
        evidence,
        int(rows.table["audio_path"].nunique()),
        0 if clips is None else len(clips),
        rows.sources.get("speaker_id", ""),
        int(speakers.nunique()),
        int(speakers.isna().sum()),
        {} if clips is None else _splits(clips),
        counted,
        values,
        dict(rows.left_out),
        n_failed,
        rows.notices,
        () if clips is None else _warnings(clips),
    )


def _splits(clips: pd.DataFrame) -> dict[str, tuple[int, int]]:
    who = clips["speaker_id"].astype("object")
    who = who.where(who.notna(), "recording:" + clips["audio_path"].astype("object"))
    return {
        split: (int(who[clips["split"] == split].nunique()), int((clips["split"] == split).sum()))
        for split in SPLITS
    }


def _warnings(clips: pd.DataFrame) -> tuple[str, ...]:
    """What is sure to go wrong or mean little later, said while it can be changed."""
    found = []
    n_speakers = clips["speaker_id"].nunique()
    splits = _splits(clips)
    if not splits["train"][1]:
        found.append(
            "no speaker is in the train split, so that no SAE can be trained; import more speakers, or give a split "
            "column"
        )
    if n_speakers == 1 and clips["speaker_id"].notna().all():
        found.append(
            "there is only one speaker, so that nothing can be verified; speakers cannot be told apart here"
        )
    elif not splits["held-out"][1] or not splits["selection"][1]:
        missing = " and ".join(split for split in ("selection", "held-out") if not splits[split][1])
        found.append(f"no speaker is in {missing}, so that nothing can be measured on unseen speakers")
    return tuple(found)


def warn_of_few(summary: ImportSummary, n_latents: int) -> ImportSummary:
    """The summary with a warning where there are fewer training clips than latents of the smallest SAE."""
    n_train = summary.splits.get("train", (0, 0))[1]
    if not 0 < n_train < n_latents:
        return summary
    words = (
        f"{_many(n_train, 'training clip')} and {n_latents:,} latents in the smallest usual SAE: fewer clips than "
        "latents, so that what they detect will mean little; import more recordings, cut long ones (--window-s), or "
        "train with fewer --latents"
    )
    return dataclasses.replace(summary, warnings=(*summary.warnings, words))


def _many(n: int, what: str) -> str:
    return f"{n:,} {what}" + ("" if n == 1 else "s")


def _counts(counts: Mapping[str, int]) -> str:
    named = ", ".join(f"{value} {n:,}" for value, n in list(counts.items())[:N_SHOWN])
    return named + (f" and {len(counts) - N_SHOWN} more values" if len(counts) > N_SHOWN else "")


def _reasons(left_out: Mapping[str, str]) -> str:
    named = "; ".join(f"{name[:60]!r} ({why})" for name, why in list(left_out.items())[:N_SHOWN])
    return named + (f" and {len(left_out) - N_SHOWN:,} more" if len(left_out) > N_SHOWN else "")
