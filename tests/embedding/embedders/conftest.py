"""One opened embedder of each kind, shared."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.embedding.embedders.voices import write_tiny_nemo


@pytest.fixture(scope="session")
def tiny_nemo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random TitaNet, saved by NeMo."""
    return write_tiny_nemo(tmp_path_factory.mktemp("nemo") / "tiny.nemo")


@pytest.fixture(autouse=True, scope="package")
def _one_torch_thread() -> Iterator[None]:
    """Small networks gain nothing from more threads, and lose much on a busy machine."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)
