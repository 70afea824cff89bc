"""One file of a workspace, damaged: bytes as a broken disk leaves them, or contents as a stranger writes them."""

import contextlib
import json
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from sae_core.files.artifacts import ArtifactMeta, read_json, write_array, write_json, write_tensors
from sae_core.workspace.integrity import METAS
from tests.sealing import reseal

ODD = (
    None, True, -1, 0, 3, 10**30, -(10**30), 1e308, 0.5, "", "x", "9" * 5000, "../../etc", "\ud800", "2030-13-45",
    [], [1, [2]], {}, {"x": {"y": None}},
)  # fmt: skip
DTYPES = ("float64", "float32", "float16", "int64", "int32", "uint8", "bool", "complex64", "U4", "M8[s]")
PARENTS = {"audio": "audio_fingerprint", "splits": "split_fingerprint", "labels": "labels_fingerprint"}
BESIDE = {
    "acoustics.json": ("acoustics.parquet", "acoustics_failures.parquet", "sound_checks.parquet"),
    "lineage.json": ("lineage.parquet",),
    "probes.json": ("probes.parquet",),
}


def damage(file: Path, chance: random.Random, *, others: list[Path]) -> str:
    """Damage `file` in one way and return which."""
    content = file.read_bytes()
    file.unlink()  # it may be a link to the whole workspace's
    kinds: list[Callable[[Path, bytes, random.Random], str]] = [flip, cut, empty, extend]
    within = WITHIN.get(file.suffix)
    if within is not None and chance.random() < 0.7:
        kinds = [within]
    elif chance.random() < 0.1:
        other = chance.choice(others)
        file.write_bytes(other.read_bytes() if other != file else b"")
        return f"replaced by {other.name}"
    try:
        return chance.choice(kinds)(file, content, chance)
    except Exception as error:
        file.write_bytes(content[: len(content) // 2])
        return f"cut in half, as {type(error).__name__} kept it from being written otherwise"


def flip(file: Path, content: bytes, chance: random.Random) -> str:
    """Some bits turned over, often one."""
    changed = bytearray(content)
    n = chance.choice((1, 1, 1, 8, 64)) if content else 0
    for _ in range(n):
        # heads and ends of files say how the rest is to be read
        place = chance.choice((chance.randrange(len(changed)), chance.randrange(min(200, len(changed)))))
        changed[chance.choice((place, -1 - place))] ^= 1 << chance.randrange(8)
    file.write_bytes(changed)
    return f"{n} bits flipped"


def cut(file: Path, content: bytes, chance: random.Random) -> str:
    """Only a beginning is left."""
    end = chance.randrange(len(content) or 1)
    file.write_bytes(content[:end])
    return f"cut at {end}"


def empty(file: Path, content: bytes, chance: random.Random) -> str:
    """Nothing is left, or zeros."""
    zeros = chance.random() < 0.5
    file.write_bytes(bytes(len(content)) if zeros else b"")
    return "zeros" if zeros else "empty"


def extend(file: Path, content: bytes, chance: random.Random) -> str:
    """More stands behind the end."""
    file.write_bytes(content + chance.randbytes(chance.choice((1, 100, 5000))))
    return "bytes appended"


def within_json(file: Path, content: bytes, chance: random.Random) -> str:
    """A key is gone or holds something odd, or the whole is no object that one can read."""
    if chance.random() < 0.15:
        whole = (b"[" * 100_000, b'{"a":' * 100_000, b"[]", b"null", b'{"a": ' + b"9" * 6000 + b"}", b"NaN")
        file.write_bytes(chance.choice(whole))
        return "another JSON"
    value = json.loads(content)
    place, path = value, []
    while True:
        key = chance.choice(list(place) if isinstance(place, dict) else range(len(place)))
        path.append(str(key))
        if not (isinstance(place[key], dict | list) and place[key]) or chance.random() < 0.3:
            break
        place = place[key]
    if chance.random() < 0.3:
        del place[key]
        said = "gone"
    else:
        place[key] = chance.choice(ODD)
        said = repr(place[key])[:40]
    file.write_text(json.dumps(value), "utf-8")
    return f"{'/'.join(path)} is {said}"


def odd_array(array: np.ndarray, chance: random.Random) -> tuple[np.ndarray, str]:
    """An array of another kind, shape or range."""
    kind = chance.choice(("dtype", "shape", "range", "range"))
    if kind == "dtype":
        dtype = chance.choice(DTYPES)
        with np.errstate(all="ignore"):
            return array.astype("i8").astype(dtype) if dtype.startswith("M") else array.astype(dtype), dtype
    if kind == "shape":
        shapes = (
            array.T,
            array[:-1],
            array[:0],
            array.ravel(),
            array[None],
            np.concatenate([array, array]),
            array[..., :1],
            array.ravel()[0],
        )
        found = np.array(chance.choice(shapes))
        return found, f"shape {found.shape}"
    array = array.copy()
    if array.dtype.kind == "f":
        number = chance.choice((np.nan, np.inf, -np.inf, -1.0, 0.0, 1e30, 3e38))
    else:
        info = np.iinfo(array.dtype) if array.dtype.kind in "iu" else None
        number = chance.choice((-1, 0, 10**6, info.max, info.min)) if info else True
    flat = array.reshape(-1)
    flat[slice(None) if chance.random() < 0.3 else chance.randrange(len(flat))] = number
    return array, f"holds {number}"


def within_npy(file: Path, content: bytes, chance: random.Random) -> str:
    """Another array."""
    file.write_bytes(content)
    array, said = odd_array(np.load(file), chance)
    write_array(file, array)
    return said


def within_tensors(file: Path, content: bytes, chance: random.Random) -> str:
    """A tensor is another, gone or called otherwise."""
    from safetensors.numpy import load

    arrays = load(content)
    name = chance.choice(sorted(arrays))
    array, said = odd_array(arrays.pop(name), chance)
    if chance.random() < 0.8:
        arrays[name] = array
    write_tensors(file, arrays)
    return f"{name} {said}" if name in arrays else f"{name} gone"


def within_table(file: Path, content: bytes, chance: random.Random) -> str:
    """A column is gone, of another kind or out of range; or rows are."""
    table = pq.read_table(pa.BufferReader(content)).to_pandas()
    name, kind = (
        chance.choice(list(table.columns)),
        chance.choice(("gone", "kind", "kind", "values", "values", "rows")),
    )
    if kind == "gone":
        table = table.drop(columns=name)
    elif kind == "rows":
        rows = (table[:0], table[:-1], pd.concat([table, table]), table[::-1], table[:1])
        table = chance.choice(rows)
        kind = f"{len(table)} rows"
    elif kind == "kind":
        odd = chance.choice(
            ([None], ["x"], [1.5], [True], [[1, 2]], [{"a": 1}], [b"\xff"], [pd.Timestamp(0)], [2**62])
        )
        table[name] = pd.Series(odd * len(table), index=table.index)
        kind = f"all {odd[0]!r}"
    else:
        odd = chance.choice(
            (None, -1, 10**6, 1e300, float("nan"), float("inf"), "", "x" * 3000, "\x00\n\u202e<b>")
        )
        row = chance.randrange(max(len(table), 1))
        values = [odd if number == row else value for number, value in enumerate(table[name])]
        table[name] = pd.Series(values, index=table.index)
        kind = f"row {row} {odd!r}"[:60]
    pq.write_table(pa.Table.from_pandas(table, preserve_index=False), file)
    return f"{name}: {kind}"


def within_notes(file: Path, content: bytes, chance: random.Random) -> str:
    """Entries hold what nobody writes, or the table is another."""
    file.write_bytes(content)
    for beside in ("-wal", "-shm"):
        file.with_name(file.name + beside).unlink(missing_ok=True)
    columns = ("uid", "sae", "fingerprint", "latent", "clip", "kind", "text", "author", "written_at")
    column = chance.choice(columns)
    odd = chance.choice(("-1", "99999999999", "'x'", "''", "x'ff00ff'", "1e300", "NULL"))
    sql = chance.choice(
        (
            f"UPDATE entries SET {column} = {odd}", f"ALTER TABLE entries RENAME COLUMN {column} TO other",
            "DROP TABLE entries", "PRAGMA user_version = 99", "DELETE FROM entries", "CREATE TABLE other (x)",
        )
    )  # fmt: skip
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = DELETE")
        database.execute(sql)
    return sql


WITHIN = {
    ".json": within_json,
    ".npy": within_npy,
    ".safetensors": within_tensors,
    ".parquet": within_table,
    ".sqlite": within_notes,
}


def seal(folder: Path) -> None:
    """Give every artifact of a workspace of an earlier version the digests that today's have."""
    for pattern, (kind, _) in METAS.items():
        for meta in folder.glob(pattern):
            _files_of(meta, kind)


def _files_of(meta: Path, kind: str) -> None:
    from sae_core.measures.indexing import INDEX_FILES
    from sae_core.sae.training import SAE_FILES

    files = {
        "embeddings": ("vectors.npy", "failures.parquet"),
        "index": INDEX_FILES,
        "sae": SAE_FILES,
        "map": (f"{meta.stem}.npy", f"{meta.stem}_placed.npy"),
    }.get(kind) or BESIDE[meta.name]
    ArtifactMeta.read(meta, kind=kind, remedy="").write(meta, files=files)


def seal_again(file: Path, folder: Path) -> bool:
    """Make the digests that name a file fit what it holds now, and parents fit changed clips; whether any did."""
    if file.parent == folder and file.name in ("clips.parquet", "corpus.json"):
        return _adopt(folder)
    for meta in file.parent.glob("*.json"):
        try:
            if file.name in read_json(meta).get("files", {}):
                reseal(meta)
                return True
        except Exception:
            continue
    return False


def _adopt(folder: Path) -> bool:
    """Let every artifact be made from the clips as they are now, where these can be opened at all."""
    from sae_core.corpus.clips import Corpus

    try:
        corpus = Corpus.load(folder)
        current = {name: getattr(corpus, fingerprint) for name, fingerprint in PARENTS.items()}
    except Exception:
        return False
    for pattern in METAS:
        for meta in folder.glob(pattern):
            said = read_json(meta)
            said["parents"] |= {name: mark for name, mark in current.items() if name in said["parents"]}
            write_json(meta, said)
    return True
