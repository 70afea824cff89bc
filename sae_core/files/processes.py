"""Processes of this machine: told apart though their numbers come round again, and ended together."""

import multiprocessing
import os
import signal
import subprocess
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

_SERVER = {"MALLOC_ARENA_MAX": "2", "OPENBLAS_NUM_THREADS": "1"}
"""A server has a thread for every visit. Each would keep a heap of its own of what it once needed; and small matrix
products, split among threads that wait for each other while others hold the cores, took several times as long."""


def server_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment in which a process that answers many visits stays small and quick; what is set already stays."""
    return _SERVER | dict(environment)


def job_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of work that a server starts: without what was set for the server alone."""
    return {name: value for name, value in environment.items() if _SERVER.get(name) != value}


def end_with_parent() -> None:
    """Let this process of a pool end once the one that asked for its work is gone, even killed.

    Without this, processes of a killed build would go on, and write into files that a second build is writing.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, name="parent", daemon=True).start()


def start_of(pid: int) -> str:
    """When a process began, as the system tells it; nothing where there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()[19]
    except OSError:
        if Path("/proc/self/stat").exists():
            return ""
    told = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return told.stdout.strip()


def send_signal(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process and, where it leads a group, to all of that."""
    with suppress(ProcessLookupError, PermissionError):
        if os.getpgid(pid) == pid:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)
