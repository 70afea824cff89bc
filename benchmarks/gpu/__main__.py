"""The core on a GPU: its answers beside the processor's, its speed beside its peers', one table at the end.

    bash benchmarks/gpu/run.sh [--device cuda] [--quick] [--only PART …]

Needs a card, torch and no network; README.md beside this file says how to prepare it. Each part runs in a process of
its own, so one that fails or hangs says so in its row and the others go on; all of them together keep to `--limit-s`.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

from benchmarks.gpu.parts import LIMITS_S, Request, describe, measure_part
from benchmarks.gpu.workers import WorkerError, rows_of, side_by_side
from benchmarks.rows import FAILED, SHORT, Row, failed, table

CHECKING = ("answers", "encoders", "memory")
"""Of these parts a row that falls short is a fault; of the others it is a finding."""


def main() -> None:
    """Run, print, keep; exit status 1 when something failed or an answer is wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, or cpu to see that everything runs")
    parser.add_argument("--quick", action="store_true", help="small sizes, figures that mean little")
    parser.add_argument("--only", nargs="+", choices=LIMITS_S, default=list(LIMITS_S), metavar="PART")
    parser.add_argument("--limit-s", type=float, default=400.0, help="seconds for all parts together")
    options = parser.parse_args()
    out = Path(os.environ["OUT"]) if os.environ.get("OUT") else None
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    request = Request(options.device, options.quick, out)
    try:
        [machine] = side_by_side(describe, [(request,)], limit_s=120)
    except WorkerError as error:
        sys.exit(f"the device {options.device!r} cannot be used: {error}")
    found = run_parts(request, options.only, time.monotonic() + options.limit_s)
    keep(found, machine, out)
    wrong = [row for name, rows in found.items() for row in rows if is_wrong(name, row)]
    print(
        f"\n{len(wrong)} wrong" + "".join(f"\n- {row.name}: {row.failure or row.measured}" for row in wrong)
    )
    sys.exit(bool(wrong))


def run_parts(request: Request, names: list[str], deadline: float) -> dict[str, list[Row]]:
    """The rows of each part; of those for which no time is left, one that says so."""
    found: dict[str, list[Row]] = {}
    for name in names:
        started = time.monotonic()
        left_s = min(LIMITS_S[name], deadline - started)
        if left_s < 5:
            found[name] = [failed(name, "no time was left")]
            continue
        print(f"{name} …", end=" ", flush=True)
        found[name] = list(rows_of(measure_part, name, request, left_s))
        print(f"{time.monotonic() - started:.0f} s", flush=True)
    return found


def is_wrong(part: str, row: Row) -> bool:
    """Whether a row says that something failed or that an answer is not the processor's."""
    return row.verdict == FAILED or (row.verdict == SHORT and part in CHECKING)


def keep(found: dict[str, list[Row]], machine: dict[str, str], out: Path | None) -> None:
    """Print the table, and write it beside its figures into `out`."""
    facts = ", ".join(f"{what} {value}" for what, value in machine.items() if value)
    text = f"{facts}\n\n{table(row for rows in found.values() for row in rows)}"
    print(f"\n{text}")
    if out is not None:
        (out / "gpu.md").write_text(f"{text}\n", encoding="utf-8")
        stored = {name: [row.to_json() for row in rows] for name, rows in found.items()}
        figures = json.dumps({"machine": machine, "parts": stored}, indent=1, ensure_ascii=False)
        (out / "gpu.json").write_text(f"{figures}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
