from pathlib import Path

import pytest
import soundfile

from tests.recordings import voice


@pytest.fixture
def calls(tmp_path) -> Path:
    """A folder of twelve short recordings: two values, three speakers each, two recordings a speaker."""
    folder = tmp_path / "calls"
    for value in ("es", "uk"):
        for speaker in "abc":
            for number in range(2):
                path = folder / value / f"{value}-{speaker}" / f"{number}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(path, voice(2 + number, 8_000), 8_000)
    return folder


@pytest.fixture
def workspace(tmp_path) -> Path:
    """Where to import to; not there yet."""
    return tmp_path / "workspace"
