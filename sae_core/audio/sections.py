"""How the bytes of a file are divided: recordings one behind the other, sizes that were never written, MPEG frames.

Only headers are looked at and nothing is decoded. Files are joined by tools that copy bytes (`cat a.wav b.wav`, chained
Ogg, recorders that append), and a decoder then stops, without a word, where the first recording ends.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import overload

LEAST_READ, MOST_READ = 2**12, 2**22
MPEG_RATES_HZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
"""By the two bits of an MPEG audio header that name its version: 3 is MPEG-1, 2 is MPEG-2, 0 is MPEG-2.5."""

_RIFF_KINDS = (b"RIFF", b"RIFX", b"RF64", b"BW64")
_UNWRITTEN = 0xFFFFFFFF
_PADDING = 4_096
_KBITS = {
    (3, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (3, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (3, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_TAGS_AT_THE_END = (b"TAG", b"APETAGEX", b"LYRICSBEGIN", b"3DI", b"ID3")


class FileBytes:
    """The bytes of an open file, some of them in memory; never mapped, for a file may shrink meanwhile.

    Reads are small at first and grow while they follow one another.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._n_bytes = os.fstat(descriptor).st_size
        self._start, self._held, self._n_at_once = 0, b"", LEAST_READ

    def __len__(self) -> int:
        return self._n_bytes

    @overload
    def __getitem__(self, place: slice, /) -> bytes: ...
    @overload
    def __getitem__(self, place: int, /) -> int: ...
    def __getitem__(self, place: slice | int, /) -> bytes | int:
        if isinstance(place, int):
            return self[place : place + 1][0]
        start, stop, _ = place.indices(self._n_bytes)
        end = self._start + len(self._held)
        if not self._start <= start <= stop <= end:
            is_next = 0 < end and self._start <= start <= end + self._n_at_once
            self._n_at_once = min(2 * self._n_at_once, MOST_READ) if is_next else LEAST_READ
            self._start = start
            self._held = os.pread(self._descriptor, max(self._n_at_once, stop - start), start)
        return self._held[start - self._start : stop - self._start]

    def find(self, sub: bytes, start: int = 0, /) -> int:
        """Where `sub` begins at or after `start`, or -1."""
        while start + len(sub) <= self._n_bytes:
            n_bytes = max(self._n_at_once, len(self._held), len(sub))
            place = self[start : start + n_bytes].find(sub)
            if place >= 0:
                return start + place
            start += n_bytes - len(sub) + 1
        return -1


Bytes = bytes | FileBytes
"""The bytes of a file, in memory or read when asked for."""


@dataclass(frozen=True)
class Section:
    """One recording within a file: its bytes from `start` to `end`.

    patches: place within the section → the bytes to read there instead, for sizes that a header has wrong.
    """

    start: int
    end: int
    patches: tuple[tuple[int, bytes], ...] = ()


def find_sections(data: Bytes) -> tuple[Section, ...]:
    """The recordings that lie one behind the other in a file, at least one. MPEG audio is never divided."""
    kind = data[:4]
    if kind == b"OggS":
        starts = list(_ogg_starts(data))
    elif kind == b"fLaC":
        starts = [place for place in _places(data, b"fLaC") if data[place + 5 : place + 8] == b'\0\0"']
    elif kind == b"#!AM":
        starts = list(_places(data, b"#!AMR"))
    else:
        first = _section_at(data, 0)
        return first, *_behind(data, first)
    return tuple(Section(start, end) for start, end in pairwise([0, *starts[1:], len(data)]))


def _behind(data: Bytes, section: Section) -> Iterator[Section]:
    while section.end + 12 <= len(data) and _is_chunked(data, section.end):
        section = _section_at(data, section.end)
        yield section


def _places(data: Bytes, mark: bytes) -> Iterator[int]:
    place = data.find(mark)
    while place >= 0:
        yield place
        place = data.find(mark, place + len(mark))


