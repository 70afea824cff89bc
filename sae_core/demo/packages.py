"""Debian packages as folders: fetched with apt, unpacked with dpkg, never installed; no root needed."""

import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from sae_core.files.errors import CorpusError, MissingDependencyError
from sae_core.files.progress import Progress, ignore

_TOOLS = ("apt-get", "dpkg", "dpkg-deb")
_FETCH_S = 3600.0


def check_tools() -> None:
    """Raise MissingDependencyError unless this machine has Debian's package tools."""
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        raise MissingDependencyError(
            f"the demo's voices come from Debian packages, and this machine lacks {', '.join(missing)}",
            remedy="build the demo on Debian or Ubuntu, or open the one that ships with VoxScope (demo open)",
        )


def fetch_packages(names: Iterable[str], *, cache: Path, progress: Progress = ignore) -> dict[str, Path]:
    """The folder of each package's files, fetched and unpacked into `cache` unless already there.

    CorpusError names every package that the archive does not have, once all others are there.
    """
    check_tools()
    names = list(dict.fromkeys(names))
    debs, folders = cache / "debs", cache / "unpacked"
    for folder in (debs, folders):
        folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, Path] = {}
    missing: dict[str, str] = {}
    for i, name in enumerate(names):
        progress(i, len(names), f"package {name}")
        reason = _fetch(name, debs)
        if reason:
            missing[name] = reason
        else:
            found[name] = _unpack(_deb_of(name, debs), folders / name)
    if missing:
        raise CorpusError(
            f"apt-get download does not find {', '.join(missing)}: {next(iter(missing.values()))}",
            where=debs,
            remedy="run apt-get update with Debian's main (Ubuntu: universe) enabled, then build again",
        )
    progress(len(names), len(names), "packages")
    return found


def version_of(name: str, *, cache: Path) -> str:
    """The version of a fetched package."""
    return _run(["dpkg-deb", "--field", str(_deb_of(name, cache / "debs")), "Version"]).strip()


def with_dependencies(names: Sequence[str]) -> list[str]:
    """The packages and whatever they need that this machine does not have, in apt's order."""
    check_tools()
    plan = _run(["apt-get", "--simulate", "--no-install-recommends", "install", *names])
    wanted = [line.split()[1] for line in plan.splitlines() if line.startswith("Inst ")]
    return list(dict.fromkeys([*wanted, *names]))


def _deb_of(name: str, debs: Path) -> Path:
    """The fetched file; the newest by name where several versions lie there."""
    return sorted(debs.glob(f"{name}_*.deb"))[-1]


def _fetch(name: str, debs: Path) -> str:
    """Fetch one package unless it is there; the reason where that fails, else an empty string."""
    if any(debs.glob(f"{name}_*.deb")):
        return ""
    done = subprocess.run(
        ["apt-get", "download", "--quiet", name],
        cwd=debs,
        capture_output=True,
        text=True,
        check=False,
        timeout=_FETCH_S,
    )
    if done.returncode == 0 and any(debs.glob(f"{name}_*.deb")):
        return ""
    return done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "no reason given"


def _unpack(deb: Path, folder: Path) -> Path:
    """`folder` with the package's files; a half-unpacked one is never left under its name."""
    if not folder.is_dir():
        unfinished = folder.with_name(f".{folder.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        _run(["dpkg", "--extract", str(deb), str(unfinished)])
        unfinished.rename(folder)
    return folder


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(list(command), capture_output=True, text=True, check=False, timeout=_FETCH_S)
    if done.returncode:
        detail = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()[-1]
        raise CorpusError(
            f"{' '.join(command[:2])} failed: {detail}",
            where=command[-1],
            remedy="run apt-get update, look whether the disk is full, then build again",
        )
    return done.stdout
