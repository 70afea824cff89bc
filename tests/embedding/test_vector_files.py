"""Files of vectors: what was written comes back, whatever the format; what cannot be used is refused in words."""

import pickle
import zipfile
from pathlib import Path

import h5py
import kaldiio
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from safetensors.numpy import save_file

DIM, N = 4, 30
NAMES = [f"spk{n % 5}/utt-{n:02d}.wav" for n in range(N)]
VECTORS = np.random.default_rng(3).normal(size=(N, DIM)).astype(np.float32)
_IDS = st.text(
    st.characters(min_codepoint=48, max_codepoint=122, categories=("L", "N")), min_size=1, max_size=9
)


def read(path, ids=None):
    from sae_core.embedding.vector_files import read_vectors

    found = list(read_vectors(Path(path), ids))
    rows = np.concatenate([rows for _, rows in found]) if found else np.zeros((0, 0))
    return [name for names, _ in found for name in names], rows


def write_npy(folder, ids, rows):
    np.save(folder / "v.npy", rows)
    (folder / "ids.txt").write_text("".join(f"{name}\n" for name in ids), "utf-8")
    return folder / "v.npy", folder / "ids.txt"


def write_npz(folder, ids, rows):
    np.savez(folder / "v.npz", embeddings=rows, utterances=np.array(ids, dtype=str))
    return folder / "v.npz", None


def write_npz_packed(folder, ids, rows):
    np.savez_compressed(folder / "v.npz", embeddings=rows, bytes=np.array([name.encode() for name in ids]))
    return folder / "v.npz", "bytes"


def write_lists(folder, ids, rows):
    kind = pa.list_(pa.from_numpy_dtype(rows.dtype))
    table = pa.table({"clip_id": ids, "vector": pa.array(list(rows), kind), "age": [1.5] * len(ids)})
    pq.write_table(table, folder / "v.parquet", row_group_size=7)
    return folder / "v.parquet", None


def write_fixed_lists(folder, ids, rows):
    flat = pa.array(rows.ravel())
    column = pa.FixedSizeListArray.from_arrays(flat, rows.shape[1])
    pq.write_table(pa.table({"who": ids, "vector": column}), folder / "v.parquet")
    return folder / "v.parquet", "who"


def write_wide_parquet(folder, ids, rows):
    pd.DataFrame(rows, columns=[f"d{n}" for n in range(rows.shape[1])]).assign(id=ids).to_parquet(
        folder / "v.parquet", index=False
    )
    return folder / "v.parquet", None


def write_csv(folder, ids, rows):
    table = pd.DataFrame(rows.astype(np.float64), columns=[f"d{n}" for n in range(rows.shape[1])])
    table.insert(0, "utt_id", ids)
    table.to_csv(folder / "v.csv", index=False)
    return folder / "v.csv", None


def write_bare_tsv(folder, ids, rows):
    lines = (
        "\t".join([f"u{name}", *map(repr, row)])
        for name, row in zip(ids, rows.astype(float).tolist(), strict=True)
    )
    (folder / "v.tsv").write_text("\n".join(lines), "utf-8")
    return folder / "v.tsv", None


def write_ark(folder, ids, rows):
    kaldiio.save_ark(str(folder / "v.ark"), dict(zip(ids, rows, strict=True)))
    return folder / "v.ark", None


def write_text_ark(folder, ids, rows):
    lines = (
        f"{name}  [ {' '.join(map(repr, row))} ]\n"
        for name, row in zip(ids, rows.astype(float).tolist(), strict=True)
    )
    (folder / "v.txt").write_text("".join(lines), "utf-8")
    return folder / "v.txt", None


def write_scp(folder, ids, rows):
    kaldiio.save_ark(str(folder / "v.ark"), dict(zip(ids, rows, strict=True)), scp=str(folder / "v.scp"))
    return folder / "v.scp", None


def write_rows_as_matrices(folder, ids, rows):
    kaldiio.save_ark(str(folder / "v.ark"), {name: row[None] for name, row in zip(ids, rows, strict=True)})
    return folder / "v.ark", None


def write_tensor(folder, ids, rows):
    save_file({"vectors": rows}, folder / "v.safetensors")
    pd.DataFrame({"clip_id": ids, "note": "x"}).to_csv(folder / "ids.csv", index=False)
    return folder / "v.safetensors", folder / "ids.csv"


def write_tensors(folder, ids, rows):
    save_file(dict(zip(ids, np.ascontiguousarray(rows), strict=True)), folder / "v.safetensors")
    return folder / "v.safetensors", None


