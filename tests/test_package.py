"""The package as a stranger gets it: a wheel in an environment of its own, used from an empty folder."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import sysconfig
import tarfile
import time
import tomllib
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import sae_core

REPOSITORY = Path(__file__).parent.parent
MAX_WHEEL_BYTES = 100 * 1024 * 1024
START_S = 120

# asks the app of the installed package for its first page, and where all that it loaded of VoxScope came from
DRAWN = """
import json, sys
from streamlit.testing.v1 import AppTest
from sae_core.files.product import asset, product_folder
script = product_folder() / "app.py"
app = AppTest.from_file(str(script), default_timeout=120).run()
assert not app.exception, app.exception
ours = [m for name, m in list(sys.modules.items()) if name.split(".")[0] in ("sae_core", "pages")]
files = sorted({m.__file__ for m in ours if getattr(m, "__file__", None)})
print(json.dumps([app.title[0].value, str(script), asset("logo.svg").is_file(), files]))
"""

pytestmark = pytest.mark.slow


def build(kind: str, source: Path, out: Path) -> Path:
    """Build a wheel or an sdist of a source tree, without network, and return its path."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(out)]
    subprocess.run(command, cwd=source, check=True, capture_output=True, text=True)
    (built,) = out.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel of this checkout."""
    return build("wheel", REPOSITORY, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory) -> Path:
    """The sdist of this checkout."""
    return build("sdist", REPOSITORY, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The bin/ of a new environment that holds the wheel, and sees the packages that run these tests by one .pth."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install"]
    subprocess.run([*pip, "--quiet", "--no-deps", "--no-index", str(wheel)], check=True)
    (site_packages,) = folder.glob("lib/python*/site-packages")
    paths = sysconfig.get_paths()
    places = dict.fromkeys((paths["purelib"], paths["platlib"]))
    (site_packages / "others.pth").write_text("".join(f"{place}\n" for place in places))
    return folder / "bin"


@pytest.fixture(scope="module")
def away(tmp_path_factory) -> Path:
    """The empty folder where commands run."""
    return tmp_path_factory.mktemp("away")


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> dict[str, str]:
    """The environment of a person with an empty home, and nothing that leads to this checkout."""
    home = tmp_path_factory.mktemp("home")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "VOXSCOPE", "XDG"))
    }
    return kept | {"HOME": str(home), "XDG_DATA_HOME": str(home / "data")}


def run(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    """What a command printed; its errors are shown where it fails."""
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def tracked() -> list[str]:
    """Every file of the repository; skips where that is not known."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    try:
        return subprocess.run(
            command, cwd=REPOSITORY, capture_output=True, text=True, check=True
        ).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")


def test_the_wheel_holds_the_product_and_puts_nothing_else_among_packages(wheel):
    assert wheel.stat().st_size < MAX_WHEEL_BYTES
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    about = f"voxscope-{sae_core.__version__}.dist-info"
    assert {name.split("/")[0] for name in held} == {"sae_core", "voxscope", about}
    expected = {
        name if name.startswith("sae_core/") else f"voxscope/{name}"
        for name in tracked()
        if name.startswith(("sae_core/", "pages/", "assets/", ".streamlit/")) or name == "app.py"
    }
    assert {name for name in held if not name.startswith(about)} == expected


def test_the_sdist_is_the_repository(sdist):
    with tarfile.open(sdist) as archive:
        held = {member.name.split("/", maxsplit=1)[1] for member in archive if member.isfile()}
    assert held == {*tracked(), "PKG-INFO"}


def test_a_wheel_of_the_sdist_is_the_same(sdist, wheel, tmp_path):
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    again = build("wheel", source, tmp_path / "again")
    with zipfile.ZipFile(again) as one, zipfile.ZipFile(wheel) as other:
        assert {i.filename: i.CRC for i in one.infolist()} == {i.filename: i.CRC for i in other.infolist()}


def test_the_command_explains_itself(installed, away, environment):
    assert "usage: voxscope" in run([str(installed / "voxscope"), "--help"], away, environment)
    version = run([str(installed / "voxscope"), "--version"], away, environment)
    assert version.split() == ["voxscope", sae_core.__version__]
    by_module = run([str(installed / "python"), "-m", "sae_core", "--help"], away, environment)
    assert "usage: python -m sae_core" in by_module


