"""A few of the tries of `python -m tests.fuzz`, always the same: damaged workspaces are told in words."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.fuzz import run_limited


@pytest.mark.slow
def test_damaged_workspaces_never_end_in_a_fault():
    command = [sys.executable, "-m", "tests.fuzz", "--tries", "30", "--seed", "1"]
    done = subprocess.run(
        command, check=False, cwd=Path(__file__).parent.parent, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    assert "30 tries, 0 failures" in done.stdout


def hang(tell):
    tell("file.json (empty)")
    time.sleep(600)


def crash(tell):
    tell("file.json (empty)")
    os.kill(os.getpid(), signal.SIGSEGV)


def take_memory(tell):
    tell("file.json (empty)")
    bytearray(2**40)


def leave(tell):
    tell("file.json (empty)")
    raise SystemExit(3)


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (hang, ["killed after 1 s", "in hang"]),
        (crash, ["exit -11", "Segmentation fault", "in crash"]),
        (take_memory, ["exit 1", "MemoryError", "in take_memory"]),
        (leave, ["exit 3"]),
    ],
)
def test_a_try_that_does_not_return_is_told_with_what_it_was_doing(work, words):
    (problem,) = run_limited(work, timeout_s=1 if work is hang else 60)
    assert problem.startswith("file.json (empty): ")
    assert all(word in problem for word in words), problem


def test_what_a_try_finds_comes_back():
    assert run_limited(lambda tell: ["one", "two"], timeout_s=60) == ["one", "two"]
    assert run_limited(lambda tell: [], timeout_s=60) == []
