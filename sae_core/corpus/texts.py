"""Text of other people's files, whatever it was written with: byte order marks, UTF-16, the usual 8-bit encodings."""

import codecs
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sae_core.corpus.alphabets import is_latin, readable_encodings
from sae_core.files.errors import CorpusError

MAX_TABLE_BYTES = 2 * 1024**3
MAX_ZEROS = 0.01
"""Of a text: more zero bytes than these are no slip but another kind of file."""
_SAMPLE_BYTES = 256 * 1024
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# What systems wrote before UTF-8, most common first; the one that fits the evidence is taken.
EIGHT_BIT = (
    "cp1252", "cp1251", "cp1256", "cp1250", "cp932", "gb18030", "big5", "cp949", "cp1253", "cp1254", "cp1255",
    "cp1257", "cp1258", "cp874", "euc_jp", "koi8_r", "cp850", "cp866", "mac_roman",
)  # fmt: skip
_NAMES = {
    "cp1252": "Windows-1252 (Western)", "cp1251": "Windows-1251 (Cyrillic)", "cp1256": "Windows-1256 (Arabic)",
    "cp1250": "Windows-1250 (Central European)", "cp932": "Shift-JIS (Japanese)", "gb18030": "GB 18030 (Chinese)",
    "big5": "Big5 (Chinese)", "cp949": "CP949 (Korean)", "cp437": "CP437 (DOS)", "cp1253": "Windows-1253 (Greek)",
    "cp1254": "Windows-1254 (Turkish)", "cp1255": "Windows-1255 (Hebrew)", "cp1257": "Windows-1257 (Baltic)",
    "cp1258": "Windows-1258 (Vietnamese)", "cp874": "Windows-874 (Thai)", "euc_jp": "EUC-JP (Japanese)",
    "koi8_r": "KOI8-R (Cyrillic)", "cp850": "CP850 (DOS, Western)", "cp866": "CP866 (DOS, Cyrillic)",
    "mac_roman": "Mac OS Roman (Western)",
}  # fmt: skip
_FEW = 200
_LINE = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True)
class Text:
    """text: what a file says. encoding: how it was written, in words; empty for UTF-8, of which nothing is said."""

    text: str
    encoding: str = ""

    @property
    def lines(self) -> list[str]:
        """Its lines without their ends, which may be of any system's kind."""
        found = _LINE.split(self.text)
        return found[:-1] if found and not found[-1] else found

    def notice(self, name: str) -> tuple[str, ...]:
        """What to say of the file `name`, if anything."""
        words = f"{name} is not UTF-8; it was read as {self.encoding}; if names look wrong, save it as UTF-8"
        return (words,) if self.encoding else ()


def read_text(path: Path, *, names: Iterable[str] = (), remedy: str = "save it as UTF-8") -> Text:
    """The text of a file; `names` of recordings are evidence for its encoding. CorpusError where it is none."""
    try:
        if path.stat().st_size > MAX_TABLE_BYTES:
            raise CorpusError("is too large for a table of text", where=path, remedy="give it as Parquet")
        raw = path.read_bytes()
    except OSError as error:
        raise CorpusError(
            f"cannot be read ({error.strerror})", where=path, remedy="check that it is there and may be read"
        ) from error
    found = decode(raw, names=names)
    if found is None:
        raise CorpusError("is no text", where=path, remedy=remedy)
    return found


def decode(raw: bytes, *, names: Iterable[str] = ()) -> Text | None:
    """The text of some bytes; None where they are none. An encoding that makes known names of them is believed."""
    for mark, encoding in _MARKS:
        if raw.startswith(mark):
            text = raw.decode(encoding, "replace").removeprefix("\ufeff")
            return None if "\0" in text else Text(text, "" if encoding == "utf-8-sig" else encoding.upper())
    if b"\0" in raw:
        wide = _wide(raw)
        if wide is not None:
            return Text(raw.decode(wide, "replace"), wide.upper())
        if raw.count(0) > MAX_ZEROS * len(raw):
            return None
    try:
        return Text(raw.decode("utf-8"))
    except UnicodeDecodeError:
        pass
    if _is_damaged_utf8(raw):
        return Text(raw.decode("utf-8", "replace"), "UTF-8 with damaged characters")
    encoding = guess_encoding(raw, names)
    return Text(raw.decode(encoding, "replace"), name_of_encoding(encoding))