def _ogg_starts(data: Bytes) -> Iterator[int]:
    """Where chains begin: pages that begin a stream after pages that did not (RFC 3533, section 4)."""
    place, is_within = 0, True
    while 0 <= place < len(data):
        head = data[place : place + 27]
        if len(head) < 27 or head[:4] != b"OggS":
            place = data.find(b"OggS", place + 1)
            continue
        is_beginning = bool(head[5] & 2)
        if is_beginning and is_within:
            yield place
        is_within = not is_beginning
        place += 27 + head[26] + sum(data[place + 27 : place + 27 + head[26]])


def _is_chunked(data: Bytes, place: int) -> bool:
    kind, form = data[place : place + 4], data[place + 8 : place + 12]
    return (kind in _RIFF_KINDS and form == b"WAVE") or (kind == b"FORM" and form in (b"AIFF", b"AIFC"))


def _section_at(data: Bytes, start: int) -> Section:
    whole = Section(start, len(data))
    if data[start : start + 4] == b".snd" and data[start + 8 : start + 12] == bytes(4):
        return Section(start, len(data), ((8, b"\xff" * 4),))  # what AU calls "to the end of the file"
    if not _is_chunked(data, start):
        return whole
    if data[start : start + 4] == b"FORM":
        (n_bytes,) = struct.unpack(">I", data[start + 4 : start + 8])
        end = start + 8 + n_bytes + n_bytes % 2
        return Section(start, end) if end < len(data) and _is_chunked(data, end) else whole
    return _wav_section(data, start)


def _wav_section(data: Bytes, start: int) -> Section:
    """A WAV from `start` to where the next one begins; sizes of samples that were never written are patched."""
    order = ">" if data[start : start + 4] == b"RIFX" else "<"
    ds64, place = None, start + 12
    while True:
        head = data[place : place + 8]
        if len(head) < 8:
            return Section(start, len(data))
        if head[:4] == b"data":
            break
        if head[:4] == b"ds64":
            ds64 = place
        (n_bytes,) = struct.unpack(order + "I", head[4:])
        place += 8 + n_bytes + n_bytes % 2
    (n_bytes,) = struct.unpack(order + "I", head[4:])
    if ds64 is not None and n_bytes == _UNWRITTEN and ds64 + 24 <= len(data):
        (n_bytes,) = struct.unpack("<Q", data[ds64 + 16 : ds64 + 24])
    first = place + 8
    for end in (first + n_bytes + n_bytes % 2, first + n_bytes):
        if n_bytes and end < len(data) and _is_chunked(data, end):
            return Section(start, end)
    is_beyond = ds64 is not None and first + n_bytes > len(
        data
    )  # libsndfile corrects it in RIFF, not in RF64
    if not is_beyond and not _samples_go_on(data, first + n_bytes):
        return Section(start, len(data))
    return Section(start, len(data), _written_sizes(len(data) - start, first - start, ds64, start, order))


def _samples_go_on(data: Bytes, end: int) -> bool:
    """Whether what lies behind the samples that a WAV counts is neither chunks nor padding, and so more samples."""
    rest = len(data) - end
    if rest < 16:
        return False
    place = end + end % 2
    while place + 8 <= len(data):
        head = data[place : place + 8]
        (n_bytes,) = struct.unpack("<I", head[4:])
        if not all(32 <= letter < 127 for letter in head[:4]) or place + n_bytes > len(data) + 8:
            break
        place += 8 + n_bytes + n_bytes % 2
    else:
        return False
    return any(data[place : place + _PADDING]) or any(data[len(data) - min(rest, _PADDING) : len(data)])


