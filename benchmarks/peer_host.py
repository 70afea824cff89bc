"""The inside of a peer's process: loads one script and answers calls, a line of JSON each way.

Runs without the repository on its path, so that no name here stands in the way of a peer's own.
"""

import importlib.util
import json
import os
import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:
    """Answer until the input ends."""
    sys.path[:] = [place for place in sys.path if Path(place or ".").resolve() != Path(__file__).parent]
    # whatever a peer prints goes to the error stream: the answers have the output to themselves
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    script = _load(Path(sys.argv[1]))
    for line in sys.stdin:
        answers.write(json.dumps(_answer(script, json.loads(line))) + "\n")
        answers.flush()


def _load(path: Path) -> Any:
    found = importlib.util.spec_from_file_location(path.stem, path)
    assert found is not None
    assert found.loader is not None
    script = importlib.util.module_from_spec(found)
    found.loader.exec_module(script)
    return script


def _answer(script: Any, question: dict[str, Any]) -> dict[str, Any]:
    started = time.perf_counter()
    try:
        value = getattr(script, question["function"])(**question["arguments"])
    # the one who asked decides what a failure means
    except Exception as error:
        return {"failure": f"{type(error).__name__}: {error}"}
    return {"value": value, "seconds": time.perf_counter() - started}


if __name__ == "__main__":
    main()
