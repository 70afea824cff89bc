"""Peers to compare with: pinned, in an environment of their own, each a process that answers while we wait our turn.

The environment lies in benchmarks/.peers and is made when it is first needed, from wherever pip is set up to install.
It sees the packages of the environment that runs the benchmarks, so both sides compute with the same torch and numpy;
what a peer needs beyond them, or in another version, is installed beside them and touches nothing of ours.
"""

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

BENCHMARKS = Path(__file__).resolve().parent
FOLDER = BENCHMARKS / ".peers"
PEERS = (
    "sae-lens==6.54.12",
    "eai-sparsify==1.3.3",
    "duckdb==2.0.0",
    "webrtcvad-wheels==2.0.14.post1",
    "kaldi-native-fbank==1.23.0",
    "concept-erasure==0.2.4",
)
PEERS_ALONE = ("Resemblyzer==0.1.4", "speakerlab-slim==0.1.0", "dictionary-learning==0.1.0")
"""Installed without what they ask for: Resemblyzer wants `typing`, long part of Python, and a webrtcvad that has to be
compiled; webrtcvad-wheels is the same, compiled. speakerlab-slim wants all of modelscope; its CAM++ needs torch
alone. dictionary-learning wants tools to run and plot language models."""


class PeerError(RuntimeError):
    """A peer could not be installed, did not start, or failed in a call."""


class Reply(NamedTuple):
    """What a call returned, and the seconds it took inside the peer's process."""

    value: Any
    seconds: float


def peer_python() -> Path:
    """The interpreter of the peers' environment, which is made or made anew when it is not what is asked for."""
    python = FOLDER / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    ours = sysconfig.get_path("purelib")
    wanted = "\n".join([*PEERS, *PEERS_ALONE, sys.version, ours])
    mark = FOLDER / "installed.txt"
    if mark.exists() and mark.read_text("utf-8") == wanted:
        return python
    print(f"installing {', '.join([*PEERS, *PEERS_ALONE])} into benchmarks/.peers (once)", file=sys.stderr)
    venv.create(FOLDER, with_pip=False, clear=True)
    [theirs] = [*FOLDER.glob("lib*/python*/site-packages"), *FOLDER.glob("Lib/site-packages")][:1]
    (theirs / "ours.pth").write_text(ours + "\n", encoding="utf-8")
    _install(python, *PEERS)
    _install(python, "--no-deps", *PEERS_ALONE)
    mark.write_text(wanted, encoding="utf-8")
    return python


def _install(python: Path, *what: str) -> None:
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--python", str(python)]
    done = subprocess.run(
        [*pip, "install", "--prefer-binary", *what], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise PeerError(f"pip cannot install {' '.join(what)}: {_last_line(done.stderr)}")


class Peer:
    """A process that has loaded one of benchmarks/peer_scripts and calls its functions when told to.

    `is_ours`: run it with our own packages only, to measure something in a fresh process.
    """

    def __init__(self, script: str, *, threads: int | None = None, is_ours: bool = False) -> None:
        python = Path(sys.executable) if is_ours else peer_python()
        environment = dict(os.environ)
        if threads is not None:
            environment |= {"OMP_NUM_THREADS": str(threads), "NUMBA_NUM_THREADS": str(threads)}
        if is_ours:
            environment["PYTHONPATH"] = str(BENCHMARKS.parent)
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - closed with the process
        path = BENCHMARKS / "peer_scripts" / f"{script}.py"
        self._process = subprocess.Popen(
            [str(python), str(BENCHMARKS / "peer_host.py"), str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            cwd=BENCHMARKS.parent,
            env=environment,
        )

    def call(self, function: str, **arguments: Any) -> Reply:
        """Call a function of the script with arguments that JSON can hold; large arrays travel as .npy files."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"function": function, "arguments": arguments}) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            self._log.seek(0)
            raise PeerError(f"the peer ended in {function}: {_last_line(self._log.read())}")
        found = json.loads(answer)
        if "failure" in found:
            raise PeerError(f"{function}: {found['failure']}")
        return Reply(found["value"], found["seconds"])

    def seconds(self, function: str, **arguments: Any) -> float:
        """Seconds that a call took inside the peer's process."""
        return self.call(function, **arguments).seconds

    def __enter__(self) -> "Peer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()
        self._log.close()


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
