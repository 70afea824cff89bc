"""Files survive what happens to them: kills, full disks, read-only folders, garbage."""

import os
import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sae_core.files import artifacts
from sae_core.files.errors import ArtifactError, StaleArtifactError


def test_writing_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "value.json"
    artifacts.write_json(path, {"a": 1})
    with pytest.raises(RuntimeError), artifacts.writing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("stopped")
    assert artifacts.read_json(path) == {"a": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["value.json"]


WRITES = {
    "json": "artifacts.write_json(path, {'long': 'x' * 200_000})",
    "npy": "artifacts.write_array(path, np.zeros(1_000_000))",
    "parquet": "artifacts.write_table(path, pd.DataFrame({'a': np.random.default_rng(0).random(100_000)}))",
    "safetensors": "artifacts.write_tensors(path, {'a': np.zeros(1_000_000)})",
}


@pytest.mark.parametrize("kind", WRITES)
def test_a_full_disk_is_reported_and_loses_nothing(tmp_path, kind):
    """A real limit on file size stands in for a full disk: the kernel refuses the write either way."""
    path = tmp_path / f"artifact.{kind}"
    path.write_bytes(b"made before")
    script = textwrap.dedent(f"""
        import resource, signal, sys
        import numpy as np, pandas as pd
        from pathlib import Path
        from sae_core.files import artifacts
        from sae_core.files.errors import ArtifactError
        import safetensors.numpy, pyarrow.parquet
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        path = Path(sys.argv[1])
        try:
            {WRITES[kind]}
        except ArtifactError as error:
            print(error)
            sys.exit(7)
    """)
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 7, done.stderr
    assert path.name in done.stdout and "→" in done.stdout
    assert path.read_bytes() == b"made before"
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("number", "words"),
    [("ENOSPC", "free some space"), ("EROFS", "read-only disk"), ("EACCES", "permissions")],
)
def test_each_refusal_of_the_disk_names_its_remedy(tmp_path, number, words):
    import errno

    path = tmp_path / "table.parquet"
    with pytest.raises(ArtifactError, match=words) as caught, artifacts.writing(path):
        raise OSError(getattr(errno, number), os.strerror(getattr(errno, number)))
    assert str(path) in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_other_system_errors_pass_unchanged(tmp_path):
    with pytest.raises(ConnectionError), artifacts.writing(tmp_path / "x"):
        raise ConnectionError("not about this file")


@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 7, b"\xff" * 200, pickle.dumps({"W_enc": [1.0]}), b"PK\x03\x04zip"]
)
def test_garbage_and_pickles_are_no_safetensors(tmp_path, content):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match="safetensors"):
        artifacts.read_tensors(path)


def test_a_pickled_array_is_never_loaded(tmp_path):
    path = tmp_path / "vectors.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ArtifactError, match="vectors.npy"):
        artifacts.read_array(path)


@pytest.mark.parametrize(
    ("read", "content"),
    [
        (artifacts.read_json, b"{"),
        (artifacts.read_json, b"[1]"),
        (artifacts.read_json, b"\xff\xfe"),
        (artifacts.read_table, b"PAR1"),
        (artifacts.read_array, b"\x93NUMPY"),
    ],
)
def test_damaged_files_are_named(tmp_path, read, content):
    path = tmp_path / "damaged"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match="damaged"):
        read(path)


@pytest.mark.parametrize(
    "read", [artifacts.read_json, artifacts.read_table, artifacts.read_array, artifacts.read_tensors]
)
def test_missing_files_say_what_to_run(tmp_path, read):
    with pytest.raises(ArtifactError, match="absent.*→ run this"):
        read(tmp_path / "absent", remedy="run this")


def test_tables_say_which_columns_they_lack(tmp_path):
    artifacts.write_table(tmp_path / "t.parquet", pd.DataFrame({"a": [1]}))
    with pytest.raises(ArtifactError, match="lacks the columns b"):
        artifacts.read_table(tmp_path / "t.parquet", columns=["a", "b"])


@given(
    st.dictionaries(st.text(max_size=5), st.integers(-9, 9), max_size=4),
    st.dictionaries(st.text(max_size=5), st.integers(-9, 9), max_size=4),
)
def test_fingerprints_are_equal_exactly_where_values_are(first, second):
    assert (artifacts.fingerprint(first) == artifacts.fingerprint(second)) == (first == second)


