"""Files that survive: atomic writes, safe reads, format version and fingerprints of parents.

Every derived file is written to a temporary name beside its target, flushed to disk and renamed, so a reader sees the
old file or the new one and never half of one. Nothing here can unpickle.
"""

import contextlib
import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import DTypeLike

from sae_core.files.contents import Kind, Types, column_fault, key_fault, with_numbers
from sae_core.files.errors import ArtifactError, StaleArtifactError
from sae_core.files.formats import FORMAT_VERSION, check_version, modern_json, modern_settings, modern_table

CHECKED_AT_OPEN_BYTES = 4 * 1024 * 1024
"""Files up to this size are read once and compared with their digest whenever they are opened."""
_N_PIECES, _PIECE_BYTES = 32, 16 * 1024
"""Of a larger array, what is looked at when it is opened: a few milliseconds, whatever its size."""
MAX_JSON_BYTES = 64 * 1024 * 1024
MAX_JSON_DEPTH = 64
MAX_SAFETENSORS_HEADER_BYTES = 16 * 1024 * 1024

_META_KEYS: dict[str, Types] = {
    "fingerprint": str,
    "parents": dict,
    "settings": dict,
    "files": (dict, type(None)),
}
_WRITE_REMEDIES = {
    errno.ENOSPC: "free some space on that disk and run the same command again; finished work is kept",
    errno.EDQUOT: "free some of your disk quota and run the same command again; finished work is kept",
    errno.EFBIG: "the file is larger than this system allows here; choose another disk",
    errno.EROFS: "this folder is on a read-only disk; choose another --workspace",
    errno.EACCES: "this folder may not be written; change its permissions or choose another --workspace",
    errno.EPERM: "this folder may not be written; change its permissions or choose another --workspace",
    errno.EEXIST: "a file has the name of a folder that is needed here; choose another place",
    errno.ENOTDIR: "a file has the name of a folder that is needed here; choose another place",
    errno.EISDIR: "a folder has that name already; choose another name for the file",
    errno.ENAMETOOLONG: "the name is longer than this system allows; choose a shorter one",
}


