"""Weights that other libraries wrote, read without running anything in them and without trusting their sizes.

Safetensors files are read as they are; PyTorch files only by `torch.load(weights_only=True)`, which builds tensors,
numbers, text and plain containers and refuses everything else. A file is known by what is in it, whatever its name.
"""

import json
import math
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sae_core.files.artifacts import MAX_SAFETENSORS_HEADER_BYTES, read_json
from sae_core.files.errors import ArtifactError

MAX_FILE_BYTES = 4 * 2**30
MAX_NUMBERS = 2**30
"""Of all tensors of a file together: 4 GiB of single precision."""
MAX_FILES_IN_FOLDER = 1000
_REMEDY = "check the file, or download it again"
_SAVE_AGAIN = (
    "save its state dict with safetensors, or with torch.save of PyTorch 1.6 or newer, "
    "holding tensors, numbers and text only"
)


@dataclass(frozen=True)
class ForeignFile:
    """One file of weights. tensors: by name. values: what else it holds, numbers and text. where: the file."""

    where: Path
    tensors: Mapping[str, Tensor]
    values: Mapping[str, Any] = field(default_factory=dict)


def find_files(place: Path) -> tuple[list[ForeignFile], list[dict[str, Any]]]:
    """Return the weights in a folder, or in one file, and every JSON object beside them.

    Raises ArtifactError where there is nothing, or a file that is damaged, too large, or holds more than weights.
    """
    place = Path(place)
    if not place.exists():
        raise ArtifactError("does not exist", where=place, remedy="say where the SAE is: a folder or a file")
    folder = place if place.is_dir() else place.parent
    beside = sorted(path for path in _first(folder) if path.is_file())
    candidates = beside if place.is_dir() else [place]
    kinds = {path: _kind(path) for path in candidates}
    weights = [path for path in candidates if kinds[path] in ("safetensors", "torch")]
    if not weights:
        raise _nothing(place, folder)
    found = [
        _read_safetensors(path) if kinds[path] == "safetensors" else _read_torch(path) for path in weights
    ]
    return found, [read_json(path, remedy=_REMEDY) for path in beside if path.suffix.lower() == ".json"]


def _first(folder: Path) -> Iterator[Path]:
    for number, path in enumerate(folder.iterdir()):
        if number == MAX_FILES_IN_FOLDER:
            raise ArtifactError(
                f"holds more than {MAX_FILES_IN_FOLDER:,} files",
                where=folder,
                remedy="name the file of the SAE itself, in a folder of its own",
            )
        yield path


def _nothing(place: Path, folder: Path) -> ArtifactError:
    if not place.is_dir():
        what = "is neither a safetensors file nor a PyTorch file (pickles of any other kind are never opened)"
        return ArtifactError(what, where=place, remedy=_SAVE_AGAIN)
    inner = sorted(path.name for path in folder.iterdir() if path.is_dir())[:5]
    remedy = f"name one of its folders: {', '.join(inner)}" if inner else "name the folder that holds the SAE"
    return ArtifactError("holds no weights (safetensors or PyTorch)", where=place, remedy=remedy)


def _kind(path: Path) -> str:
    """`safetensors` or `torch` by the first bytes, else nothing."""
    try:
        with path.open("rb") as stream:
            head = stream.read(9)
    except OSError as error:
        raise ArtifactError(f"cannot be read ({error.strerror})", where=path, remedy=_REMEDY) from error
    if head[:4] == b"PK\x03\x04":
        return "torch"
    is_header = len(head) == 9 and head[8:] == b"{"
    length = int.from_bytes(head[:8], "little")
    if is_header and 0 < length <= MAX_SAFETENSORS_HEADER_BYTES:
        return "safetensors"
    if path.suffix.lower() in (".pt", ".pth", ".bin", ".pkl", ".ckpt", ".safetensors"):
        what = "is neither a safetensors file nor a PyTorch file (pickles of any other kind are never opened)"
        raise ArtifactError(what, where=path, remedy=_SAVE_AGAIN)
    return ""


def _check_size(path: Path, n_bytes: int) -> None:
    if n_bytes > MAX_FILE_BYTES:
        raise ArtifactError(
            f"holds {n_bytes / 2**30:,.1f} GiB, more than the {MAX_FILE_BYTES / 2**30:.0f} GiB an SAE may have",
            where=path,
            remedy="keep only the SAE's own weights, in single precision",
        )


def _check_numbers(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
    n_numbers = sum(math.prod(shape) for shape in shapes.values())
    _check_size(path, 0 if n_numbers <= MAX_NUMBERS else 4 * n_numbers)


def _read_safetensors(path: Path) -> ForeignFile:
    from safetensors import SafetensorError, safe_open

    _check_size(path, path.stat().st_size)
    try:
        with safe_open(str(path), framework="pt", device="cpu") as file:
            names = list(file.keys())
            _check_numbers(path, {name: tuple(file.get_slice(name).get_shape()) for name in names})
            return ForeignFile(path, {name: file.get_tensor(name).clone() for name in names})
    except ArtifactError:
        raise
    except (SafetensorError, OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"is not a whole safetensors file ({error})", where=path, remedy=_REMEDY
        ) from error


def _read_torch(path: Path) -> ForeignFile:
    _check_size(path, path.stat().st_size)
    try:
        with zipfile.ZipFile(path) as packed:
            _check_size(path, sum(part.file_size for part in packed.infolist()))
        content = torch.load(path, map_location="cpu", weights_only=True)
    except ArtifactError:
        raise
    except zipfile.BadZipFile as error:
        raise ArtifactError(f"is not a whole PyTorch file ({error})", where=path, remedy=_REMEDY) from error
    except Exception as error:  # a foreign pickle can end the reader in any way
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        what = f"is not a PyTorch file of weights alone, and nothing in it was run ({reason})"
        raise ArtifactError(what, where=path, remedy=_SAVE_AGAIN) from error
    if not isinstance(content, Mapping) or not all(isinstance(name, str) for name in content):
        raise ArtifactError("holds no state dict (names and tensors)", where=path, remedy=_SAVE_AGAIN)
    tensors = {name: part for name, part in content.items() if isinstance(part, Tensor)}
    _check_numbers(path, {name: tuple(part.shape) for name, part in tensors.items()})
    return ForeignFile(path, tensors, {name: part for name, part in content.items() if name not in tensors})


def words_of(names: Mapping[str, Any]) -> str:
    """Some names in words, for messages."""
    shown = sorted(names)[:8]
    return ", ".join(json.dumps(name, ensure_ascii=False)[1:-1][:40] for name in shown) or "nothing"
