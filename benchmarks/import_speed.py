"""How long the import of a folder of tiny recordings takes, with and without a table; also by another checkout.

    python -m benchmarks.import_speed [--files 20000] [--turns 3] [--root FOLDER …]

Each file is a tenth of a second of sound that no other file holds, in a folder for every speaker. Nothing is known of
the files before, as with a new workspace. Checkouts take turns, each run in a process of its own; seconds are medians
from a folder to its stored clips, and those of the processors say more where a machine is shared.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import wave
from pathlib import Path

import numpy as np

FILES_A_SPEAKER = 100
SAMPLE_RATE_HZ = 8_000
KINDS = ("folders", "table")
RUN = """
import json, resource, sys, time
from pathlib import Path
from sae_core.corpus.importing import ImportSettings, import_corpus
def used():
    ran = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in ran)
folder, workspace, labels = sys.argv[1:]
settings = ImportSettings(labels=Path(labels) if labels else None)
began, used_before = time.perf_counter(), used()
report = import_corpus(Path(folder), Path(workspace), settings)
took = {"took_s": time.perf_counter() - began, "used_s": used() - used_before}
print(json.dumps({**took, "n_clips": len(report.corpus), "n_attributes": len(report.corpus.attributes)}))
"""


def write_recordings(folder: Path, n_files: int) -> Path:
    """`n_files` different recordings below `folder`/calls, and a table of them beside that; returns the table."""
    lines = ["audio_path,speaker_id,language,gender,age,sentence"]
    tone = np.sin(np.arange(SAMPLE_RATE_HZ // 10) / 5) * 8_000
    for number in range(n_files):
        speaker = number // FILES_A_SPEAKER
        name = f"speaker{speaker:05d}/clip{number:07d}.wav"
        path = folder / "calls" / name
        if number % FILES_A_SPEAKER == 0:
            path.parent.mkdir(parents=True)
        samples = tone.astype("<i2")
        samples[:4] = np.frombuffer(number.to_bytes(8, "little"), "<i2")
        with wave.open(str(path), "wb") as stream:
            stream.setparams((1, 2, SAMPLE_RATE_HZ, 0, "NONE", ""))
            stream.writeframes(samples.tobytes())
        about = ("es", "en", "uk")[speaker % 3], ("female", "male")[speaker % 2], 20 + speaker % 50
        lines.append(f'{name},s{speaker},{about[0]},{about[1]},{about[2]},"Number {number}, said twice"')
    table = folder / "labels.csv"
    table.write_text("\n".join(lines) + "\n", "utf-8")
    return table


def run_once(root: Path, kind: str, folder: Path, table: Path) -> dict[str, float]:
    """One import by the checkout at `root` into a new workspace."""
    environment = os.environ | {"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    with tempfile.TemporaryDirectory() as workspace:
        words = [str(folder / "calls"), workspace, str(table) if kind == "table" else ""]
        done = subprocess.run(
            [sys.executable, "-c", RUN, *words],
            env=environment, cwd=root, capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{root}: {done.stderr.strip()[-2_000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Print the medians of each checkout, and how they compare with the first one's."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument(
        "--root", type=Path, action="append", default=[], help="another checkout to compare with"
    )
    options = parser.parse_args()
    here = Path(__file__).resolve().parent.parent
    roots = [*(root.resolve() for root in options.root), here]
    with tempfile.TemporaryDirectory() as place:
        table = write_recordings(Path(place), options.files)
        for kind in KINDS:
            runs: dict[Path, list[dict[str, float]]] = {root: [] for root in roots}
            for _ in range(options.turns):
                for root in roots:
                    runs[root].append(run_once(root, kind, Path(place), table))
            _print(kind, runs)


def _print(kind: str, runs: dict[Path, list[dict[str, float]]]) -> None:
    """A line for each checkout."""
    medians = {
        root: {name: statistics.median(run[name] for run in some) for name in some[0]}
        for root, some in runs.items()
    }
    first = next(iter(medians.values()))
    for root, found in medians.items():
        ratios = [found[name] / first[name] - 1 for name in ("took_s", "used_s")]
        print(
            f"{kind:8} {found['n_clips']:9,.0f} clips {found['took_s']:8.2f} s ({ratios[0]:+.0%}), "
            f"processors {found['used_s']:8.2f} s ({ratios[1]:+.0%})  {root}",
            flush=True,
        )


if __name__ == "__main__":
    main()
