"""Embedders turn waveforms into one vector a clip. A new one is one file here and one line in `EMBEDDERS`."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

from sae_core.files.errors import MissingDependencyError

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float32, Int64
    from torch import Tensor

DEFAULT_EMBEDDER = "titanet"

EMBEDDERS: dict[str, str] = {
    "titanet": "sae_core.embedding.embedders.titanet",
    "campplus": "sae_core.embedding.embedders.campplus",
    "whisper": "sae_core.embedding.embedders.whisper",
    "ge2e": "sae_core.embedding.embedders.ge2e",
    "onnx": "sae_core.embedding.embedders.onnx",
}
"""Name → the module whose `load(model, device)` returns that embedder; it is imported only when asked for."""

OPTIONS: dict[str, tuple[str, ...]] = {"whisper": ("layer",), "onnx": ("front_end",)}
"""Name → what can be chosen of an embedder beside its model; keywords of its `load`."""

ABOUT: dict[str, tuple[str, str]] = {
    "titanet": (
        "TitaNet",
        "NVIDIA's speaker network (arXiv 2110.04410), 192 numbers per clip; the better choice if available",
    ),
    "campplus": (
        "CAM++",
        "speaker network (arXiv 2303.00332), 192 numbers per clip; half of GE2E's errors, bundled, needs no download",
    ),
    "whisper": (
        "Whisper",
        "speech recogniser's encoder (arXiv 2212.04356), 512 numbers per clip; knows languages and kinds of sound "
        "rather than speakers; its base size is bundled",
    ),
    "ge2e": ("GE2E", "small and fast (arXiv 1710.10467), 256 numbers per clip; bundled, needs no download"),
    "onnx": (
        "ONNX",
        "any speaker network in an ONNX file, as WeSpeaker or 3D-Speaker export it; needs its file",
    ),
}
"""Name → what it is called and what people should know of it; an embedder not named goes by its key alone."""

EXTRAS: dict[str, tuple[str, ...]] = {"titanet": ("nemo", "omegaconf"), "onnx": ("onnxruntime",)}
"""Name → the packages of the extra of that name, which an installation may lack; an embedder not named needs none."""


@runtime_checkable
class Embedder(Protocol):
    """One vector a clip.

    name: its key in `EMBEDDERS`. revision: changes when its weights or its front end do. dim: length of a vector.
    sample_rate_hz: of the waveforms it wants. min_duration_s: shorter clips mean nothing to it.
    """

    name: str
    revision: str
    dim: int
    sample_rate_hz: int
    min_duration_s: float

    def embed(
        self, waveforms: Float32[Tensor, "b t"], lengths: Int64[Tensor, " b"]
    ) -> Float32[Tensor, "b d"]:
        """One finite vector a waveform, on the CPU; `lengths` are in samples, what lies beyond them is not heard.

        Neither padding nor batch-mates change a row. Where the network has nothing to say the row is zeros.
        """


def open_embedder(
    name: str,
    *,
    model: str | None = None,
    device: str | None = None,
    options: Mapping[str, object] | None = None,
) -> Embedder:
    """Return the embedder `name`, ready to embed.

    model: its weights, a path or a name it knows; None for its default. device: as torch names it; None chooses.
    options: what else is chosen of it, see `OPTIONS`; None stands for the usual.
    Raises ValueError for an unknown name, an option it does not have or a value that cannot be, ArtifactError for
    weights that cannot be used, MissingDependencyError.
    """
    if name not in EMBEDDERS:
        raise ValueError(f"{name!r} is no embedder; there are {', '.join(EMBEDDERS)}")
    chosen = {key: value for key, value in (options or {}).items() if value is not None}
    if foreign := sorted(set(chosen) - set(OPTIONS.get(name, ()))):
        raise ValueError(f"the {name} embedder has no {foreign[0]} to choose")
    return cast(Embedder, importlib.import_module(EMBEDDERS[name]).load(model, device, **chosen))


@dataclass(frozen=True)
class EmbedderChoice:
    """Which embedder, with which weights, as people chose it; picklable, so that a worker elsewhere opens it too.

    embedder, model, device: see `open_embedder`. layer, front_end: of the embedders that have these options.
    """

    embedder: str = DEFAULT_EMBEDDER
    model: str | None = None
    device: str | None = None
    layer: int | None = None
    front_end: str | None = None

    def open(self) -> Embedder:
        """Open it; raises what `open_embedder` does."""
        options = {"layer": self.layer, "front_end": self.front_end}
        return open_embedder(self.embedder, model=self.model, device=self.device, options=options)

    @property
    def opened_with(self) -> dict[str, object]:
        """What was chosen beside the embedder's name, as JSON; the path of local weights is made absolute."""
        is_local = self.model is not None and Path(self.model).expanduser().exists()
        model = str(Path(str(self.model)).expanduser().resolve()) if is_local else self.model
        chosen = {"model": model, "layer": self.layer, "front_end": self.front_end}
        return {key: value for key, value in chosen.items() if value is not None}


def missing_packages(name: str) -> list[str]:
    """The packages that the embedder needs and this installation lacks, found without loading any."""
    return [package for package in EXTRAS.get(name, ()) if importlib.util.find_spec(package) is None]


def check_packages(name: str) -> None:
    """Raise MissingDependencyError when a package that the embedder needs is not installed."""
    if missing := missing_packages(name):
        raise MissingDependencyError(
            f"the {name} embedder needs {' and '.join(missing)}, not installed here",
            remedy=how_to_install(name),
        )


def how_to_install(name: str) -> str:
    """The remedy where packages of an embedder are missing."""
    return (
        f"run: pip install 'voxscope[{name}]' (in a checkout: pip install -r requirements.txt), "
        "or use --embedder campplus, which needs no network"
    )


def choose_device(device: str | torch.device | None) -> torch.device:
    """The device to compute on: the one asked for, else the GPU when there is one, else the CPU.

    Raises MissingDependencyError when this machine or this torch has no such device.
    """
    import torch

    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.zeros(1, device=chosen).item()  # "meta" is a device, too, but holds no numbers
        return torch.device(chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise MissingDependencyError(
            f"the device {str(chosen)!r} cannot be used here ({str(error).splitlines()[0]})",
            remedy="leave --device out, or name one this machine has, such as cpu",
        ) from error


@contextlib.contextmanager
def full_precision() -> Iterator[None]:
    """Keep cuDNN to float32: with its shorter TF32 a vector would depend on how many others share its batch."""
    import torch

    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before
