"""What every test may use: a quiet machine, a small workspace with known truth, and pages under AppTest.

`sae_core` is imported inside fixtures only, so that the shape checks of jaxtyping are in place before it loads.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings

settings.register_profile(
    "house", deadline=None, max_examples=40, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("house")

# One thread each, set before numpy and torch start theirs: on small arrays and shared cores a second one only waits for
# the first, and makes training many times slower.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
# No test asks the network for anything; NeMo's and Hugging Face's code must not try.
os.environ.update(
    HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", WANDB_MODE="disabled", TOKENIZERS_PARALLELISM="false"
)

REPOSITORY = Path(__file__).parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Quick tests first, slow ones next, the browser last (its event loop would get in the way of others)."""
    for item in items:
        if "browser" in item.path.relative_to(REPOSITORY).parts:
            item.add_marker("browser")
    items.sort(key=lambda item: 2 * ("browser" in item.keywords) + ("slow" in item.keywords))


@pytest.fixture(scope="session", autouse=True)
def _one_torch_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _main_is_pytest() -> Iterator[None]:
    """AppTest leaves its script as the main module, which processes that a later test spawns would run again."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


def _made_once(factory: pytest.TempPathFactory, name: str, write: Callable[[Path], object]) -> Path:
    """A folder that the first process of this run that asks for it writes, and all others read."""
    base = factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, finished = base / "shared" / name, base / f"{name}.finished"
    with FileLock(base / f"{name}.lock"):
        if not finished.exists():
            folder.parent.mkdir(exist_ok=True)
            write(folder)
            finished.touch()
    return folder


@pytest.fixture(scope="session")
def small_workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished workspace of synthetic voices with audio and two SAEs; shared by all tests, so never write to it."""
    return _made_once(tmp_path_factory, "small", _write_small_workspace)


def _write_small_workspace(folder: Path) -> None:
    from sae_core.build.steps import index_workspace, train_in_workspace
    from sae_core.demo.planted import write_synthetic_workspace
    from sae_core.sae.model import SaeConfig
    from sae_core.sae.training import TrainingConfig
    from sae_core.workspace.workspace import Workspace

    # of this seed held-out speakers confirm a value, so that some latents have names and others none
    write_synthetic_workspace(folder, n_clips=600, n_speakers=100, seed=22, with_audio=True)
    workspace = Workspace(folder)
    for config in (
        SaeConfig(dim=192, n_latents=64, k=8, seed=1),
        SaeConfig(dim=192, n_latents=64, k=8, variant="matryoshka", prefixes=(16, 64), seed=1),
    ):
        train_in_workspace(workspace, config, TrainingConfig(n_epochs=40, batch_size=64))
    index_workspace(folder)


@pytest.fixture(scope="session")
def voiced_workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished workspace of hums embedded by GE2E, with a map; shared by all tests, so never write to it."""
    from tests.voiced import write_voiced_workspace

    return _made_once(tmp_path_factory, "voiced", write_voiced_workspace)


@pytest.fixture
def own_workspace(small_workspace: Path, tmp_path: Path) -> Path:
    """A copy of `small_workspace` that the test may change or break."""
    return Path(shutil.copytree(small_workspace, tmp_path / "workspace"))


@pytest.fixture
def app_test(monkeypatch: pytest.MonkeyPatch):
    """`app_test(folder, page, **query)` returns an AppTest of the whole app on that workspace, not yet run."""
    from streamlit.testing.v1 import AppTest

    from tests.app_tests import prepare_streamlit

    prepare_streamlit()

    def open_app(workspace: Path, page: str | None = None, /, **query: str) -> AppTest:
        monkeypatch.setenv("VOXSCOPE_WORKSPACE", str(workspace))
        app = AppTest.from_file(str(REPOSITORY / "app.py"), default_timeout=60)
        app.query_params.update(query)
        if page is not None:
            app.switch_page(f"pages/{page}.py")
        return app

    return open_app
