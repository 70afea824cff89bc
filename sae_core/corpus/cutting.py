"""From rows to clips: where each lies, what it is called, who speaks, and which split it belongs to."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from sae_core.audio.reading import MAX_CLIP_S, SHORTFALL_S, AudioInfo
from sae_core.audio.recordings import MIX_DOWN
from sae_core.corpus.clips import VERSION_COLUMN, clip_id_from, split_of
from sae_core.corpus.inspection import Probes
from sae_core.corpus.rows import ROW_COLUMNS, Rows
from sae_core.files.artifacts import fingerprint
from sae_core.files.errors import CorpusError

SHORTEST_TAIL = 1 / 3
CHANNELS = ("mix", "split")
SIDES = ("left", "right")
MAX_JOINED_SPEAKERS = 5
"""Speakers that share a recording go into one split, up to so many: a jingle that all share joins nobody."""
NUMBERS = ("start_s", "duration_s", "audio_channel")


@dataclass(frozen=True)
class CutSettings:
    """How recordings become clips.

    channel: the one to take where a row names none; None mixes all down. window_s: longest clip; longer stretches are
    cut into clips of that length, and a last one shorter than a third of it is dropped. None cuts nothing.
    channels: one of `CHANNELS`; "split" makes each side of a two-channel recording, of which no row names a channel,
    clips of a speaker of its own: `<call>/left` and `<call>/right`. Both stay in one split.
    """

    channel: int | None = None
    window_s: float | None = None
    channels: str = "mix"

    def __post_init__(self) -> None:
        if self.window_s is not None and not 0.5 <= self.window_s <= MAX_CLIP_S:
            raise CorpusError(
                f"clips of {self.window_s:g} s cannot be cut",
                remedy=f"give --window-s a length between 0.5 and {MAX_CLIP_S:.0f} seconds",
            )
        if self.channel is not None and self.channel < 0:
            raise CorpusError(f"there is no channel {self.channel}", remedy="count --channel from 0")
        if self.channels not in CHANNELS:
            raise CorpusError(
                f"channels cannot be {self.channels!r}",
                remedy=f"give --channels one of {', '.join(CHANNELS)}",
            )
        if self.channels == "split" and self.channel is not None:
            raise CorpusError(
                "one channel cannot be taken and both be split",
                remedy="give either --channel or --channels split",
            )


def cut_clips(
    rows: Rows, probes: Mapping[str, AudioInfo | str], settings: CutSettings
) -> tuple[pd.DataFrame, list[tuple[str, str]]]:
    """The clips table, and (recording, reason) of each row that gives no clip.

    Where a row says neither start nor duration it means the whole recording. CorpusError when two rows describe the
    same stretch, or a speaker stands in more than one split.
    """
    table = rows.table.reset_index(drop=True)
    spans, failures = _Spans(table, settings), []
    sources: list[int] = []
    cuts: list[tuple[float, float, int, bool, str | None]] = []
    for row, name in enumerate(table["audio_path"]):
        info = probes[name]
        found = [info] if isinstance(info, str) else spans.of(row, info)
        for span in found:
            if isinstance(span, str):
                failures.append((str(name), span))
                continue
            sources += [row] * len(span.pieces)
            cuts += [(*piece, span.channel, span.is_part, span.side) for piece in span.pieces]
    columns = list(zip(*cuts, strict=True)) or [()] * 5
    clips = (
        table.iloc[sources]
        .reset_index(drop=True)
        .assign(
            start_s=np.asarray(columns[0], dtype=np.float64),
            duration_s=np.asarray(columns[1], dtype=np.float64),
            audio_channel=np.asarray(columns[2], dtype=np.int64),
        )
    )
    for name in ("clip_id", "speaker_id", "split"):
        if name not in clips:
            clips[name] = pd.Series([None] * len(clips), dtype="str")
    sides = pd.Series(columns[4], index=clips.index, dtype="object")
    clips["clip_id"] = _name_clips(clips, np.asarray(columns[3], dtype=bool), sides, rows, sources)
    clips["speaker_id"] = _side_speakers(clips, sides)
    groups = _split_groups(clips, sides)
    taken_from = _joined_by_copies(clips, groups, probes.copy_of if isinstance(probes, Probes) else {})
    clips["split"] = _split_clips(clips, groups, taken_from, rows, sources)
    others = [name for name in clips.columns if name not in ROW_COLUMNS]
    order = ("clip_id", "audio_path", "start_s", "duration_s", "audio_channel", "speaker_id", "split")
    return _with_versions(clips[[*order, *others]], probes), list(dict.fromkeys(failures))


def _with_versions(clips: pd.DataFrame, probes: Mapping[str, AudioInfo | str]) -> pd.DataFrame:
    """The clips with `VERSION_COLUMN` where a recording was replaced."""
    if not (isinstance(probes, Probes) and probes.version_of):
        return clips
    return clips.assign(**{VERSION_COLUMN: clips["audio_path"].map(probes.version_of).astype("str")})


def _side_speakers(clips: pd.DataFrame, sides: pd.Series) -> pd.Series:
    """The speaker of each clip: whoever was named speaks on one side of a call, nobody knows on which."""
    if sides.isna().all():
        return clips["speaker_id"]
    calls = clips["audio_path"].map(
        {name: str(Path(name).with_suffix("")) for name in clips["audio_path"].unique()}
    )
    return (
        clips["speaker_id"].astype("object").where(sides.isna(), calls + "/" + sides.fillna("")).astype("str")
    )


@dataclass(frozen=True)
class _Span:
    pieces: list[tuple[float, float]]
    channel: int
    is_part: bool
    side: str | None = None


class _Spans:
    """Which stretches of its recording each row means."""

    def __init__(self, table: pd.DataFrame, settings: CutSettings) -> None:
        self._settings = settings
        self._raw = {name: table[name].to_numpy(dtype=object) for name in NUMBERS if name in table}
        self._numbers = {
            name: pd.to_numeric(table[name], errors="coerce").to_numpy(dtype=np.float64) for name in self._raw
        }

    def of(self, row: int, info: AudioInfo) -> list[_Span | str]:
        """The stretches of one row, of each side where both are wanted, or why it has none."""
        found = self._of(row, info)
        is_split = self._settings.channels == "split" and info.n_channels == len(SIDES)
        if (
            isinstance(found, str)
            or not is_split
            or found.channel != MIX_DOWN
            or self._number(NUMBERS[2], row)
        ):
            return [found]
        return [replace(found, channel=number, side=side) for number, side in enumerate(SIDES)]

    def _of(self, row: int, info: AudioInfo) -> _Span | str:
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


def _name_clips(
    clips: pd.DataFrame, is_part: np.ndarray, sides: pd.Series, rows: Rows, sources: list[int]
) -> pd.Series:
    """Ids: the given one, else one from the path; pieces carry their start, sides their name, what still collides a
    short digest."""
    is_cut = pd.DataFrame({"row": sources, "side": sides}).duplicated(keep=False)
    given = clips["clip_id"].astype("object")
    stretches = zip(clips["audio_path"], clips["start_s"], is_part, strict=True)
    own = [clip_id_from(path, start_s if part else None) for path, start_s, part in stretches]
    cut = [
        f"{name}@{round(start_s * 1000):08d}" for name, start_s in zip(given, clips["start_s"], strict=True)
    ]
    ids = pd.Series(own, dtype="object").where(given.isna(), pd.Series(cut).where(is_cut, given))
    ids = ids.where(sides.isna(), ids + "-" + sides.fillna(""))
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


def _split_groups(clips: pd.DataFrame, sides: pd.Series) -> pd.Series:
    """What must stay in one split, by clip: a speaker, or a recording where the speaker is unknown or both sides of a
    call are clips."""
    speakers = clips["speaker_id"].astype("object").where(sides.isna())
    recordings = "recording:" + clips["audio_path"].astype("object")
    return ("speaker:" + speakers).where(speakers.notna(), recordings)


def _joined_by_copies(clips: pd.DataFrame, groups: pd.Series, copy_of: Mapping[str, str]) -> dict[str, str]:
    """Group → the group whose split it takes, for groups that share a recording."""
    if not copy_of:
        return {}
    first_of = clips["audio_path"].map(lambda name: copy_of.get(name, name))
    head: dict[str, str] = {}

    def find(group: str) -> str:
        while group in head:
            group = head[group]
        return group

    for _, members in groups[first_of.isin(set(copy_of.values()))].groupby(first_of):
        together = sorted({find(group) for group in members.unique()})
        if sum(group.startswith("speaker:") for group in together) <= MAX_JOINED_SPEAKERS:
            head.update(dict.fromkeys(together[1:], together[0]))
    return {group: find(group) for group in head}


def _split_clips(
    clips: pd.DataFrame, groups: pd.Series, taken_from: Mapping[str, str], rows: Rows, sources: list[int]
) -> pd.Series:
    """The split of each clip: as given for its group, else by the name of that or of the group it is `taken_from`."""
    given = clips["split"].groupby(groups)
    torn = given.transform("nunique") > 1
    if torn.any():
        raise rows.refuse(
            f"one speaker stands in more than one split, the first is {groups[torn].iloc[0]!r}",
            _row_numbers(torn, rows, sources),
            "put every speaker into one split, or leave the split column out to split by speaker",
        )
    by_name = {group: split_of(taken_from.get(group, group)) for group in groups.unique()}
    return given.transform("first").fillna(groups.map(by_name)).astype("str")
