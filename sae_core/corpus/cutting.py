"""From rows to clips: where each lies, what it is called, whose voice it is, and which split it belongs to."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sae_core.audio.reading import MAX_CLIP_S, SHORTFALL_S, AudioInfo
from sae_core.audio.recordings import MIX_DOWN
from sae_core.corpus.clips import clip_id_from, split_of
from sae_core.corpus.rows import ROW_COLUMNS, Rows
from sae_core.files.artifacts import fingerprint
from sae_core.files.errors import CorpusError

SHORTEST_TAIL = 1 / 3
NUMBERS = ("start_s", "duration_s", "audio_channel")


@dataclass(frozen=True)
class CutSettings:
    """How recordings become clips.

    channel: the one to take where a row names none; None mixes all down. window_s: longest clip; longer stretches are
    cut into clips of that length, and a last one shorter than a third of it is dropped. None cuts nothing.
    """

    channel: int | None = None
    window_s: float | None = None

    def __post_init__(self) -> None:
        if self.window_s is not None and not 0.5 <= self.window_s <= MAX_CLIP_S:
            raise CorpusError(
                f"clips of {self.window_s:g} s cannot be cut",
                remedy=f"give --window-s a length between 0.5 and {MAX_CLIP_S:.0f} seconds",
            )
        if self.channel is not None and self.channel < 0:
            raise CorpusError(f"there is no channel {self.channel}", remedy="count --channel from 0")


def cut_clips(
    rows: Rows, probes: Mapping[str, AudioInfo | str], settings: CutSettings
) -> tuple[pd.DataFrame, list[tuple[str, str]]]:
    """The clips table, and (recording, reason) of each row that gives no clip.

    Where a row says neither start nor duration it means the whole recording. CorpusError when two rows describe the
    same stretch, or a voice stands in more than one split.
    """
    table = rows.table.reset_index(drop=True)
    spans, failures = _Spans(table, settings), []
    sources, starts, durations, channels, is_part = [], [], [], [], []
    for row, name in enumerate(table["audio_path"]):
        info = probes[name]
        found = info if isinstance(info, str) else spans.of(row, info)
        if isinstance(found, str):
            failures.append((str(name), found))
            continue
        for start_s, duration_s in found.pieces:
            sources.append(row)
            starts.append(start_s)
            durations.append(duration_s)
            channels.append(found.channel)
            is_part.append(found.is_part)
    clips = (
        table.iloc[sources]
        .reset_index(drop=True)
        .assign(
            start_s=np.asarray(starts, dtype=np.float64),
            duration_s=np.asarray(durations, dtype=np.float64),
            audio_channel=np.asarray(channels, dtype=np.int64),
        )
    )
    for name in ("clip_id", "speaker_id", "split"):
        if name not in clips:
            clips[name] = pd.Series([None] * len(clips), dtype="str")
    clips["clip_id"] = _name_clips(clips, np.asarray(is_part, dtype=bool), rows, sources)
    clips["split"] = _split_clips(clips, rows, sources)
    others = [name for name in clips.columns if name not in ROW_COLUMNS]
    order = ("clip_id", "audio_path", "start_s", "duration_s", "audio_channel", "speaker_id", "split")
    return clips[[*order, *others]], list(dict.fromkeys(failures))


@dataclass(frozen=True)
class _Span:
    pieces: list[tuple[float, float]]
    channel: int
    is_part: bool


class _Spans:
    """Which stretches of its recording each row means."""

    def __init__(self, table: pd.DataFrame, settings: CutSettings) -> None:
        self._settings = settings
        self._raw = {name: table[name].to_numpy(dtype=object) for name in NUMBERS if name in table}
        self._numbers = {
            name: pd.to_numeric(table[name], errors="coerce").to_numpy(dtype=np.float64) for name in self._raw
        }

    def of(self, row: int, info: AudioInfo) -> _Span | str:
        """The stretches of one row, or why it has none."""
        wrong = self._unread(row)
        if wrong is not None:
            return wrong
        start_s, duration_s, channel = (self._number(name, row) for name in NUMBERS)
        length_s = info.duration_s
        begin_s = start_s or 0.0
        end_s = length_s if duration_s is None else begin_s + duration_s
        if not 0 <= begin_s < length_s or end_s <= begin_s or end_s > length_s + SHORTFALL_S:
            return f"lasts {length_s:.2f} s and has no stretch from {begin_s:.2f} to {end_s:.2f} s"
        taken = channel if channel is not None else self._settings.channel
        if taken is not None and (taken != int(taken) or not MIX_DOWN <= taken < info.n_channels):
            return f"has {info.n_channels} channel(s), counted from 0, and so no channel {taken:g}"
        pieces = list(cut_windows(begin_s, min(end_s, length_s) - begin_s, self._settings.window_s))
        if pieces[0][1] > MAX_CLIP_S:
            return (
                f"lasts {pieces[0][1] / 60:.0f} minutes and a clip at most {MAX_CLIP_S / 60:.0f}; "
                "import with --window-s 6 to cut it into clips"
            )
        is_whole = len(pieces) == 1 and pieces[0][1] == min(end_s, length_s) - begin_s
        return _Span(pieces, MIX_DOWN if taken is None else int(taken), start_s is not None or not is_whole)

    def _unread(self, row: int) -> str | None:
        for name, raw in self._raw.items():
            value = self._numbers[name][row]
            if not math.isfinite(value) and not pd.isna(raw[row]):
                return f"its {name} {raw[row]!r} is no number"
        return None

    def _number(self, name: str, row: int) -> float | None:
        if name not in self._numbers or math.isnan(self._numbers[name][row]):
            return None
        return float(self._numbers[name][row])


def cut_windows(start_s: float, duration_s: float, window_s: float | None) -> Iterator[tuple[float, float]]:
    """Stretches (start, duration) of at most `window_s` that follow one another from `start_s` on, at least one.

    A last one shorter than `SHORTEST_TAIL` of the window is dropped.
    """
    if window_s is None or duration_s <= window_s:
        yield start_s, duration_s
        return
    for number in range(math.ceil(duration_s / window_s)):
        left_s = duration_s - number * window_s
        if left_s >= window_s * SHORTEST_TAIL:
            yield start_s + number * window_s, min(window_s, left_s)


def _name_clips(clips: pd.DataFrame, is_part: np.ndarray, rows: Rows, sources: list[int]) -> pd.Series:
    """Ids: the given one, else one from the path; pieces carry their start, what still collides a short digest."""
    is_cut = pd.Series(sources).duplicated(keep=False)
    given = clips["clip_id"].astype("object")
    stretches = zip(clips["audio_path"], clips["start_s"], is_part, strict=True)
    own = [clip_id_from(path, start_s if part else None) for path, start_s, part in stretches]
    cut = [
        f"{name}@{round(start_s * 1000):08d}" for name, start_s in zip(given, clips["start_s"], strict=True)
    ]
    ids = pd.Series(own, dtype="object").where(given.isna(), pd.Series(cut).where(is_cut, given))
    for place in np.flatnonzero(ids.duplicated(keep=False) & given.isna()):
        stretch = clips.loc[place, ["audio_path", "start_s", "duration_s", "audio_channel"]]
        ids[place] += f"~{fingerprint(*(str(part) for part in stretch))[:8]}"
    again = ids.duplicated(keep=False)
    if again.any():
        raise rows.refuse(
            f"clips are described more than once, the first is {ids[again].iloc[0]!r}",
            _row_numbers(again, rows, sources),
            "take the repeated rows out, or give each a clip_id of its own",
        )
    return ids.astype("str")


def _row_numbers(is_meant: pd.Series, rows: Rows, sources: list[int]) -> list[object]:
    """The numbers that the rows behind some clips have in the file they were read from."""
    return list(dict.fromkeys(rows.table.index[sources[place]] for place in np.flatnonzero(is_meant)))


def _split_clips(clips: pd.DataFrame, rows: Rows, sources: list[int]) -> pd.Series:
    """The split of each clip: as given for its voice, else by the name of its voice (its recording where unknown)."""
    speakers = clips["speaker_id"].astype("object")
    recordings = clips["audio_path"].astype("object")
    voices = ("speaker:" + speakers).where(speakers.notna(), "recording:" + recordings)
    given = clips["split"].groupby(voices)
    torn = given.transform("nunique") > 1
    if torn.any():
        raise rows.refuse(
            f"one voice stands in more than one split, the first is {voices[torn].iloc[0]!r}",
            _row_numbers(torn, rows, sources),
            "put every speaker into one split, or leave the split column out to split by speaker",
        )
    by_name = {voice: split_of(voice) for voice in voices.unique()}
    return given.transform("first").fillna(voices.map(by_name)).astype("str")
