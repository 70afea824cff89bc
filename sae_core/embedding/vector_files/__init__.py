"""Files of vectors that people bring: a file a format, each read in pieces of (ids, rows), never unpickled.

What a file is, is told by its content. A piece is at most `PIECE_BYTES` large, so that a file need not fit in memory.
"""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

from sae_core.embedding.vector_files.pieces import Piece, refuse
from sae_core.files.errors import VoxScopeError

READERS = {
    "npy": "sae_core.embedding.vector_files.npy",
    "npz": "sae_core.embedding.vector_files.npz",
    "Parquet": "sae_core.embedding.vector_files.parquet",
    "CSV": "sae_core.embedding.vector_files.delimited",
    "Kaldi": "sae_core.embedding.vector_files.kaldi",
    "safetensors": "sae_core.embedding.vector_files.tensors",
    "HDF5": "sae_core.embedding.vector_files.hdf5",
}
"""Format → the module that reads it: `pieces(path, ids)`, `ids` being a file of ids, the name of a column or array, or
None."""
_HEAD_BYTES = 4096
_MAGIC = {b"\x93NUMPY": "npy", b"PK\x03\x04": "npz", b"PAR1": "Parquet", b"\x89HDF": "HDF5"}
_PICKLE = re.compile(rb"\x80[\x01-\x05]")
_KALDI_BINARY = re.compile(rb"[^\s\0]+ \0B")
_KALDI_TEXT = re.compile(rb"\S+\s+\[\s")
_SCRIPT_LINE = re.compile(rb"[^\s,;]+[ \t]+\S.*:\d+\s*(\r?\n|$)")


def read_vectors(path: Path, ids: str | Path | None = None) -> Iterator[Piece]:
    """The vectors of a file, piece by piece: the ids of some rows, and the rows as float16, float32 or float64.

    ids: a file with one id a line or a table with a column of ids, or the name of the column, array or dataset of ids.
    Raises CorpusError for what is no readable file of vectors, MissingDependencyError where the package for its format
    is not installed.
    """
    kind = format_of(path)
    read = importlib.import_module(READERS[kind]).pieces
    try:
        yield from read(path, ids)
    except (VoxScopeError, GeneratorExit):
        raise
    except Exception as error:  # every library has its own errors for what is damaged
        raise refuse(path, f"cannot be read as {kind} ({_first_line(error)})") from error


def format_of(path: Path) -> str:
    """Which of `READERS` a file is for, by its content; CorpusError where it is none of them."""
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
    except OSError as error:
        raise refuse(path, f"cannot be read ({error.strerror})", remedy="check its path") from error
    if _PICKLE.match(head):
        raise refuse(
            path, "is a pickle, and those are never opened", remedy="save the vectors as .npy or Parquet"
        )
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return kind
    if head[8:10] in (b'{"', b"{}") and int.from_bytes(head[:8], "little") < 2**32:
        return "safetensors"
    if _KALDI_BINARY.match(head) or _KALDI_TEXT.match(head) or _SCRIPT_LINE.match(head):
        return "Kaldi"
    if not head.strip(b"\0 \r\n\t"):
        raise refuse(path, "holds nothing" if not head else "begins with nothing but zeros or blanks")
    if b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise refuse(path, "is of no format of vectors that is read here")
    return "CSV"


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:300]