def _written_sizes(
    n_bytes: int, first: int, ds64: int | None, start: int, order: str
) -> tuple[tuple[int, bytes], ...]:
    n_samples = n_bytes - first
    if ds64 is not None:
        place = ds64 - start + 8
        return (place, struct.pack("<QQ", n_bytes - 8, n_samples)), (first - 4, b"\xff" * 4)
    sizes = (min(n_bytes - 8, _UNWRITTEN - 1), min(n_samples, _UNWRITTEN - 37))
    riff, samples = (struct.pack(order + "I", size) for size in sizes)
    return (4, riff), (first - 4, samples)


def sample_bits(data: Bytes) -> int | None:
    """How many bits of each sample a WAV declares to be used; None for anything else."""
    place = data.find(b"fmt ")
    if place < 0 or not _is_chunked(data, 0):
        return None
    form = data[place + 8 : place + 48]
    is_extensible = form[:2] == b"\xfe\xff" and len(form) >= 20
    return int.from_bytes(form[18:20] if is_extensible else form[14:16], "little")


def is_one_form(data: Bytes) -> bool:
    """Whether MPEG audio (MP3, ADTS) is one stream from its first frame to its last: one rate, one number of channels,
    nothing between frames. Where it is not, neither an index nor a bit rate says where a second lies."""
    place = _after_id3(data)
    is_adts = data[place : place + 2] in (b"\xff\xf0", b"\xff\xf1", b"\xff\xf8", b"\xff\xf9")
    end = _walk_adts(data, place) if is_adts else _walk_mpeg(data, place)
    rest = data[end : end + 16]
    is_over = len(data) - end < _PADDING or rest.startswith(_TAGS_AT_THE_END)
    return is_over and (is_adts or not _has_second_index(data, place))


def _after_id3(data: Bytes) -> int:
    place = 0
    while (head := data[place : place + 10])[:3] == b"ID3" and len(head) == 10:
        size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        place += 10 + size + (10 if head[5] & 0x10 else 0)
    return place


def _walk_mpeg(data: Bytes, place: int) -> int:
    """Where frames of the form of the first one end."""
    lengths: dict[bytes, int] = {}
    form = None
    while True:
        head = data[place : place + 4]
        n_bytes = lengths.get(head)
        if n_bytes is None:
            n_bytes, own = _mpeg_frame(head)
            form = own if form is None else form
            n_bytes = n_bytes if own == form else 0
            lengths[head] = n_bytes
        if not n_bytes:
            return place
        place += n_bytes


def _mpeg_frame(head: bytes) -> tuple[int, tuple[int, int, int, bool] | None]:
    """Length of a frame in bytes, and version, layer, rate and whether it is mono; 0 and None for no header."""
    if len(head) < 4 or head[0] != 0xFF or head[1] < 0xE0:
        return 0, None
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    rate, kbits, padding = head[2] >> 2 & 3, head[2] >> 4, head[2] >> 1 & 1
    if version == 1 or layer == 4 or rate == 3 or kbits in (0, 15):
        return 0, None
    rate_hz = MPEG_RATES_HZ[version][rate]
    table = _KBITS[(3, layer) if version == 3 else (2, min(layer, 2))]
    bits = table[kbits] * 1000
    if layer == 1:
        n_bytes = (12 * bits // rate_hz + padding) * 4
    else:
        n_bytes = (72 if layer == 3 and version != 3 else 144) * bits // rate_hz + padding
    return n_bytes, (version, layer, rate_hz, head[3] >> 6 == 3)


def _walk_adts(data: Bytes, place: int) -> int:
    form = None
    while True:
        head = data[place : place + 7]
        if len(head) < 7 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
            return place
        own = (head[2], head[3] & 0xC0)
        form = form or own
        n_bytes = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
        if own != form or n_bytes < 7:
            return place
        place += n_bytes


def _has_second_index(data: Bytes, first_frame: int) -> bool:
    """Whether a frame behind the first one is an index of its own, as each of several joined files brings one."""
    behind = first_frame + 300
    return any(data.find(mark, behind) >= 0 for mark in (b"Xing\0\0\0", b"Info\0\0\0"))
