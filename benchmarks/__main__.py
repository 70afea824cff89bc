"""Every benchmark in turn, one table at the end.

    python -m benchmarks [--only NAME …] [--quick] [--threads 2]

Each benchmark is a module with `measure(is_quick)`, which yields rows as it finds them, and runs in a process of its
own: one that fails says so in its row, and the others go on. A full run of a benchmark replaces its rows in the file of
this kind of machine in benchmarks/results; a quick one (small sizes, figures that mean little) is only printed.
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.rows import FAILED, REPORTED, SHORT, Row, describe_machine, failed, table

RESULTS = Path(__file__).resolve().parent / "results"
BENCHMARKS = (
    "training",
    "grid",
    "encoding",
    "index",
    "matching",
    "groups",
    "attributes",
    "steering",
    "recipes",
    "erasure",
    "scores",
    "ge2e",
    "titanet",
    "maps",
    "imports",
)
N_THREADS = 2
LIMIT_S = 2400


def main() -> None:
    """Run, print, keep; exit status 1 when a benchmark failed (falling short is a finding, not a failure)."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, default=list(BENCHMARKS), metavar="NAME")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that everything runs")
    parser.add_argument("--threads", type=int, default=N_THREADS, help="of us and of every peer")
    parser.add_argument("--rows-to", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rows_to:
        [name] = options.only
        measure_here(name, options.rows_to, is_quick=options.quick)
        return
    found = {}
    for name in options.only:
        started = time.perf_counter()
        print(f"{name} …", end=" ", flush=True)
        found[name] = run_apart(name, options.threads, is_quick=options.quick)
        print(f"{time.perf_counter() - started:.0f} s", flush=True)
    rows = [row for some in found.values() for row in some]
    print(f"\n{table(rows)}\n\n{summary(rows)}")
    if not options.quick:
        keep(found, describe_machine(options.threads))
    sys.exit(any(row.verdict == FAILED for row in rows))


def measure_here(name: str, rows_to: Path, *, is_quick: bool) -> None:
    """In a benchmark's own process: write each row as soon as it is found."""
    benchmark = importlib.import_module(f"benchmarks.{name}")
    with rows_to.open("a", encoding="utf-8") as stream:
        for row in benchmark.measure(is_quick=is_quick):
            stream.write(json.dumps(row.to_json()) + "\n")
            stream.flush()


def run_apart(name: str, threads: int, *, is_quick: bool) -> list[Row]:
    """The rows of one benchmark, run in a process of its own; a failure is the last of them."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "NUMBA_NUM_THREADS": str(threads)}
    with tempfile.TemporaryDirectory() as scratch:
        rows_to = Path(scratch) / "rows.jsonl"
        rows_to.touch()
        command = [sys.executable, "-m", "benchmarks", "--only", name, "--rows-to", str(rows_to)]
        command += ["--quick"] if is_quick else []
        said, is_done = run_within_limit(command, environment)
        lines = rows_to.read_text("utf-8").splitlines()
    rows = [Row.from_json(json.loads(line)) for line in lines]
    if not is_done:
        print(said, file=sys.stderr)
        rows.append(failed(name, ([line.strip() for line in said.splitlines() if line.strip()] or ["?"])[-1]))
    return rows


def run_within_limit(command: list[str], environment: dict[str, str]) -> tuple[str, bool]:
    """What a process wrote to its error stream, and whether it ended well and in time."""
    try:
        done = subprocess.run(
            command, env=environment, stderr=subprocess.PIPE, text=True, check=False, timeout=LIMIT_S
        )
    except subprocess.TimeoutExpired:
        return f"took more than {LIMIT_S} s", False
    return done.stderr or f"ended with status {done.returncode}", done.returncode == 0


def summary(rows: list[Row]) -> str:
    """How many rows reach what they should."""
    verdicts = [row.verdict for row in rows if row.verdict != REPORTED]
    n_short, n_failed = verdicts.count(SHORT), verdicts.count(FAILED)
    return (
        f"{len(verdicts) - n_short - n_failed} of {len(verdicts)} reached, {n_short} short, {n_failed} failed"
    )


def keep(found: dict[str, list[Row]], machine: dict[str, str]) -> None:
    """Put these rows in place of the same benchmarks' older ones, as JSON and as the table to read."""
    name = (machine["graphics card"] or f"{machine['processor']} {machine['threads']} threads").lower()
    path = RESULTS / ("-".join("".join(c if c.isalnum() else " " for c in name).split()) + ".json")
    path.parent.mkdir(exist_ok=True)
    stored: dict[str, Any] = json.loads(path.read_text("utf-8"))["benchmarks"] if path.exists() else {}
    today = datetime.now(UTC).date().isoformat()
    for benchmark, rows in found.items():
        stored[benchmark] = {"date": today, "rows": [row.to_json() for row in rows]}
    stored = {benchmark: stored[benchmark] for benchmark in BENCHMARKS if benchmark in stored}
    text = json.dumps({"machine": machine, "benchmarks": stored}, indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
    rows = [Row.from_json(row) for one in stored.values() for row in one["rows"]]
    dates = sorted({one["date"] for one in stored.values()})
    facts = ", ".join(f"{what} {value}" for what, value in machine.items() if value)
    path.with_suffix(".md").write_text(
        f"# `make bench`, {' to '.join(dict.fromkeys((dates[0], dates[-1])))}\n\n{facts}\n\n{table(rows)}\n\n"
        f"{summary(rows)}\n",
        encoding="utf-8",
    )
    print(f"kept in benchmarks/results/{path.stem}.md and .json")


if __name__ == "__main__":
    main()
