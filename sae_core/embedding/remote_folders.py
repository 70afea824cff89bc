"""Folders that fsspec reaches: file://, s3://, gs://, … Files come and go whole, and are worked on in local folders.

What stands for itself needs no package but fsspec; s3:// needs s3fs, gs:// gcsfs, abfs:// adlfs, on every machine.
"""

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from sae_core.files.artifacts import writing
from sae_core.files.errors import ArtifactError, MissingDependencyError

REMEDY = "check the address, the network and your right to it, then run the same command again"


def is_remote(place: str) -> bool:
    """Whether a place is an address such as s3://calls/shards, not a path of this machine."""
    return "://" in place


class RemoteFolder:
    """One folder at an address; names of files are relative to it.

    Raises MissingDependencyError when the package that speaks its protocol is missing; every method raises
    ArtifactError when the address does not answer.
    """

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        try:
            from fsspec.core import url_to_fs
        except ImportError as error:
            raise MissingDependencyError(
                "addresses need the package fsspec",
                where=address,
                remedy="run: pip install 'voxscope[ray]' (in a checkout: pip install -r requirements-ray.txt)",
            ) from error
        try:
            self.filesystem, self.path = url_to_fs(self.address)
        except (ImportError, ValueError) as error:
            raise MissingDependencyError(
                f"cannot be reached with what is installed ({error})",
                where=address,
                remedy="install the package that speaks its protocol on every machine: s3fs, gcsfs, adlfs, …",
            ) from error

    def fetch(self, name: str, target: Path) -> bool:
        """Copy one file to `target`, whole or not at all; False when it is not there."""
        with self._speaking():
            try:
                stream = self.filesystem.open(self._place(name), "rb")
            except FileNotFoundError:
                return False
            with stream, writing(target) as temporary, temporary.open("wb") as copy:
                while piece := stream.read(2**20):
                    copy.write(piece)
        return True

    def send(self, source: Path, name: str) -> None:
        """Copy a local file to `name`; whoever looks sees all of it or none."""
        unseen = self._place(f".{name}.{uuid.uuid4().hex}.tmp")
        with self._speaking():
            self.filesystem.makedirs(self.path, exist_ok=True)
            try:
                self.filesystem.put_file(str(source), unseen)
                self.filesystem.mv(unseen, self._place(name))
            except BaseException:
                with contextlib.suppress(Exception):
                    self.filesystem.rm_file(unseen)
                raise

    def names(self) -> set[str]:
        """Names of the files in it, unfinished ones left out; none when there is no such folder."""
        with self._speaking():
            try:
                found: list[Any] = self.filesystem.ls(self.path, detail=False, refresh=True)
            except FileNotFoundError:
                return set()
        return {name for path in found if not (name := PurePosixPath(path).name).startswith(".")}

    def _place(self, name: str) -> str:
        if ".." in PurePosixPath(name).parts or name.startswith("/"):
            raise ValueError(f"{name!r} leads out of {self.address}")
        return f"{self.path}/{name}"

    @contextlib.contextmanager
    def _speaking(self) -> Iterator[None]:
        """Turn whatever goes wrong between here and there into one kind of error."""
        try:
            yield
        except OSError as error:
            raise ArtifactError(f"does not answer ({error})", where=self.address, remedy=REMEDY) from error