def write_hdf5(folder, ids, rows):
    with h5py.File(folder / "v.h5", "w") as file:
        file["ids"], file["vectors"], file["more/numbers"] = ids, rows, np.arange(3)
    return folder / "v.h5", None


def write_hdf5_keys(folder, ids, rows):
    with h5py.File(folder / "v.h5", "w") as file:
        for name, row in zip(ids, rows, strict=True):
            file[name] = row
    return folder / "v.h5", None


WRITERS = {
    name.removeprefix("write_"): write for name, write in list(globals().items()) if name.startswith("write_")
}
UNORDERED = ("tensors", "hdf5_keys")
NO_HALVES = ("ark", "scp", "rows_as_matrices")  # Kaldi has float32 and float64
WIDE = ("csv", "bare_tsv", "text_ark")


@pytest.mark.parametrize("form", WRITERS)
@given(data=st.data())
def test_what_is_written_comes_back(tmp_path_factory, form, data):
    kind = data.draw(
        st.sampled_from(
            [np.float32, np.float64] if form in NO_HALVES else [np.float16, np.float32, np.float64]
        )
    )
    ids = data.draw(st.lists(_IDS.map(lambda name: f"x{name}"), min_size=1, max_size=12, unique=True))
    rows = data.draw(
        arrays.arrays(kind, (len(ids), data.draw(st.integers(2, 9))), elements=st.floats(-1e4, 1e4, width=16))
    )
    path, given_ids = WRITERS[form](tmp_path_factory.mktemp("v"), ids, rows)
    names, found = read(path, given_ids)
    names = [name.removeprefix("u") for name in names] if form == "bare_tsv" else names
    if form in UNORDERED:
        found = found[[names.index(name) for name in ids]]
    else:
        assert names == ids
    assert sorted(names) == sorted(ids)
    np.testing.assert_array_equal(found, rows.astype(np.float64) if form in WIDE else rows)


@pytest.mark.parametrize("form", WRITERS)
def test_a_file_of_several_pieces_is_read_whole(tmp_path, monkeypatch, form):
    from sae_core.embedding.vector_files import pieces

    monkeypatch.setattr(pieces, "PIECE_BYTES", 4 * DIM * 4)
    path, ids = WRITERS[form](tmp_path, [name.replace("/", "-") for name in NAMES], VECTORS)
    names, rows = read(path, ids)
    assert len(names) == N and len(rows) == N
    np.testing.assert_allclose(np.sort(rows.ravel()), np.sort(VECTORS.ravel()), rtol=1e-6)


@pytest.mark.parametrize(
    "form", [form for form in WRITERS if form not in ("csv", "bare_tsv", "text_ark", "scp")]
)
@pytest.mark.parametrize("left", [0.33, 0.61, 0.97])
def test_a_file_that_is_cut_off_is_refused(tmp_path, form, left):
    from sae_core.files.errors import CorpusError

    path, ids = WRITERS[form](tmp_path, [name.replace("/", "-") for name in NAMES], VECTORS)
    content = path.read_bytes()
    path.write_bytes(content[: int(left * len(content))])
    with pytest.raises(CorpusError):
        read(path, ids)


@pytest.mark.parametrize("form", ["text_ark", "scp"])
def test_a_cut_off_text_of_kaldi_is_refused(tmp_path, form):
    from sae_core.files.errors import CorpusError

    path, _ = WRITERS[form](tmp_path, NAMES, VECTORS)
    cut = path if form == "text_ark" else tmp_path / "v.ark"
    cut.write_bytes(cut.read_bytes()[:-9])
    with pytest.raises(CorpusError, match="ends within the vector of 'spk4/utt-29.wav'"):
        read(path)


class Trap:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return open, (str(Path(__file__).parent / "unpickled"), "w")


def pickles(folder):
    trap = np.array([Trap(), Trap()], dtype=object)
    np.save(folder / "a.npy", trap, allow_pickle=True)
    yield folder / "a.npy"
    np.savez(folder / "b.npz", vectors=np.ones((2, 3)), ids=trap)
    yield folder / "b.npz"
    (folder / "c.pkl").write_bytes(pickle.dumps(Trap()))
    yield folder / "c.pkl"
    (folder / "d.ark").write_bytes(b"a PKL" + pickle.dumps(Trap()))
    yield folder / "d.ark"
    kaldiio.save_ark(str(folder / "e.ark"), {"a": np.ones(3, np.float32)})
    with (folder / "e.ark").open("ab") as stream:
        stream.write(b"b PKL" + pickle.dumps(Trap()))
    yield folder / "e.ark"
    with zipfile.ZipFile(folder / "f.pt", "w") as archive:
        archive.writestr("f/data.pkl", pickle.dumps(Trap()))
    yield folder / "f.pt"


