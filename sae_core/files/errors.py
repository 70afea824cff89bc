"""The one tree of errors that VoxScope raises on purpose.

VoxScopeError
├── CorpusError             a folder, label file or clips table is not usable
├── AudioError              one recording cannot be read or used
├── DeviceMemoryError       a batch needs more memory than the processor or the GPU has left
├── ArtifactError           a derived file is missing, damaged, foreign or cannot be written
│   └── StaleArtifactError  it was made from something that has changed since
└── MissingDependencyError  an optional program or package is not installed

Every message says what happened, where, and what to do. Mistakes of the calling code are plain `ValueError`.
"""

from pathlib import Path


class VoxScopeError(Exception):
    """Something a person can put right: `what` happened, `where` it did, and the `remedy`."""

    def __init__(self, what: str, *, where: str | Path | None = None, remedy: str | None = None) -> None:
        self.what = what
        self.where = None if where is None else str(where)
        self.remedy = remedy
        super().__init__(self._sentence())

    def _sentence(self) -> str:
        place = f"{self.where}: " if self.where else ""
        cure = f" → {self.remedy}" if self.remedy else ""
        return f"{place}{self.what}{cure}"


class CorpusError(VoxScopeError):
    """A folder, label file or clips table is not usable."""


class AudioError(VoxScopeError):
    """One recording cannot be read, or holds nothing that can be embedded."""


class DeviceMemoryError(VoxScopeError):
    """A batch needs more memory than the processor or the GPU has left."""


class ArtifactError(VoxScopeError):
    """A derived file is missing, damaged, foreign or cannot be written."""


class StaleArtifactError(ArtifactError):
    """A derived file was made from something that has changed since."""


class MissingDependencyError(VoxScopeError):
    """An optional program or package is not installed."""
