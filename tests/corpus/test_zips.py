"""Zips of recordings: good ones arrive whole, hostile ones leave nothing, and every refusal names the file."""

import io
import stat
import struct
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

WAV = b"RIFF" + bytes(range(256)) * 40


def zip_of(files, *, method=zipfile.ZIP_DEFLATED):
    """A zip of (name or ZipInfo, content) pairs, as a stream."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return stream


def with_mode(name, mode):
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, mode << 16
    return info


def raw_name(name):
    """A member whose name is written as it is given, whatever zipfile would make of it."""
    info = zipfile.ZipInfo("x")
    info.filename = name
    return info


def everything_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_good_zip_arrives_whole(tmp_path):
    from sae_core.corpus.zips import inspect_zip, unpack_zip

    files = {"calls/es/a.wav": WAV, "calls/fr/b ü.wav": WAV * 3, "calls/labels.csv": b"audio_path,language\n"}
    beside = [("calls/", b""), ("__MACOSX/calls/._a.wav", b"x"), ("calls/.DS_Store", b"x")]
    stream = zip_of([*files.items(), *beside])
    contents = inspect_zip(stream, "calls.zip")
    assert dict(contents.files) == {name: len(content) for name, content in files.items()}
    assert contents.n_bytes == sum(map(len, files.values()))
    counts = []
    folder = tmp_path / "w" / "recordings"
    unpacked = unpack_zip(stream, "calls.zip", folder, progress=lambda *n: counts.append(n[:2]))
    assert dict(unpacked.files) == dict(contents.files) and unpacked.left_out == ()
    assert {name: (folder / name).read_bytes() for name in files} == files
    assert len([path for path in folder.rglob("*") if path.is_file()]) == 3
    assert everything_in(tmp_path / "w")[0] == "recordings"
    assert counts[-1] == (3, 3)
    assert all(stat.S_IMODE(path.stat().st_mode) & 0o111 == 0 for path in folder.rglob("*.wav"))


names = st.lists(
    st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=12), min_size=1, max_size=3
).map(lambda parts: "/".join(parts) + ".wav")


@given(files=st.dictionaries(names, st.binary(max_size=5000), min_size=1, max_size=6))
def test_whatever_is_packed_comes_out_or_is_left_out_for_a_clash(tmp_path_factory, files):
    import unicodedata

    from sae_core.corpus.zips import unpack_zip

    folder = tmp_path_factory.mktemp("out")
    wanted = {unicodedata.normalize("NFC", name): content for name, content in files.items()}
    unpacked = unpack_zip(zip_of(files.items()), "x.zip", folder / "r")
    lost = {name for name, _ in unpacked.left_out}
    assert len(unpacked.files) + len(unpacked.left_out) == len(files)
    assert bool(lost) == (len({name.casefold() for name in wanted}) < len(files))
    for name, _ in unpacked.files:
        assert (folder / "r" / name).read_bytes() in [
            content for other, content in files.items() if unicodedata.normalize("NFC", other) == name
        ]


HOSTILE = {
    "leads outside": ([("../evil.wav", WAV)], r"'\.\./evil\.wav'.*leads elsewhere"),
    "leads outside from within": ([("a/../../evil.wav", WAV)], "leads elsewhere"),
    "a dot": ([("a/./b.wav", WAV)], "leads elsewhere"),
    "an empty part": ([("a//b.wav", WAV)], "leads elsewhere"),
    "absolute": ([("/etc/evil", WAV)], "absolute"),
    "a drive": ([("C:evil.wav", WAV)], "absolute"),
    "a folder that leads outside": ([("../", b""), ("a.wav", WAV)], "leads elsewhere"),
    "hidden among good ones": ([("a.wav", WAV), ("b.wav", WAV), ("../../c.wav", WAV)], "leads elsewhere"),
    "backslashes": ([(raw_name("..\\evil.wav"), WAV)], "leads elsewhere"),
    "a drive with backslashes": ([(raw_name("C:\\evil.wav"), WAV)], "absolute"),
    "a line break": ([(raw_name("a\nb.wav"), WAV)], "characters"),
    "right to left": ([(raw_name("a\u202ewav.exe"), WAV)], "characters"),
    "a long name": ([("a" * 201, WAV)], "too long a name"),
    "a long path": ([("/".join(["a" * 100] * 11), WAV)], "too long a name"),
    "a link": ([(with_mode("a.wav", stat.S_IFLNK | 0o777), b"/etc/passwd")], "link or a device"),
    "a device": ([(with_mode("a.wav", stat.S_IFCHR | 0o666), b"")], "link or a device"),
    "a pipe": ([(with_mode("a.wav", stat.S_IFIFO | 0o666), b"")], "link or a device"),
    "nothing": ([("calls/", b"")], "holds no files"),
    "a bomb": ([("a.wav", b"\0" * 40_000_000)], "times its size"),
    "a bomb in parts": ([(f"{n}.wav", b"\0" * 1_000_000) for n in range(12)], "times its size"),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(("files", "reason"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_zip_is_refused_and_leaves_nothing(tmp_path, files, reason):
    from sae_core.corpus.zips import inspect_zip, unpack_zip
    from sae_core.files.errors import CorpusError

    for check in (inspect_zip, lambda stream, name: unpack_zip(stream, name, tmp_path / "deep" / "r")):
        with pytest.raises(CorpusError, match=reason) as refused:
            check(zip_of(files), "calls.zip")
        assert refused.value.where == "calls.zip"
        assert refused.value.remedy
    assert everything_in(tmp_path) == []


def test_other_packings_and_passwords_are_refused(tmp_path):
    from sae_core.corpus.zips import inspect_zip
    from sae_core.files.errors import CorpusError

    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with pytest.raises(CorpusError, match="unusual way"):
            inspect_zip(zip_of([("a.wav", WAV)], method=method), "x.zip")
    locked = bytearray(zip_of([("a.wav", WAV)]).getvalue())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        locked[locked.index(mark) + offset] |= 1
    with pytest.raises(CorpusError, match="'a.wav'.*encrypted"):
        inspect_zip(io.BytesIO(locked), "x.zip")


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"PK\x03\x04" + bytes(100), b"PK\x05\x06" + bytes(18)[:-1]]
)
def test_what_is_no_zip_is_refused(content):
    from sae_core.corpus.zips import inspect_zip
    from sae_core.files.errors import CorpusError

    with pytest.raises(CorpusError, match="no readable zip"):
        inspect_zip(io.BytesIO(content), "x.zip")


def test_limits_hold(tmp_path):
    from sae_core.corpus.zips import ZipLimits, inspect_zip
    from sae_core.files.errors import CorpusError

    stream = zip_of([(f"{n}.wav", WAV) for n in range(5)])
    for limits, reason in (
        (ZipLimits(n_files=4), "more than 4 files"),
        (ZipLimits(file_bytes=len(WAV) - 1), "is larger than"),
        (ZipLimits(total_bytes=5 * len(WAV) - 1), "unpacks to more than"),
        (ZipLimits(zip_bytes=100), "at most"),
        (ZipLimits(directory_bytes=100), "too long a list"),
    ):
        with pytest.raises(CorpusError, match=reason):
            inspect_zip(stream, "x.zip", limits=limits)
    just = ZipLimits(n_files=5, file_bytes=len(WAV), total_bytes=5 * len(WAV))
    assert len(inspect_zip(stream, "x.zip", limits=just).files) == 5


def lie_about_size(stream, announced):
    """The zip with another unpacked size for its first file, in both places that tell it."""
    content = bytearray(stream.getvalue())
    for mark, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        content[content.index(mark) + offset : content.index(mark) + offset + 4] = struct.pack(
            "<I", announced
        )
    return io.BytesIO(content)


@pytest.mark.parametrize("announced", [10, 10**9])
def test_a_zip_that_lies_about_its_sizes_leaves_nothing(tmp_path, announced):
    from sae_core.corpus.zips import unpack_zip
    from sae_core.files.errors import CorpusError

    with pytest.raises(CorpusError, match="'a.wav'"):
        unpack_zip(lie_about_size(zip_of([("a.wav", WAV * 50)]), announced), "x.zip", tmp_path / "r")
    assert everything_in(tmp_path) == []


ODD = {
    "a line break": ((raw_name("a\nb.wav"), WAV), "characters"),
    "right to left": ((raw_name("a\u202ewav.exe"), WAV), "characters"),
    "a long name": (("a" * 201, WAV), "too long a name"),
    "a link": ((with_mode("a.wav", stat.S_IFLNK | 0o777), b"/etc/passwd"), "link or a device"),
    "the same name": ((raw_name("good.wav"), b"other"), "stands in it twice"),
    "the same but for case": (("GOOD.wav", b"other"), "small and large letters"),
    "a file that is a folder": (("deep", WAV), "both a file and a folder"),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(("member", "reason"), ODD.values(), ids=ODD)
def test_an_odd_member_is_left_out_alone_and_named(tmp_path, member, reason):
    from sae_core.corpus.zips import inspect_zip, unpack_zip, unpacked_notices

    stream = zip_of([("good.wav", WAV), ("deep/b.wav", WAV), member])
    for contents in (inspect_zip(stream, "x.zip"), unpack_zip(stream, "x.zip", tmp_path / "r")):
        assert [name for name, _ in contents.files] == ["good.wav", "deep/b.wav"]
        [(_, why)] = contents.left_out
        assert reason in why
        assert "1 members of x.zip were left out" in contents.told()[-1]
    assert everything_in(tmp_path) == ["r", "r/deep", "r/deep/b.wav", "r/good.wav", "unpacked.json"]
    assert (tmp_path / "r" / "good.wav").read_bytes() == WAV
    assert reason in unpacked_notices(tmp_path)[0]


@given(place=st.integers(0, 10**6), byte=st.integers(0, 255))
def test_damage_anywhere_is_refused_or_does_no_harm(tmp_path_factory, place, byte):
    from sae_core.corpus.zips import unpack_zip
    from sae_core.files.errors import CorpusError

    folder = tmp_path_factory.mktemp("damaged")
    content = bytearray(zip_of([("a/b.wav", WAV), ("a/c.wav", WAV)]).getvalue())
    content[place % len(content)] = byte
    try:
        unpack_zip(io.BytesIO(content), "x.zip", folder / "r")
    except CorpusError:
        assert everything_in(folder) == []
        return
    assert all(file.read_bytes() == WAV for file in (folder / "r").rglob("*") if file.is_file())
    assert {path.parts[len(folder.parts)] for path in folder.rglob("*")} <= {"r", "unpacked.json"}


def test_a_folder_that_is_there_stays_as_it_is(tmp_path):
    from sae_core.corpus.zips import unpack_zip
    from sae_core.files.errors import ArtifactError

    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "mine.wav").write_bytes(WAV)
    with pytest.raises(ArtifactError, match="is there already"):
        unpack_zip(zip_of([("a.wav", WAV)]), "x.zip", tmp_path / "r")
    assert everything_in(tmp_path) == ["r", "r/mine.wav"]


def test_a_full_disk_is_told_before_anything_is_written(tmp_path, monkeypatch):
    from sae_core.corpus import zips
    from sae_core.files.errors import ArtifactError

    monkeypatch.setattr(zips.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10_000}))
    with pytest.raises(ArtifactError, match="free some space"):
        zips.unpack_zip(zip_of([("a.wav", WAV)]), "x.zip", tmp_path / "r")
    assert everything_in(tmp_path) == []