@pytest.mark.parametrize("number", range(6))
def test_pickles_are_never_opened(tmp_path, number):
    from sae_core.files.errors import CorpusError

    path = list(pickles(tmp_path))[number]
    with pytest.raises(CorpusError):
        read(path)
    assert not (Path(__file__).parent / "unpickled").exists()


def test_commands_in_a_scp_are_never_run(tmp_path):
    from sae_core.files.errors import CorpusError

    write_scp(tmp_path, NAMES, VECTORS)
    script = tmp_path / "v.scp"
    first = script.read_text().splitlines()[0]
    for command in (f"touch {tmp_path}/run |", f"| touch {tmp_path}/run", f"touch {tmp_path}/run |:5"):
        script.write_text(f"{first}\nb {command}\n")
        with pytest.raises(CorpusError):
            read(script)
        assert not (tmp_path / "run").exists()


def test_an_archive_elsewhere_is_not_opened(tmp_path):
    from sae_core.files.errors import CorpusError

    (tmp_path / "below").mkdir()
    write_ark(tmp_path, NAMES, VECTORS)
    (tmp_path / "below" / "v.scp").write_text(f"a {tmp_path}/v.ark:17\nb ../v.ark:17\n")
    with pytest.raises(CorpusError, match="no such archive beside it"):
        read(tmp_path / "below" / "v.scp")


def test_a_moved_archive_is_found_beside_its_scp(tmp_path):
    write_scp(tmp_path, NAMES, VECTORS)
    moved = tmp_path.rename(tmp_path.with_name("moved"))
    names, rows = read(moved / "v.scp")
    assert names == NAMES
    np.testing.assert_array_equal(rows, VECTORS)


def test_other_files_are_not_followed_from_hdf5(tmp_path):
    from sae_core.files.errors import CorpusError

    write_hdf5(tmp_path, NAMES, VECTORS)
    with h5py.File(tmp_path / "link.h5", "w") as file:
        file["vectors"] = h5py.ExternalLink("v.h5", "vectors")
    with h5py.File(tmp_path / "virtual.h5", "w") as file:
        layout = h5py.VirtualLayout((N, DIM), "f4")
        layout[:] = h5py.VirtualSource("v.h5", "vectors", (N, DIM))
        file.create_virtual_dataset("vectors", layout)
    with h5py.File(tmp_path / "raw.h5", "w") as file:
        file.create_dataset("vectors", (N, DIM), "f4", external=[(str(tmp_path / "v.h5"), 0, 4 * N * DIM)])
    for name in ("link.h5", "virtual.h5", "raw.h5"):
        with pytest.raises(CorpusError, match="not followed|not opened"):
            read(tmp_path / name)


def sparse(path, n_bytes, head=b""):
    with path.open("wb") as stream:
        stream.write(head)
        stream.truncate(n_bytes)
    return path


def npy_head(shape, kind="<f4"):
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