@contextlib.contextmanager
def writing(path: Path, *, mode: int = 0o644) -> Iterator[Path]:
    """Yield a temporary path beside `path` that becomes `path` when the block ends well, and vanishes when it does not.

    mode: who may read it then, as for chmod. Raises ArtifactError when the folder cannot be written or the disk is
    full; an existing `path` is then untouched.
    """
    path = Path(path)
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=f".tmp{path.suffix}", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        _settle(temporary, path, mode)
    except OSError as error:
        if error.errno not in _WRITE_REMEDIES:
            raise
        raise ArtifactError(
            f"cannot be written ({error.strerror})", where=path, remedy=_WRITE_REMEDIES[error.errno]
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _settle(temporary: Path, path: Path, mode: int) -> None:
    with temporary.open("rb") as stream:
        os.fsync(stream.fileno())
    os.chmod(temporary, mode)
    temporary.replace(path)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write `value` as readable JSON, atomically."""
    with writing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")


def read_json(
    path: Path, *, keys: Mapping[str, Types] | None = None, remedy: str | None = None
) -> dict[str, Any]:
    """Return the JSON object in `path`; ArtifactError when it is missing, too large, not an object, or holds other
    types under `keys` than these say."""
    path = Path(path)
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise ArtifactError("is too large to be one of VoxScope's JSON files", where=path, remedy=remedy)
        value = _parse_json(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise ArtifactError("does not exist", where=path, remedy=remedy) from error
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"is not valid JSON ({error})", where=path, remedy=remedy) from error
    except OSError as error:
        raise ArtifactError(f"cannot be read ({error.strerror})", where=path, remedy=remedy) from error
    if not isinstance(value, dict):
        raise ArtifactError("holds no JSON object", where=path, remedy=remedy)
    value = modern_json(path.name, value)
    if fault := key_fault(value, keys or {}):
        raise ArtifactError(fault, where=path, remedy=remedy)
    return value


def _parse_json(text: str) -> Any:
    """The value that JSON holds; ValueError or RecursionError where it is none, or holds what no other file could:
    NaN, a number of thousands of digits, half a character."""

    def refuse(word: str) -> None:
        raise ValueError(f"{word} is no number")

    value = json.loads(text, parse_constant=refuse)
    if text.count("{") + text.count("[") > MAX_JSON_DEPTH and _is_deep(value, MAX_JSON_DEPTH):
        raise ValueError(f"it is nested deeper than {MAX_JSON_DEPTH} levels")
    if "\\ud" in text.lower():
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise ValueError("half of a character stands alone") from error
    return value


def _is_deep(value: Any, n_levels: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return n_levels == 0 or any(_is_deep(item, n_levels - 1) for item in inner)


def write_array(path: Path, array: np.ndarray) -> None:
    """Write one array as .npy, atomically."""
    with writing(path) as temporary, temporary.open("wb") as stream:
        np.save(_PlainStream(stream), array, allow_pickle=False)


@contextlib.contextmanager
def writing_in_pieces(
    path: Path, shape: tuple[int, ...], dtype: DTypeLike
) -> Iterator[Callable[[np.ndarray], None]]:
    """Yield a function that takes the next rows of an array of this shape; it becomes the .npy file `path` when the
    block ends well. ArtifactError as from `writing`."""
    with writing(path) as temporary, temporary.open("wb") as stream:
        kind = np.dtype(dtype)
        described = {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(_PlainStream(stream), described)

        def add(rows: np.ndarray) -> None:
            stream.write(np.ascontiguousarray(rows, kind).data)

        yield add


class _PlainStream:
    """Only `write`: given a real file, numpy writes past Python and its errors no longer say why they happened."""

    def __init__(self, stream: BinaryIO) -> None:
        self.write = stream.write


def read_array(path: Path, *, remedy: str | None = None) -> np.ndarray:
    """Return the array in a .npy file, memory-mapped read-only; ArtifactError when it is missing or damaged."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise ArtifactError("does not exist", where=path, remedy=remedy) from error
    except Exception as error:  # the header is read by Python's own parsers, which raise errors of many kinds
        raise ArtifactError(f"is not a readable .npy array ({error})", where=path, remedy=remedy) from error


def rows_to_check(array: np.ndarray) -> np.ndarray:
    """The rows of a stored array that are looked at when it is opened, i64, rising: all of a small one, of a large one
    pieces from its first row to its last."""
    if array.nbytes <= CHECKED_AT_OPEN_BYTES:
        return np.arange(len(array))
    n_each = max(1, _PIECE_BYTES * len(array) // array.nbytes)
    starts = np.linspace(0, max(0, len(array) - n_each), _N_PIECES).astype(np.int64)
    return np.unique((starts[:, None] + np.arange(min(n_each, len(array)))).ravel())


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as Parquet (zstd), atomically."""
    with writing(path) as temporary:
        pq.write_table(pa.Table.from_pandas(table, preserve_index=False), temporary, compression="zstd")


def read_table(
    path: Path, *, columns: Sequence[str] | Mapping[str, Kind] | None = None, remedy: str | None = None
) -> pd.DataFrame:
    """Return a Parquet table; ArtifactError when it is missing, damaged, lacks one of `columns` or, where these say
    what each may hold, holds anything else."""
    try:
        table = modern_table(Path(path).name, pq.read_table(path, columns=None).to_pandas())
    except FileNotFoundError as error:
        raise ArtifactError("does not exist", where=path, remedy=remedy) from error
    except Exception as error:
        # what pandas noted in the file of its own columns may be damaged, too, and it expects nothing of the kind
        raise ArtifactError(
            f"is not a readable Parquet table ({error})", where=path, remedy=remedy
        ) from error
    missing = [name for name in columns or () if name not in table.columns]
    if missing:
        raise ArtifactError(f"lacks the columns {', '.join(missing)}", where=path, remedy=remedy)
    if not isinstance(columns, Mapping):
        return table
    if fault := column_fault(table, columns):
        raise ArtifactError(fault, where=path, remedy=remedy)
    return with_numbers(table, columns)


def read_failures(path: Path) -> pd.DataFrame:
    """A failures table, empty when there is none."""
    return read_table(path) if path.exists() else pd.DataFrame({"reason": pd.Series(dtype="str")})


def write_tensors(
    path: Path, tensors: Mapping[str, np.ndarray], *, metadata: Mapping[str, str] | None = None
) -> None:
    """Write named arrays as safetensors, atomically."""
    from safetensors.numpy import save

    with writing(path) as temporary:
        contiguous = {name: np.asarray(array, order="C") for name, array in tensors.items()}
        temporary.write_bytes(save(contiguous, metadata=dict(metadata or {})))


def read_tensors(path: Path, *, remedy: str | None = None) -> dict[str, np.ndarray]:
    """Return the named arrays of a safetensors file; ArtifactError when it is missing, garbage or a pickle."""
    from safetensors.numpy import load_file

    path = Path(path)
    try:
        with path.open("rb") as stream:
            head = stream.read(8)
        if len(head) < 8 or int.from_bytes(head, "little") > MAX_SAFETENSORS_HEADER_BYTES:
            raise ArtifactError(
                "is not a safetensors file (pickled checkpoints are never opened)", where=path, remedy=remedy
            )
        return dict(load_file(str(path)))
    except FileNotFoundError as error:
        raise ArtifactError("does not exist", where=path, remedy=remedy) from error
    except ArtifactError:
        raise
    except Exception as error:
        raise ArtifactError(
            f"is not a readable safetensors file ({error})", where=path, remedy=remedy
        ) from error


def fingerprint(*parts: object) -> str:
    """Return 16 hex digits that change when any part does: text, bytes, numbers, arrays, mappings and sequences."""
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        _absorb(digest, part)
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """A digest of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "blake2b").hexdigest()[:32]


def _absorb(digest: "hashlib._Hash | hashlib.blake2b", part: object) -> None:
    if isinstance(part, np.ndarray):
        digest.update(f"array{part.dtype.str}{part.shape}".encode())
        rows_per_piece = max(1, 2**24 // max(1, part[:1].nbytes)) if part.ndim else 1
        for start in range(0, len(part) if part.ndim else 1, rows_per_piece):
            piece = part[start : start + rows_per_piece] if part.ndim else part
            digest.update(np.ascontiguousarray(piece).tobytes())
    elif isinstance(part, bytes):
        digest.update(b"bytes%d:" % len(part) + part)
    elif isinstance(part, str | int | float | bool) or part is None:
        text = f"{type(part).__name__}:{part!r}".encode()
        digest.update(b"%d:" % len(text) + text)
    elif isinstance(part, Mapping):
        digest.update(b"{%d" % len(part))
        for key in sorted(part, key=str):
            _absorb(digest, str(key))
            _absorb(digest, part[key])
    elif isinstance(part, list | tuple):
        digest.update(b"[%d" % len(part))
        for item in part:
            _absorb(digest, item)
    else:
        raise ValueError(f"cannot fingerprint a {type(part).__name__}")


@dataclass(frozen=True)
class ArtifactMeta:
    """What a derived artifact says of itself, kept as JSON beside it.

    kind: what it is ("embeddings", "sae", "index", …). fingerprint: of its own content.
    parents: name → fingerprint of each thing it was made from. settings: what it was made with.
    files: name of each file beside it → its size and digest, as "bytes:digest"; empty in folders of earlier versions.
    """

    kind: str
    fingerprint: str
    parents: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)

    def write(self, path: Path, *, files: Sequence[str] = ()) -> None:
        """Write to `path`, atomically, with the digests of `files` beside it; the artifact counts as finished then."""
        described = {name: _describe(path.with_name(name)) for name in files}
        write_json(path, {"format_version": FORMAT_VERSION, **self.__dict__, "files": described})

    @classmethod
    def read(cls, path: Path, *, kind: str, remedy: str) -> "ArtifactMeta":
        """Return the meta in `path`; ArtifactError when missing, damaged, of another kind or a newer format."""
        raw = read_json(path, remedy=remedy)
        check_version(raw.get("format_version"), where=path, remedy=remedy)
        if fault := key_fault(raw, _META_KEYS):
            raise ArtifactError(fault, where=path, remedy=remedy)
        if raw.get("kind") != kind:
            raise ArtifactError(f"describes {raw.get('kind')!r}, not {kind!r}", where=path, remedy=remedy)
        files = {name: str(described) for name, described in (raw.get("files") or {}).items()}
        return cls(kind, raw["fingerprint"], raw["parents"], modern_settings(raw["settings"]), files)

    def check_parents(self, current: Mapping[str, str], *, where: Path, remedy: str) -> None:
        """Raise StaleArtifactError when a parent's fingerprint differs from the `current` one."""
        for name, expected in self.parents.items():
            if name in current and current[name] != expected:
                raise StaleArtifactError(f"was made from an earlier {name}", where=where, remedy=remedy)

    def check_files(self, folder: Path, *, remedy: str, whole: bool = False) -> None:
        """Raise ArtifactError when a file beside this is not the one that was written: another size, another content.

        Contents are compared up to `CHECKED_AT_OPEN_BYTES` a file, or of all files where `whole`.
        """
        for name, described in self.files.items():
            path, n_bytes = folder / name, described.partition(":")[0]
            if Path(name).name != name or not (n_bytes.isascii() and n_bytes.isdigit() and len(n_bytes) < 20):
                raise ArtifactError(
                    f"names {name[:80]!r} in a way that cannot be", where=folder, remedy=remedy
                )
            try:
                is_same = path.stat().st_size == int(n_bytes)
                if is_same and (whole or int(n_bytes) <= CHECKED_AT_OPEN_BYTES):
                    is_same = _describe(path) == described
            except OSError as error:
                raise ArtifactError(
                    f"cannot be read ({error.strerror})", where=path, remedy=remedy
                ) from error
            if not is_same:
                raise ArtifactError("was changed since it was written", where=path, remedy=remedy)


def _describe(path: Path) -> str:
    return f"{path.stat().st_size}:{file_digest(path)}"