def test_fingerprints_tell_apart_what_looks_alike():
    parts = [
        ("ab", "c"),
        ("a", "bc"),
        (1,),
        (1.0,),
        ("1",),
        (True,),
        (None,),
        (b"1",),
        ([1, [2]],),
        ([1, 2],),
        (np.zeros(2, np.float32),),
        (np.zeros(2),),
        (np.zeros((1, 2)),),
        (np.float64(0) + np.zeros(()),),
    ]
    marks = [artifacts.fingerprint(*part) for part in parts]
    assert len(set(marks)) == len(marks)
    with pytest.raises(ValueError, match="set"):
        artifacts.fingerprint({1, 2})


def test_metas_name_their_parents_and_refuse_strangers(tmp_path):
    path = tmp_path / "meta.json"
    meta = artifacts.ArtifactMeta("sae", "f" * 16, {"embeddings": "abc"}, {"seed": 1})
    meta.write(path)
    assert artifacts.ArtifactMeta.read(path, kind="sae", remedy="train") == meta
    with pytest.raises(ArtifactError, match="not 'index'"):
        artifacts.ArtifactMeta.read(path, kind="index", remedy="train")
    meta.check_parents({"embeddings": "abc", "other": "x"}, where=path, remedy="train")
    with pytest.raises(StaleArtifactError, match="earlier embeddings"):
        meta.check_parents({"embeddings": "def"}, where=path, remedy="train")
    artifacts.write_json(path, {"format_version": 99, "kind": "sae"})
    with pytest.raises(ArtifactError, match="format version 99"):
        artifacts.ArtifactMeta.read(path, kind="sae", remedy="train")
    artifacts.write_json(path, {"format_version": 1, "kind": "sae"})
    with pytest.raises(ArtifactError, match="lacks its fingerprint"):
        artifacts.ArtifactMeta.read(path, kind="sae", remedy="train")


@given(
    n_rows=st.integers(0, 5_000),
    n_columns=st.integers(1, 300),
    limit=st.sampled_from([0, 100, 10_000, 10**7]),
)
def test_of_a_large_array_pieces_from_first_to_last_row_are_looked_at(n_rows, n_columns, limit):
    array = np.lib.stride_tricks.as_strided(np.zeros(1, np.float32), (n_rows, n_columns), (0, 0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(artifacts, "CHECKED_AT_OPEN_BYTES", limit)
        rows = artifacts.rows_to_check(array)
    if array.nbytes <= limit:
        assert rows.tolist() == list(range(n_rows))
        return
    assert rows[0] == 0 and rows[-1] == n_rows - 1 and (np.diff(rows) > 0).all()
    assert len(rows) * 4 * n_columns <= max(32 * 16 * 1024, 32 * 4 * n_columns)
    assert np.diff(rows).max(initial=1) <= n_rows / 31 + 1, (
        "no stretch is passed over that is longer than the others"
    )


def every_flip_of(content, places):
    """The content with one bit turned over, for each bit of these places."""
    for place in places:
        for bit in range(8):
            changed = bytearray(content)
            changed[place] ^= 1 << bit
            yield bytes(changed)


@pytest.mark.parametrize("name", ["a.npy", "a.parquet", "a.safetensors"])
def test_whichever_bit_of_what_describes_a_file_is_flipped_it_is_read_or_named(tmp_path, name):
    path = tmp_path / name
    if path.suffix == ".npy":
        artifacts.write_array(path, np.arange(17))
        read, places = artifacts.read_array, range(128)
    elif path.suffix == ".parquet":
        artifacts.write_table(path, pd.DataFrame({"a": [1, 2], "b": ["x", None]}))
        read, places = artifacts.read_table, range(-300, 0, 2)
    else:
        artifacts.write_tensors(path, {"a": np.zeros((2, 2), np.float32), "b": np.arange(3)})
        read, places = artifacts.read_tensors, range(150)
    content = path.read_bytes()
    named = []
    for changed in every_flip_of(content, places):
        path.write_bytes(changed)
        try:
            read(path, remedy="make it again")
        except ArtifactError as error:
            named.append(error)
    assert len(named) > 100
    assert {(error.where, error.remedy) for error in named} == {(str(path), "make it again")}
