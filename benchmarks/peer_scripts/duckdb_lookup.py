"""DuckDB, asked for the strongest clips of a latent in a Parquet file."""

import os

import duckdb

STRONGEST = "SELECT row FROM read_parquet(?) WHERE latent = ? ORDER BY activation DESC, row LIMIT ?"
_connection = duckdb.connect()


def open(path: str) -> str:
    """As many threads as we have, and one look at the file; its version."""
    _connection.execute(f"SET threads = {int(os.environ.get('OMP_NUM_THREADS', '1'))}")
    _connection.execute("SELECT count(*) FROM read_parquet(?)", [path]).fetchall()
    return duckdb.__version__


def top(path: str, latent: int, n: int) -> list[int]:
    """The rows of the strongest clips, strongest first, equals by rising row."""
    return [row for (row,) in _connection.execute(STRONGEST, [path, latent, n]).fetchall()]
