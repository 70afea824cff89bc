"""The clips table: which stretch of which recording each row is, who speaks, and what is known about it."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int

from sae_core.files.artifacts import file_digest, fingerprint, read_json, read_table, write_json, write_table
from sae_core.files.contents import column_fault, labels, numbers, text, whole_numbers
from sae_core.files.errors import ArtifactError, CorpusError

CLIP_COLUMNS = ("clip_id", "audio_path", "start_s", "duration_s", "audio_channel", "speaker_id", "split")
VERSION_COLUMN = "audio_version"
"""Which recording lay under the path: null for the first, else what tells it from the one before. Only where one was
replaced since the first import does the table have this column."""
SPLITS = ("train", "selection", "held-out")
SPLIT_SHARES = (0.6, 0.2, 0.2)
MAX_ATTRIBUTE_VALUES = 200
UNKNOWN_VALUES = ("", "unknown")

_SETTINGS = {
    "audio_root": (str, type(None)),
    "attributes": (list, type(None)),
    "has_sound": (bool, type(None)),
}
NO_SOUND = "has no sound: its clips were imported as vectors, without recordings"
SOUND_REMEDY = (
    "to hear them, import the vectors into a new workspace with import-vectors --audio-root FOLDER, the folder of the "
    "recordings"
)
_KINDS = {
    **dict.fromkeys(("clip_id", "audio_path", "split"), text()),
    "start_s": numbers(0.0),
    "duration_s": numbers(0.0),
    "audio_channel": whole_numbers(-1, 10_000),  # −1 is `MIX_DOWN`
    "speaker_id": text(may_lack=True),
}
_SAFE_ID = re.compile(r"[^\w.\-+]+")


@dataclass(frozen=True)
class Corpus:
    """The clips of a workspace; row i is the same clip in every artifact.

    table: one row a clip with `CLIP_COLUMNS` and any attribute columns. `audio_path` is relative to `audio_root`,
        `audio_channel` is a channel number from 0 or `MIX_DOWN`, `speaker_id` is null where unknown.
    audio_root: the folder that every recording must lie in.
    attributes: names of the columns whose values describe clips (language, gender, …).
    has_sound: whether there are recordings at all; without, `audio_path` is the id and every length is 0.
    """

    table: pd.DataFrame
    audio_root: Path
    attributes: tuple[str, ...] = field(default=())
    has_sound: bool = True

    def __post_init__(self) -> None:
        missing = [name for name in CLIP_COLUMNS if name not in self.table.columns]
        if missing:
            raise CorpusError(
                f"the clips table lacks the columns {', '.join(missing)}", remedy="import the folder again"
            )
        repeated = self.table["clip_id"][self.table["clip_id"].duplicated()]
        if len(repeated):
            raise CorpusError(
                f"clip_id {repeated.iloc[0]!r} stands on more than one row",
                remedy="give every clip an id of its own",
            )
        unknown = set(self.table["split"].unique()) - set(SPLITS)
        if unknown:
            raise CorpusError(
                f"split {sorted(map(str, unknown))[0]!r} is not one of {', '.join(SPLITS)}",
                remedy="correct the split column",
            )

    def __len__(self) -> int:
        return len(self.table)

    @cached_property
    def speaker_groups(self) -> Int[np.ndarray, " n"]:
        """A number per clip, equal where the speaker is the same; a recording of unknown speaker is a group of its own.

        Intervals and splits resample these groups.
        """
        names = self.table["speaker_id"].astype("object")
        files = "file:" + self.table["audio_path"].astype(str)
        codes, _ = pd.factorize(names.where(names.notna(), files), sort=True)
        return np.asarray(codes, dtype=np.int64)

    def rows_in(self, split: str) -> Int[np.ndarray, " m"]:
        """Row numbers of one split, ascending."""
        if split not in SPLITS:
            raise ValueError(f"split must be one of {SPLITS}, not {split!r}")
        return np.flatnonzero(self.table["split"].to_numpy() == split)

    def coded(self, attribute: str) -> tuple[Int[np.ndarray, " n"], list[str]]:
        """A value number per clip (-1 where unknown) and the values by number: most frequent first, then by name.

        Empty and "unknown" count as unknown. Raises ValueError for a column that is no attribute.
        """
        if attribute not in self.attributes:
            raise ValueError(
                f"{attribute!r} is no attribute of this corpus (it has {', '.join(self.attributes)})"
            )
        if attribute not in self._coded:
            self._coded[attribute] = _code_values(self.table[attribute])
        return self._coded[attribute]

    @cached_property
    def _coded(self) -> dict[str, tuple[np.ndarray, list[str]]]:
        return {}

    def is_known(self, attribute: str) -> Bool[np.ndarray, " n"]:
        """True where a clip has a value for `attribute`."""
        return self.coded(attribute)[0] >= 0

    def has_value(self, attribute: str, value: str) -> Bool[np.ndarray, " n"]:
        """True where a clip's `attribute` is `value`; False where it differs or is unknown."""
        codes, values = self.coded(attribute)
        return codes == values.index(value) if value in values else np.zeros(len(self), dtype=bool)

    def values_of(self, attribute: str) -> list[str]:
        """The known values of one attribute, most frequent first, then by name."""
        return self.coded(attribute)[1]

    def audio_file(self, row: int) -> Path:
        """The recording of one clip, confined to `audio_root`.

        Raises CorpusError when the path leads outside, through `..` or a symbolic link, and when there is no sound.
        """
        self.check_sound()
        try:
            root = self.audio_root.resolve()
            path = (root / str(self.table["audio_path"].iloc[row])).resolve()
        except (ValueError, RuntimeError, OSError) as error:
            # a zero byte, a circle of links, a name longer than the system allows
            raise CorpusError(
                f"the recording of clip {row} has no usable path ({error})", remedy="import the folder again"
            ) from error
        if not path.is_relative_to(root):
            raise CorpusError(
                "the recording lies outside the corpus folder",
                where=path,
                remedy="import the folder that holds it",
            )
        return path

    def check_sound(self, where: Path | None = None) -> None:
        """CorpusError where this corpus has no recordings."""
        if not self.has_sound:
            raise CorpusError(NO_SOUND, where=where, remedy=SOUND_REMEDY)

    @cached_property
    def audio_fingerprint(self) -> str:
        """Changes when a clip, its place in a recording, the order of rows or a recording under its path changes: the
        parent of embeddings."""
        columns = ["clip_id", "audio_path", "start_s", "duration_s", "audio_channel"]
        columns += [VERSION_COLUMN] if VERSION_COLUMN in self.table.columns else []
        return fingerprint(*(self._digest_of(name) for name in columns))

    @cached_property
    def split_fingerprint(self) -> str:
        """Changes when a clip's split changes: a parent of every SAE."""
        return fingerprint(self._digest_of("split"))

    @cached_property
    def labels_fingerprint(self) -> str:
        """Changes when a speaker, split or attribute changes: a parent of the attribute statistics."""
        names = ("speaker_id", "split", *self.attributes)
        return fingerprint(*(part for name in names for part in (name, self._digest_of(name))))

    def _digest_of(self, column: str) -> bytes:
        if column not in self._digests:
            self._digests[column] = _column_digest(self.table[column])
        return self._digests[column]

    @cached_property
    def _digests(self) -> dict[str, bytes]:
        return {}

    def save(self, folder: Path) -> None:
        """Write clips.parquet and corpus.json into `folder`, each atomically.

        corpus.json also keeps a digest of every column, and of the file they hold for: whoever opens it again need not
        read a million names to know that nothing has changed.
        """
        folder.mkdir(parents=True, exist_ok=True)
        root = self.audio_root.resolve()
        inside = root.is_relative_to(folder.resolve())
        write_table(folder / "clips.parquet", self.table)
        write_json(
            folder / "corpus.json",
            {
                "audio_root": str(root.relative_to(folder.resolve())) if inside else str(root),
                "attributes": list(self.attributes),
                **({} if self.has_sound else {"has_sound": False}),
                "digests": {
                    "of_file": file_digest(folder / "clips.parquet"),
                    "of_columns": {str(name): self._digest_of(name).hex() for name in self.table.columns},
                },
            },
        )

    @classmethod
    def load(cls, folder: Path) -> "Corpus":
        """Return the corpus saved in `folder`; ArtifactError or CorpusError when it is missing or damaged."""
        remedy = f"run: python -m sae_core import FOLDER --workspace {folder}"
        settings = read_json(folder / "corpus.json", keys=_SETTINGS, remedy=remedy)
        attributes = tuple(settings.get("attributes") or ())
        are_names = all(isinstance(name, str) for name in attributes)
        if not are_names or len({*attributes, *CLIP_COLUMNS}) < len(attributes) + len(CLIP_COLUMNS):
            raise ArtifactError(
                "names attributes in a way that cannot be", where=folder / "corpus.json", remedy=remedy
            )
        table = read_table(folder / "clips.parquet", columns=_KINDS, remedy=remedy)
        missing = [name for name in attributes if name not in table.columns]
        if missing:
            raise CorpusError(
                f"the attribute columns {', '.join(missing)} are missing",
                where=folder / "clips.parquet",
                remedy=remedy,
            )
        if fault := column_fault(table, dict.fromkeys(attributes, labels())):
            raise ArtifactError(fault, where=folder / "clips.parquet", remedy=remedy)
        root, has_sound = folder / (settings.get("audio_root") or "."), settings.get("has_sound") is not False
        corpus = cls(table, root, attributes, has_sound)
        corpus._digests.update(_stored_digests(settings, folder / "clips.parquet"))
        return corpus


