"""One opened embedder of each kind, shared."""

from pathlib import Path

import pytest

from tests.embedders.voices import write_tiny_nemo


@pytest.fixture(scope="session")
def tiny_nemo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random TitaNet, saved by NeMo."""
    return write_tiny_nemo(tmp_path_factory.mktemp("nemo") / "tiny.nemo")