@pytest.fixture(scope="module")
def served(installed, away, environment) -> Iterator[tuple[str, Path]]:
    """The demo, opened by the installed command: the server's address, and the person's own copy of the demo."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = away.parent / "served.txt"
    command = [str(installed / "voxscope"), "demo", "--headless", "--port", str(port)]
    with log.open("w") as written:
        process = subprocess.Popen(
            command, cwd=away, env=environment, stdout=written, stderr=written, start_new_session=True
        )
    address = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + START_S
        while not is_up(address):
            assert process.poll() is None and time.monotonic() < until, log.read_text()
            time.sleep(0.2)
        (opened,) = re.findall(r"VoxScope opens (.+) at http", log.read_text())
        yield address, Path(opened)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


def is_up(address: str) -> bool:
    """Whether a server says that it is well."""
    try:
        return fetch(f"{address}/_stcore/health") == b"ok"
    except OSError:
        return False


def fetch(address: str) -> bytes:
    """The body that is answered."""
    with urllib.request.urlopen(address, timeout=30) as answer:
        body: bytes = answer.read()
        return body


def test_the_demo_is_served_from_a_copy_that_belongs_to_the_person(served, away, environment, installed):
    address, own = served
    assert b"<title>" in fetch(address)
    assert own == Path(environment["XDG_DATA_HOME"]) / "voxscope" / "workspaces" / "demo"
    assert not list(away.iterdir())
    told = run([str(installed / "voxscope"), "info", str(own)], away, environment)
    assert "ready" in told and "missing" not in told and "stale" not in told


def test_the_installed_app_draws_its_first_page_and_nothing_of_the_checkout(
    served, away, environment, installed
):
    _, own = served
    told = run(
        [str(installed / "python"), "-P", "-c", DRAWN], away, environment | {"VOXSCOPE_WORKSPACE": str(own)}
    )
    title, script, has_logo, files = json.loads(told.splitlines()[-1])
    assert title == "Hear what a speaker embedding encodes"
    assert has_logo
    (site_packages,) = installed.parent.glob("lib/python*/site-packages")
    assert script == str(site_packages / "voxscope" / "app.py")
    assert any(f"{site_packages}/voxscope/pages/" in file for file in files)
    assert not [file for file in files if not file.startswith(f"{site_packages}/")]


def test_a_build_that_the_app_starts_runs_in_the_installed_package(
    served, away, environment, installed, tmp_path
):
    _, own = served
    code = """
import sys, time
from pathlib import Path
from sae_core.build.job_records import stored_status
from sae_core.build.jobs import is_building, start_job
from sae_core.build.plan import BuildPlan
source, workspace = map(Path, sys.argv[1:])
start_job(BuildPlan(str(source), embedder="ge2e", variants=("topk",), n_latents=(16,), ks=(4,), n_epochs=1), workspace)
while is_building(workspace):
    time.sleep(0.2)
print(stored_status(workspace).state)
"""
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    for file in sorted(own.rglob("*.mp3"))[::60]:
        (recordings / file.name).write_bytes(file.read_bytes())
    workspace = tmp_path / "built"
    workspace.mkdir()
    told = run(
        [str(installed / "python"), "-P", "-c", code, str(recordings), str(workspace)], away, environment
    )
    assert told.split() == ["finished"], (workspace / "job" / "log.txt").read_text()


def test_a_checkout_runs_its_own_code_where_another_is_installed(installed, environment):
    code = "import sae_core.files.product as p, pages; print(p.product_folder(), pages.__file__, sep='\\n')"
    told = run([str(installed / "python"), "-c", code], REPOSITORY, environment)
    assert told.split() == [str(REPOSITORY), str(REPOSITORY / "pages" / "__init__.py")]


def test_the_version_stands_in_one_place():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    assert "version" not in project and project["dynamic"] == ["version"]
    changelog = (REPOSITORY / "CHANGELOG.md").read_text("utf-8")
    assert re.search(rf"^## .*\b{re.escape(sae_core.__version__)}\b", changelog, re.MULTILINE)