def _stored_digests(settings: Mapping[str, Any], file: Path) -> dict[str, bytes]:
    """The digests of columns that corpus.json holds, if they are of this very file."""
    try:
        if settings["digests"]["of_file"] != file_digest(file):
            return {}
        return {name: bytes.fromhex(digest) for name, digest in settings["digests"]["of_columns"].items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}


def _code_values(column: pd.Series) -> tuple[Int[np.ndarray, " n"], list[str]]:
    """A value number per clip, -1 where unknown, and the values by number: most frequent first, then by name."""
    codes, found = pd.factorize(column)
    names = [str(value) for value in found]
    counts: dict[str, int] = {}
    for name, n in zip(names, np.bincount(codes[codes >= 0], minlength=len(names)), strict=True):
        if name not in UNKNOWN_VALUES:
            counts[name] = counts.get(name, 0) + int(n)
    values = sorted(counts, key=lambda value: (-counts[value], value))
    numbers = {value: number for number, value in enumerate(values)}
    # the last place stands for the clips that have no value, whose code is -1
    table = np.array([*(numbers.get(name, -1) for name in names), -1], dtype=np.int32)
    return table[codes], values


def _column_digest(column: pd.Series) -> bytes:
    return hashlib.blake2b(
        pd.util.hash_pandas_object(column.astype("object"), index=False).to_numpy().tobytes(), digest_size=16
    ).digest()


