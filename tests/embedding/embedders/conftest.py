"""One opened embedder of each kind, shared."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.embedding.embedders.voices import write_tiny_nemo


@pytest.fixture(scope="session")
def tiny_nemo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random TitaNet, saved by NeMo."""
    return write_tiny_nemo(tmp_path_factory.mktemp("nemo") / "tiny.nemo")


@pytest.fixture(scope="session")
def campplus_onnx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CAM++ with the shipped weights, exported to ONNX: frames in, one vector out."""
    path = tmp_path_factory.mktemp("onnx") / "campplus.onnx"
    # in a process of its own: sizes are no whole numbers while a network is traced, as checked signatures want them
    code = "import sys, pathlib, tests.embedding.embedders.voices as voices;"
    code += "voices.export_campplus(pathlib.Path(sys.argv[1]))"
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(path)], check=True, cwd=Path(__file__).parents[3]
    )
    return path


@pytest.fixture(autouse=True, scope="package")
def _one_torch_thread() -> Iterator[None]:
    """Small networks gain nothing from more threads, and lose much on a busy machine."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)
