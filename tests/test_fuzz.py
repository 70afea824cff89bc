"""A few of the tries of `python -m tests.fuzz`, always the same: damaged workspaces are told in words."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_damaged_workspaces_never_end_in_a_fault():
    command = [sys.executable, "-m", "tests.fuzz", "--tries", "30", "--seed", "1"]
    done = subprocess.run(
        command, check=False, cwd=Path(__file__).parent.parent, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    assert "30 tries, 0 failures" in done.stdout