def _wide(raw: bytes) -> str | None:
    """UTF-16 without a mark, if the zero bytes stand where Latin letters would have them."""
    sample = raw[: _SAMPLE_BYTES & ~1]
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    half = max(1, len(sample) // 2)
    encoding = "utf-16-le" if odd > even else "utf-16-be"
    if max(even, odd) < 0.3 * half or min(even, odd) > 0.05 * half:
        return None
    try:
        return None if "\0" in raw.decode(encoding) else encoding
    except UnicodeDecodeError:
        return None


def _is_damaged_utf8(raw: bytes) -> bool:
    """Whether nearly all that is not ASCII is UTF-8, so that a few bytes are damage and no other encoding."""
    text = raw[:_SAMPLE_BYTES].decode("utf-8", "replace")
    n_broken = text.count("\ufffd")
    n_whole = sum(not character.isascii() for character in text) - n_broken
    return n_whole > 20 * max(1, n_broken)


def guess_encoding(raw: bytes, names: Iterable[str] = ()) -> str:
    """The 8-bit encoding of some bytes: the one that makes known names of them, else the one they read best in."""
    telling = [name for name in names if not name.isascii()][:2_000]
    sample = raw[:_SAMPLE_BYTES]
    if telling:
        hits = {encoding: _n_named(raw, encoding, telling) for encoding in EIGHT_BIT}
        best = max(hits, key=lambda encoding: hits[encoding])
        if hits[best]:
            return best
    readable = readable_encodings(sample, EIGHT_BIT)
    is_mixed = bool(readable) and is_latin(readable[0])
    asian = asian_encoding(sample)
    if asian is not None and not (is_mixed and _stands_in_words(sample.decode(asian, "replace"))):
        return asian
    if readable:
        return readable[0] if is_mixed or len(readable) == 1 else _read_best(sample, readable)
    n_high = sum(byte > 127 for byte in sample)
    n_letters = n_high + sum(chr(byte).isalpha() for byte in sample if byte < 128)
    if n_high < 0.35 * n_letters and (n_high < _FEW or not _differs_by_language(sample)):
        return EIGHT_BIT[0]
    return _read_best(sample)


def asian_encoding(sample: bytes) -> str | None:
    """The encoding of two bytes a character in which some bytes read as people write; None where they do in none."""
    return next((encoding for encoding in _ASIAN if _is_plausible(sample, encoding)), None)


def name_of_encoding(encoding: str) -> str:
    """An encoding in words."""
    return _NAMES.get(encoding, encoding)


def _read_best(sample: bytes, among: Sequence[str] = ()) -> str:
    """The one of some encodings, by default all of one byte, whose letters are as frequent as a language has them."""
    from charset_normalizer import from_bytes

    possible = list(among) or [name for name in EIGHT_BIT if name not in _ASIAN]
    found = from_bytes(sample, cp_isolation=possible).best()
    return str(found.encoding) if found is not None and found.encoding in possible else possible[0]


def _stands_in_words(text: str) -> bool:
    """Whether every stretch beyond ASCII touches a Latin letter, as no name of another script does."""
    found = re.findall(r"[A-Za-z\u0080-\U0010ffff]*[\u0080-\U0010ffff][A-Za-z\u0080-\U0010ffff]*", text)
    return all(re.search("[A-Za-z]", word) for word in found)


def _differs_by_language(sample: bytes) -> bool:
    return _read_best(sample) not in ("cp1252", "cp850", "mac_roman")


def _is_plausible(sample: bytes, encoding: str) -> bool:
    """Whether some bytes read as what people write in an encoding of two bytes: its everyday characters."""
    try:
        text = sample.decode(encoding)
    except UnicodeDecodeError as error:
        if error.start < len(sample) - 4 or len(sample) < _SAMPLE_BYTES:
            return False
        text = sample[: error.start].decode(encoding)
    foreign = [character for character in text if not character.isascii()]
    usual = _EVERYDAY[encoding]
    n_usual = sum(usual(character) for character in foreign)
    return bool(foreign) and n_usual >= _ASIAN[encoding] * len(foreign)


def _is_in_rows(character: str, encoding: str, rows: range) -> bool:
    pair = character.encode(encoding)
    return len(pair) == 2 and pair[0] in rows and (pair[1] > 0xA0 or encoding == "big5")


# how much of it must be everyday characters: Hangul, kana, the first level of characters
_ASIAN = {"cp949": 0.9, "cp932": 0.15, "gb18030": 0.75, "big5": 0.75}
_EVERYDAY: dict[str, Callable[[str], bool]] = {
    "cp949": lambda character: _is_in_rows(character, "cp949", range(0xB0, 0xC9)),  # the 2,350 of KS X 1001
    "cp932": lambda character: "\u3041" <= character <= "\u30fe",
    "gb18030": lambda character: _is_in_rows(character, "gb18030", range(0xB0, 0xD8)),
    "big5": lambda character: _is_in_rows(character, "big5", range(0xA4, 0xC7)),
}


def _n_named(raw: bytes, encoding: str, names: list[str]) -> int:
    n = 0
    for name in names:
        last = name.rpartition("/")[2]
        try:
            n += (last.rpartition(".")[0] or last).encode(encoding) in raw
        except UnicodeEncodeError:
            continue
    return n
