"""Names inside zips: in which encoding they were written, and which of them no file can have."""

import re
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Sequence

from sae_core.corpus.texts import EIGHT_BIT, asian_encoding, name_of_encoding

_IS_UTF8 = 0x800
_UNICODE_PATH = 0x7075
# the encodings that systems without Unicode names pack in, the usual one first
_PACKED_IN = (
    "cp437",
    "cp850",
    "cp866",
    "cp1252",
    "cp1251",
    "cp1256",
    "cp1250",
    "cp1253",
    "cp1255",
    "cp1254",
    "cp874",
)
_WORD = re.compile(r"[^\W\d_]+")
_OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def written_names(members: Sequence[zipfile.ZipInfo], tables: Sequence[str] = ()) -> tuple[list[str], str]:
    """The name of each member as it was meant, and what to say of their encoding (nothing where it is plain).

    `tables`: texts inside the zip that may name its files, which decide where names could be read in several ways.
    """
    raws = [_raw_name(info) for info in members]
    old = [raw for raw in raws if isinstance(raw, bytes)]
    encoding = choose_encoding(old, tables) if old else "utf-8"
    names = [raw if isinstance(raw, str) else raw.decode(encoding, "replace") for raw in raws]
    words = (
        ""
        if encoding == "utf-8"
        else f"its names are not UTF-8; they were read as {name_of_encoding(encoding)}"
    )
    return [unicodedata.normalize("NFC", name.replace("\\", "/")) for name in names], words


def _raw_name(info: zipfile.ZipInfo) -> str | bytes:
    """The name as text where the zip says how it is written, or it is ASCII; else its bytes."""
    name = info.orig_filename
    if info.flag_bits & _IS_UTF8 or name.isascii():
        return name
    try:
        raw = name.encode("cp437")
    except UnicodeEncodeError:
        return name
    return _unicode_path(info.extra, raw) or raw


def _unicode_path(extra: bytes, raw: bytes) -> str | None:
    """The name in UTF-8 that some programs write beside the old one, where it belongs to that."""
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        body = extra[4 : 4 + size]
        if kind == _UNICODE_PATH and size > 5 and struct.unpack_from("<L", body, 1)[0] == zlib.crc32(raw):
            return body[5:].decode("utf-8", "replace")
        extra = extra[4 + size :]
    return None


def choose_encoding(raws: Sequence[bytes], tables: Sequence[str] = ()) -> str:
    """The encoding of old names: UTF-8 where they are that, else the one whose names the tables inside have, else the
    one that makes words of one script of them."""
    whole = b"\n".join(raws)
    try:
        whole.decode("utf-8")
        return "utf-8"
    except UnicodeDecodeError:
        pass
    told = unicodedata.normalize("NFC", "\n".join(tables))
    if told and not told.isascii():
        hits = {encoding: _n_told(raws, encoding, told) for encoding in (*_PACKED_IN, *EIGHT_BIT)}
        best = max(hits, key=lambda encoding: hits[encoding])
        if hits[best]:
            return best
    asian = asian_encoding(whole)
    if asian is not None:
        return asian
    return next((encoding for encoding in _PACKED_IN if _makes_words(whole, encoding)), _PACKED_IN[0])


def _n_told(raws: Sequence[bytes], encoding: str, told: str) -> int:
    n = 0
    for raw in raws[:2_000]:
        try:
            name = unicodedata.normalize("NFC", raw.decode(encoding))
        except UnicodeDecodeError:
            return 0
        last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
        stem = last.rpartition(".")[0] or last
        n += not stem.isascii() and stem in told
    return n


def _makes_words(raw: bytes, encoding: str) -> bool:
    """Whether all that is not ASCII becomes letters, and every word is of one script."""
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        return False
    foreign = [character for character in text if not character.isascii()]
    if not all(character.isalpha() or unicodedata.combining(character) for character in foreign):
        return False
    return all(len({_script(character) for character in word}) == 1 for word in _WORD.findall(text))


def _script(character: str) -> str:
    return unicodedata.name(character, "?").split()[0]


def why_odd(path: str, *, max_name_bytes: int, max_path_bytes: int) -> str | None:
    """Why no file should have this name, where that is only odd and leads nowhere; None where it may.

    Blanks of any width, joiners and direction marks are harmless; control characters and overrides of direction, which
    show another name than it is, are not.
    """
    if any(
        unicodedata.category(character) in ("Cc", "Cs", "Cn") or character in _OVERRIDES for character in path
    ):
        return "has characters in its name that no file should have"
    parts = path.split("/")
    if len(path.encode()) > max_path_bytes or any(len(part.encode()) > max_name_bytes for part in parts):
        return "has too long a name"
    return None


def why_dangerous(path: str) -> str | None:
    """Why a name leads to another place than below the folder; None where it does not."""
    if path.startswith("/") or path[1:2] == ":":
        return "has an absolute name"
    if any(part in ("", ".", "..") for part in path.removesuffix("/").split("/")):
        return "has a name that leads elsewhere"
    return None
