"""Where a server may read and write: its workspaces, and the folders that people may import from.

Names that come from an address or a form are looked up here, and lead nowhere else: not by `..`, not by an absolute
path, not through a symbolic link.
"""

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from sae_core.files.artifacts import read_json
from sae_core.files.errors import ArtifactError, CorpusError
from sae_core.files.product import CODE, is_checkout, user_data_folder

WORKSPACE_VARIABLE = "VOXSCOPE_WORKSPACE"
WORKSPACES_VARIABLE = "VOXSCOPE_WORKSPACES"
IMPORT_ROOTS_VARIABLE = "VOXSCOPE_IMPORT_ROOTS"
TOKEN_VARIABLE = "VOXSCOPE_TOKEN"
"""The word that lets people into a shared server; made anew at each start unless it is set."""
USUAL_NAME = "workspaces"
JOB_FOLDER = "job"
MAX_LISTED = 500
_NAME = re.compile(r"[^\W_][\w .+-]{0,62}[\w+-]|[^\W_]")


def is_loopback(host: str) -> bool:
    """Whether an address to listen at is this machine's alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True)
class Places:
    """What a server was started with.

    opened: the workspace it opens with. folder: where its workspaces lie and new ones are made; None: it has only the
    one. roots: folders below which people may choose what to import.
    """

    opened: Path | None
    folder: Path | None
    roots: tuple[Path, ...] = ()

    @classmethod
    def choose(
        cls, workspace: Path | None, folder: Path | None = None, *, roots: Sequence[Path] = ()
    ) -> "Places":
        """The places for what a person gave: a workspace in a folder named `workspaces` makes that the folder of them.

        Raises CorpusError for an import root that is no folder.
        """
        for root in roots:
            if not root.is_dir():
                raise CorpusError(
                    "is no folder", where=root, remedy="give --import-root a folder that exists"
                )
        opened = None if workspace is None else Path(workspace).resolve()
        if folder is None and opened is not None and opened.parent.name == USUAL_NAME:
            folder = opened.parent
        return cls(
            opened, None if folder is None else Path(folder).resolve(), tuple(map(Path.resolve, roots))
        )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Places":
        """The places that `as_environment` handed over, or that somebody set by hand."""
        workspace, folder, roots = (
            environment.get(name, "")
            for name in (WORKSPACE_VARIABLE, WORKSPACES_VARIABLE, IMPORT_ROOTS_VARIABLE)
        )
        found = [Path(root) for root in roots.split(os.pathsep) if root and Path(root).is_dir()]
        return cls.choose(
            Path(workspace) if workspace else None, Path(folder) if folder else None, roots=found
        )

    def as_environment(self) -> dict[str, str]:
        """The same as variables for the server's process."""
        return {
            WORKSPACE_VARIABLE: "" if self.opened is None else str(self.opened),
            WORKSPACES_VARIABLE: "" if self.folder is None else str(self.folder),
            IMPORT_ROOTS_VARIABLE: os.pathsep.join(map(str, self.roots)),
        }

    def workspaces(self) -> dict[str, Path]:
        """Workspaces that hold clips, by name: the one the server opened first, then by name."""
        below = {name: path for name, path in self._below().items() if (path / "clips.parquet").exists()}
        return self._with_opened(below)

    def built(self) -> dict[str, Path]:
        """Workspaces that a build was started in, by name, the latest first."""
        dates = {}
        for name, path in self._with_opened(self._below()).items():
            with suppress(OSError):
                dates[name, path] = (path / JOB_FOLDER / "status.json").stat().st_mtime
        return dict(sorted(dates, key=lambda key: dates[key], reverse=True))

    def taken(self) -> set[str]:
        """Names that no new workspace can have."""
        if self.folder is None or not self.folder.is_dir():
            return set()
        return set(os.listdir(self.folder))

    def _with_opened(self, below: dict[str, Path]) -> dict[str, Path]:
        return (
            below
            if self.opened is None
            else {self.opened.name: self.opened} | below | {self.opened.name: self.opened}
        )

    def workspace(self, name: str | None) -> Path:
        """The workspace of that name, or the one the server opened; ArtifactError where there is none.

        A name is only ever compared with those that are there.
        """
        if name is None and self.opened is not None:
            return self.opened
        found = self.workspaces()
        if name in found:
            return self._readable(found[name])
        if name is None and found:
            return self._readable(next(iter(found.values())))
        if name is None:
            raise ArtifactError(
                "no workspace was given to this server",
                remedy="run: python -m sae_core serve --workspace FOLDER",
            )
        raise ArtifactError(
            f"there is no workspace named {name!r}", remedy=f"choose one of: {', '.join(found) or 'none yet'}"
        )

    def _readable(self, path: Path) -> Path:
        """The workspace, whose recordings lie where this server may read; ArtifactError where they do not.

        The one that the owner opened by name may have them anywhere: a workspace names the folder of its recordings
        itself, and no other one is to open a way to the rest of the machine.
        """
        root = _audio_root(path)
        if root is None or path == self.opened:
            return path
        trusted = [path.resolve(), *self.roots]
        trusted += [self.folder] if self.folder is not None else []
        opened = _audio_root(self.opened) if self.opened is not None else None
        if root in (opened, *trusted) or any(root.is_relative_to(place) for place in trusted):
            return path
        raise ArtifactError(
            f"takes its recordings from {root}, where this server may not read",
            where=path,
            remedy=f"if that is meant, ask the server's owner to start it with --import-root {root}",
        )

    def claim(self, name: str) -> Path:
        """Make the folder of a new workspace, empty, and return it.

        Raises ArtifactError where the name will not do or is taken, or the server has no folder for workspaces.
        """
        if self.folder is None:
            raise ArtifactError(
                "this server has no folder for new workspaces",
                remedy="run: python -m sae_core serve --workspaces FOLDER",
            )
        if not is_name(name):
            raise ArtifactError(
                f"{name!r} cannot be the name of a workspace",
                remedy="use letters, digits, spaces, and . _ + - inside, up to 64 characters",
            )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / name).mkdir()
        except FileExistsError as error:
            raise ArtifactError(
                f"there is a workspace named {name!r} already",
                where=self.folder,
                remedy="choose another name",
            ) from error
        except OSError as error:
            raise ArtifactError(
                f"cannot be written ({error.strerror})", where=self.folder, remedy="ask the server's owner"
            ) from error
        return self.folder / name

    def import_folder(self, root: str, inside: str = "") -> Path:
        """The folder `inside` an import root, both by name; CorpusError where it leads out of it or is none."""
        found = next((path for path in self.roots if str(path) == root), None)
        if found is None:
            raise CorpusError(
                "is no import root of this server", where=root, remedy="choose one that is listed"
            )
        path = found / inside
        is_plain = not Path(inside).is_absolute() and ".." not in Path(inside).parts and "\0" not in inside
        if not is_plain or not path.is_dir() or not path.resolve().is_relative_to(found):
            raise CorpusError(
                "is no folder below this import root", where=inside, remedy="choose one that is listed"
            )
        return path.resolve()

    def import_folders(self, root: str, inside: str = "") -> list[str]:
        """Names of the folders in a folder below an import root: none hidden, none that leads out."""
        place = self.import_folder(root, inside)
        try:
            with os.scandir(place) as entries:
                names = [
                    entry.name
                    for entry in entries
                    if not entry.name.startswith(".") and entry.is_dir() and entry.name.isprintable()
                ]
        except OSError as error:
            raise CorpusError(
                f"cannot be listed ({error.strerror})", where=place, remedy="ask the server's owner"
            ) from error
        stays = [name for name in names if (place / name).resolve().is_relative_to(Path(root))]
        return sorted(stays, key=str.casefold)[:MAX_LISTED]

    def _below(self) -> dict[str, Path]:
        if self.folder is None or not self.folder.is_dir():
            return {}
        with os.scandir(self.folder) as entries:
            names = sorted(
                entry.name for entry in entries if entry.is_dir(follow_symlinks=False) and is_name(entry.name)
            )
        return {name: self.folder / name for name in names}


def usual_folder() -> Path:
    """Where workspaces lie when nobody names a folder.

    That is ./workspaces where there is one, else the checkout's own, and for an installed package, whose folder is not
    for data, the data folder of the person.
    """
    here = Path(USUAL_NAME)
    if here.is_dir():
        return here.resolve()
    return (CODE if is_checkout() else user_data_folder()) / USUAL_NAME


def _audio_root(path: Path) -> Path | None:
    """The folder of a workspace's recordings; None where it does not say, which opening it will."""
    try:
        return (path / str(read_json(path / "corpus.json").get("audio_root", "."))).resolve()
    except (ArtifactError, OSError, ValueError):
        return None


def is_name(text: str) -> bool:
    """Whether a text can name a workspace: also in an address, and on any disk."""
    return _NAME.fullmatch(text) is not None