HUGE = 100 * 1024**3
HEADS = {
    "zeros": b"",
    "npy": npy_head((HUGE // 4 // 256 - 1, 256)),
    "npy of few": npy_head((5_000_000, 5000)),
    "csv": b"id,a,b\nx,1,2\n",
    "kaldi": b"utt \0BFV \4\xff\xff\xff\x7f",
    "text kaldi": b"utt  [ 1.0 ",
    "safetensors": (2**31).to_bytes(8, "little") + b'{"a":',
    "parquet": b"PAR1",
    "hdf5": b"\x89HDF\r\n\x1a\n",
    "npz": b"PK\x03\x04",
}


@pytest.mark.parametrize("kind", HEADS)
def test_a_file_of_100_gb_is_refused_within_little_memory(tmp_path, kind):
    """The limit on memory is the system's, in a process of its own."""
    import subprocess
    import sys

    path = sparse(tmp_path / "huge", HUGE, HEADS[kind])
    (tmp_path / "ids").write_text("a\nb\n")
    ids = None if kind == "csv" else str(tmp_path / "ids")
    code = f"""
import resource, sys
from pathlib import Path
import numpy, pandas, pyarrow.csv, pyarrow.parquet, h5py, kaldiio, safetensors
from sae_core.embedding.own_vectors import stage_vectors
from sae_core.files.errors import CorpusError
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    stage_vectors(Path({str(path)!r}), {ids!r}, Path({str(tmp_path)!r}))
except CorpusError as error:
    print(error)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sys.exit(0 if after - before < 300 * 1024 else 3)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path.cwd(), timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert str(path) in done.stdout


@pytest.mark.parametrize(
    ("shape", "words"), [((5,), "array of 5"), ((5, 1), "vectors of 1 numbers"), ((2, 3, 4), "2×3×4"),
                         ((0, 4), "no vectors"), ((3, 20_000), "20,000 numbers")]
)  # fmt: skip
def test_other_shapes_are_refused(tmp_path, shape, words):
    from sae_core.files.errors import CorpusError

    path, ids = write_npy(tmp_path, ["a"] * shape[0], np.ones(shape))
    with pytest.raises(CorpusError, match=words):
        read(path, ids)


@pytest.mark.parametrize("kind", ["i4", "c8", "U3", "?"])
def test_other_kinds_of_numbers_are_refused(tmp_path, kind):
    from sae_core.files.errors import CorpusError

    path, ids = write_npy(tmp_path, ["a", "b"], np.zeros((2, 3), kind))
    with pytest.raises(CorpusError, match="not float16, float32 or float64"):
        read(path, ids)


def test_vectors_of_several_lengths_are_refused(tmp_path):
    from sae_core.files.errors import CorpusError

    rows = {"a": np.ones(4, np.float32), "b": np.ones(5, np.float32)}
    kaldiio.save_ark(str(tmp_path / "v.ark"), rows)
    save_file(rows, tmp_path / "v.safetensors")
    pq.write_table(
        pa.table({"id": list(rows), "v": [row.tolist() for row in rows.values()]}), tmp_path / "v.parquet"
    )
    with h5py.File(tmp_path / "v.h5", "w") as file:
        for name, row in rows.items():
            file[name] = row
    (tmp_path / "v.csv").write_text("id,x,y\na,1,2\nb,1,2,3\n")
    for name in ("v.ark", "v.safetensors", "v.parquet", "v.h5"):
        with pytest.raises(CorpusError, match="different lengths: 5 numbers under 'b', 4 before it"):
            read(tmp_path / name)
    with pytest.raises(CorpusError, match="Expected 3 columns, got 4"):
        read(tmp_path / "v.csv")


@pytest.mark.parametrize("missing", [[0, 1, 2, 3, 4], [3], [5, 6, 7, 8, 29]])
@pytest.mark.parametrize("is_fixed", [False, True])
def test_missing_vectors_in_parquet_are_rows_of_nan(tmp_path, monkeypatch, missing, is_fixed):
    from sae_core.embedding.vector_files import parquet

    monkeypatch.setattr(parquet, "_BATCH_ROWS", 4)
    rows = [None if row in missing else VECTORS[row].tolist() for row in range(N)]
    kind = pa.list_(pa.float32(), DIM if is_fixed else -1)
    pq.write_table(pa.table({"id": NAMES, "vector": pa.array(rows, kind)}), tmp_path / "v.parquet")
    names, found = read(tmp_path / "v.parquet")
    expected = VECTORS.copy()
    expected[missing] = np.nan
    assert names == NAMES
    np.testing.assert_array_equal(found, expected)


def test_as_many_ids_as_vectors_are_wanted(tmp_path):
    from sae_core.files.errors import CorpusError

    path, ids = write_npy(tmp_path, NAMES[:-1], VECTORS)
    with pytest.raises(CorpusError, match="holds 30 vectors, and there are 29 ids in ids.txt"):
        read(path, ids)
    with pytest.raises(CorpusError, match="--ids FILE"):
        read(path)
    with pytest.raises(CorpusError, match="is no file of ids"):
        read(path, tmp_path / "gone.txt")


@pytest.mark.parametrize(("package", "form"), [("kaldiio", "ark"), ("h5py", "hdf5")])
def test_a_missing_package_is_named_with_its_extra(tmp_path, monkeypatch, package, form):
    import sys

    from sae_core.files.errors import MissingDependencyError

    path, ids = WRITERS[form](tmp_path, NAMES, VECTORS)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependencyError, match=rf"{package}.*voxscope\[vectors\]"):
        read(path, ids)


def test_what_is_no_number_in_a_table_is_refused(tmp_path):
    from sae_core.files.errors import CorpusError

    (tmp_path / "v.csv").write_text("id,x,y\na,1,2\nb,1,two\n")
    with pytest.raises(CorpusError, match="two"):
        read(tmp_path / "v.csv")


@given(content=st.binary(max_size=300), head=st.sampled_from([*HEADS.values(), b"PK\x03\x04", b"a \0BFM \4"]))
def test_any_bytes_are_read_or_refused(tmp_path_factory, content, head):
    from sae_core.files.errors import CorpusError

    path = tmp_path_factory.mktemp("any") / "v"
    path.write_bytes(head + content)
    try:
        read(path)
    except CorpusError as error:
        refused = error
        assert refused.remedy
