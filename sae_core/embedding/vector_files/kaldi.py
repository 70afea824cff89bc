"""Kaldi's ark, binary or text, and scp: one vector an id.

kaldiio would also run commands that a scp names and open pickles in an ark: every entry is looked at before it is
handed over, and only vectors and matrices of one row are.
"""

import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from sae_core.embedding.vector_files.pieces import (
    MAX_DIM,
    MAX_ID_CHARS,
    MAX_VECTORS,
    Piece,
    one_by_one,
    refuse,
)
from sae_core.files.errors import CorpusError, MissingDependencyError

_SCRIPT_LINE = re.compile(r"(\S+)\s+(.+):(\d+)\s*")
_MAX_LINE = 16_384
_MAX_TEXT_BYTES = 64 * MAX_DIM
# kind → bytes a number; then what a compressed matrix keeps for each column
_PLAIN = {b"FV ": 4, b"DV ": 8, b"FM ": 4, b"DM ": 8}
_COMPRESSED = {b"CM ": (1, 8), b"CM2": (2, 0), b"CM3": (1, 0)}


def pieces(path: Path, ids: str | Path | None) -> Iterator[Piece]:  # noqa: ARG001 - ids stand in the file
    """See `read_vectors`."""
    try:
        import kaldiio  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            "is a Kaldi file, for which the package kaldiio is not installed", where=path,
            remedy="install the extra: pip install voxscope[vectors]",
        ) from error  # fmt: skip
    with path.open("rb") as stream:
        first = stream.readline(_MAX_LINE)
    is_script = b"\0" not in first and _SCRIPT_LINE.fullmatch(first.decode("utf-8", "replace").rstrip("\r\n"))
    yield from one_by_one(_script(path) if is_script else _archive(path), path)


def _archive(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    with path.open("rb") as stream:
        for _ in range(MAX_VECTORS + 1):
            name = _token(stream, path)
            if name is None:
                return
            yield name, _entry(stream, name, path)
    raise refuse(path, f"holds more than {MAX_VECTORS:,} vectors")


def _script(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    opened: tuple[Path, BinaryIO] | None = None
    try:
        with path.open("r", encoding="utf-8") as lines:
            for number in range(1, MAX_VECTORS + 2):
                line = lines.readline(_MAX_LINE)
                if not line:
                    return
                if not line.strip():
                    continue
                found = _SCRIPT_LINE.fullmatch(line.rstrip("\r\n"))
                if found is None or found[2].startswith("|"):
                    raise refuse(
                        path,
                        f"line {number} is not `id archive:offset` (commands in a scp are never run)",
                        remedy="write one with copy-vector ark:… ark,scp:vectors.ark,vectors.scp",
                    )
                archive = _beside(path, found[2])
                if opened is None or opened[0] != archive:
                    if opened is not None:
                        opened[1].close()
                    opened = archive, archive.open("rb")
                opened[1].seek(int(found[3]))
                yield found[1], _entry(opened[1], found[1], archive)
    finally:
        if opened is not None:
            opened[1].close()
    raise refuse(path, f"names more than {MAX_VECTORS:,} vectors")


def _beside(script: Path, named: str) -> Path:
    """The archive that a line names, in the folder of the script or below it; one from elsewhere is looked for there
    by its own name."""
    folder = script.parent.resolve()
    for candidate in (folder / named, folder / os.path.basename(named)):
        archive = candidate.resolve()
        if archive.is_relative_to(folder) and archive.is_file():
            return archive
    raise refuse(
        script,
        f"names {named!r}, and there is no such archive beside it",
        remedy="put the .ark beside the .scp",
    )


def _token(stream: BinaryIO, path: Path) -> str | None:
    """The id before an entry; None at the end of the file."""
    token = bytearray()
    while (byte := stream.read(1)) not in (b" ", b"", b"\t"):
        if byte in (b"\n", b"\r") and not token:
            continue
        token += byte
        if len(token) > MAX_ID_CHARS or byte == b"\0":
            raise refuse(path, "is damaged: where an id should stand there is something else")
    if not token and byte == b"":
        return None
    if byte == b"":
        raise _cut_off(path, token.decode("utf-8", "replace"))
    return token.decode("utf-8")


def _entry(stream: BinaryIO, name: str, path: Path) -> np.ndarray:
    """One vector; kaldiio is given a binary one once its size and kind are known."""
    import kaldiio.matio

    head = stream.read(2)
    if head != b"\0B":
        return _text(stream, head, name, path)
    return np.asarray(kaldiio.matio.read_kaldi(io.BytesIO(_binary(stream, name, path))))


def _binary(stream: BinaryIO, name: str, path: Path) -> bytes:
    kind = stream.read(3)
    is_compressed = kind in _COMPRESSED
    if kind not in _PLAIN and not is_compressed:
        raise refuse(path, f"holds something under {name!r} that is no vector of floats")
    n_fields = 1 if kind[1:2] == b"V" else 2
    # a compressed matrix: what follows its kind is a blank of the kind itself, two floats and its shape
    lead = (stream.read(0 if kind == b"CM " else 1) + stream.read(8)) if is_compressed else b""
    sizes = stream.read(8 if is_compressed else 5 * n_fields)
    if len(sizes) < (8 if is_compressed else 5 * n_fields):
        raise _cut_off(path, name)
    if is_compressed:
        shape = [int.from_bytes(sizes[at : at + 4], "little", signed=True) for at in (0, 4)]
        each, a_column = _COMPRESSED[kind]
        n_bytes = each * shape[0] * shape[1] + a_column * shape[1]
    else:
        shape = [
            int.from_bytes(sizes[at + 1 : at + 5], "little", signed=True) for at in range(0, 5 * n_fields, 5)
        ]
        n_bytes = _PLAIN[kind] * int(np.prod(shape, dtype=np.float64))
    if min(shape) < 1 or shape[-1] > MAX_DIM or (n_fields == 2 and shape[0] != 1):
        words = "×".join(map(str, shape))
        raise refuse(path, f"holds {words} numbers under {name!r}, not one vector of at most {MAX_DIM:,}")
    body = stream.read(n_bytes)
    if len(body) < n_bytes:
        raise _cut_off(path, name)
    return b"\0B" + kind + lead + sizes + body


def _text(stream: BinaryIO, head: bytes, name: str, path: Path) -> np.ndarray:
    """A vector that stands as text between brackets: kaldiio takes one that begins with `1e-05` for whole numbers."""
    content = bytearray(head)
    while b"]" not in content:
        line = stream.readline(_MAX_TEXT_BYTES)
        content += line
        if not line:
            raise _cut_off(path, name)
        if len(content) > _MAX_TEXT_BYTES or b"\0" in line:
            raise refuse(path, f"holds no vector under {name!r}")
    found = re.fullmatch(rb"\s*\[\s*([^\[\]\n]*?)\s*\]\s*", bytes(content))
    if found is None:
        raise refuse(path, f"holds no vector of one line under {name!r}")
    return np.array(found[1].split(), dtype=np.float64)


def _cut_off(path: Path, name: str) -> CorpusError:
    return refuse(path, f"ends within the vector of {name!r}", remedy="copy the file again: it is cut off")