def clip_marks(corpus: Corpus) -> list[str]:
    """What each clip is, in 16 hex digits: equal where it is the same stretch and channel of the same recording, so
    that what was made of it in another order of rows, or among others, still holds."""
    names = ["audio_path", "start_s", "duration_s", "audio_channel"]
    names += [VERSION_COLUMN] if VERSION_COLUMN in corpus.table.columns else []
    table = corpus.table[names].assign(**{name: corpus.table[name].fillna("") for name in names[4:]})
    hashed = pd.util.hash_pandas_object(table.reset_index(drop=True), index=False)
    # the mark of a recording that was never replaced must not hang on whether another one was
    if VERSION_COLUMN in names:
        plain = pd.util.hash_pandas_object(table[names[:4]].reset_index(drop=True), index=False)
        hashed = hashed.where((table[VERSION_COLUMN] != "").to_numpy(), plain)
    return [f"{value:016x}" for value in hashed.tolist()]


def split_of(group: str) -> str:
    """The split of a speaker (or recording) by name alone: reordering or adding rows moves none."""
    place = int.from_bytes(hashlib.blake2b(group.encode(), digest_size=8).digest(), "big") / 2**64
    if place < SPLIT_SHARES[0]:
        return SPLITS[0]
    return SPLITS[1] if place < SPLIT_SHARES[0] + SPLIT_SHARES[1] else SPLITS[2]


def clip_halves(clip_ids: pd.Series) -> Bool[np.ndarray, " n"]:
    """A stable coin per clip by its id: True for the half that stands in for held-out where speakers are too few."""
    coins = [hashlib.blake2b(str(name).encode(), digest_size=1).digest()[0] & 1 for name in clip_ids]
    return np.asarray(coins, dtype=bool)


def clip_id_from(audio_path: str, start_s: float | None = None) -> str:
    """An id for people and files: the path without its suffix, made safe, with the start in ms for a segment."""
    stem = _SAFE_ID.sub("_", str(Path(audio_path).with_suffix("")).replace("/", "--").replace("\\", "--"))
    return stem if start_s is None else f"{stem}@{round(start_s * 1000):08d}"


def attribute_columns(table: pd.DataFrame) -> tuple[str, ...]:
    """The columns that can serve as attributes: text or true/false, with 1 to `MAX_ATTRIBUTE_VALUES` values."""
    chosen = []
    for name in table.columns:
        column = table[name]
        is_number = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
        if name in (*CLIP_COLUMNS, VERSION_COLUMN) or is_number:
            continue
        if 1 <= column.nunique(dropna=True) <= MAX_ATTRIBUTE_VALUES:
            chosen.append(str(name))
    return tuple(chosen)
