"""TitaNet and the other speaker networks of NeMo's `EncDecSpeakerLabelModel`, by hub name or from a .nemo file.

TitaNet: Koluguri, Park and Ginsburg 2022 (arXiv 2110.04410). ECAPA-TDNN: Desplanques et al. 2020 (arXiv 2005.07143).

A .nemo file is a tar of a configuration and pickled weights. NeMo would unpack all of it and build whatever its
configuration names; here the two members are read in memory, the weights by torch's unpickler that makes nothing but
tensors, and only a preprocessor, an encoder and a decoder from NeMo's own modules are built. What was trained with
them (data sets, losses, optimisers) is left out.
"""

import logging
import tarfile
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import torch
from jaxtyping import Float32, Int64
from torch import Tensor, nn

from sae_core.embedding.embedders import choose_device, full_precision, how_to_install
from sae_core.embedding.embedders.frame_convolutions import by_frames, pooling_by_frames
from sae_core.embedding.side_by_side import one_clip_a_thread
from sae_core.files.artifacts import fingerprint
from sae_core.files.errors import ArtifactError, MissingDependencyError

DEFAULT_MODEL = "titanet_large"
MAX_MEMBERS = 1000
MAX_UNPACKED_BYTES = 4 * 1024**3
MAX_CONFIG_BYTES = 4 * 1024**2

_PARTS = ("preprocessor", "encoder", "decoder")
_MODULES = "nemo.collections.asr.modules."
_REMEDY = "name another .nemo file of a speaker model, or download this one again"


class TitanetEmbedder:
    """A NeMo speaker network; its vectors at unit norm.

    TitaNet's normalisation, convolutions, squeeze-and-excitation and pooling all leave out the padded frames. Networks
    with unmasked convolutions (ECAPA, or `conv_mask: false`) would hear the padding: they embed one clip at a time.
    """

    name = "titanet"
    min_duration_s = 0.4

    def __init__(self, network: Any, revision: str, device: torch.device) -> None:
        self.revision = revision
        self.sample_rate_hz = int(network.preprocessor._sample_rate)
        self._network = network.to(device).eval()
        self._device = device
        self._is_masked = _masks_every_convolution(network.encoder)
        if device.type == "cpu" and (faster := by_frames(network.encoder)) is not None:
            network.encoder = faster
            pooling = pooling_by_frames(network.decoder._pooling)
            network.decoder._pooling = pooling or network.decoder._pooling
        self.dim = self.embed(
            torch.rand(1, self.sample_rate_hz) - 0.5, torch.tensor([self.sample_rate_hz])
        ).shape[1]

    @torch.no_grad()
    def embed(
        self, waveforms: Float32[Tensor, "b t"], lengths: Int64[Tensor, " b"]
    ) -> Float32[Tensor, "b d"]:
        """One unit vector a waveform."""
        if self._device.type == "cpu":
            return one_clip_a_thread(self._embed_together, waveforms, lengths)
        if self._is_masked:
            return self._embed_together(waveforms, lengths)
        return torch.cat([self._embed_alone(*clip) for clip in zip(waveforms, lengths, strict=True)])

    def _embed_alone(self, waveform: Tensor, length: Tensor) -> Tensor:
        return self._embed_together(waveform[None, :length], length[None])

    def _embed_together(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        waveforms, lengths = waveforms.to(self._device), lengths.to(self._device)
        heard = torch.arange(waveforms.shape[1], device=self._device) < lengths[:, None]
        waveforms = torch.where(heard, waveforms, 0.0)
        with full_precision():
            _, vectors = self._network(input_signal=waveforms, input_signal_length=lengths)
        return nn.functional.normalize(vectors.float(), dim=1).cpu()


def _masks_every_convolution(encoder: nn.Module) -> bool:
    """Whether no convolution over several frames can see beyond a clip's end."""
    masked = {id(module.conv) for module in encoder.modules() if getattr(module, "use_mask", False)}
    convolutions = [module for module in encoder.modules() if isinstance(module, nn.Conv1d)]
    return all(id(module) in masked or module.kernel_size == (1,) for module in convolutions)


def load(model: str | None, device: str | None) -> TitanetEmbedder:
    """The embedder of a .nemo file, or of a model by its name on NVIDIA's or Hugging Face's hub (fetched once).

    Raises MissingDependencyError without NeMo, and ArtifactError when the model cannot be fetched, is no .nemo file,
    holds anything but tensors and a configuration of NeMo's modules, or does not fit together.
    """
    models = _nemo_models()
    chosen = choose_device(device)
    name = DEFAULT_MODEL if model is None else model
    path = Path(name).expanduser()
    if not (path.suffix == ".nemo" or path.is_file()):
        path = _fetch(models, name)
    config, weights = read_nemo(path)
    return TitanetEmbedder(
        _build(models, path, config, weights), fingerprint(config, _digests(weights)), chosen
    )


def _nemo_models() -> Any:
    # NeMo's telemetry has nowhere to send to, and need not say so at every start.
    logging.getLogger("nv_one_logger").setLevel(logging.ERROR)
    try:
        from nemo.collections.asr import models
        from nemo.utils import logging as nemo_logging
    except ImportError as error:
        raise MissingDependencyError(
            f"the titanet embedder needs NeMo, which cannot be imported ({error})",
            remedy=how_to_install("titanet"),
        ) from error
    nemo_logging.setLevel(logging.ERROR)
    return models


def _fetch(models: Any, name: str) -> Path:
    """The .nemo file of a model on a hub, from NeMo's cache when it is there."""
    try:
        path = Path(models.EncDecSpeakerLabelModel.from_pretrained(name, return_model_file=True))
    # Every hub's client fails in ways of its own when there is no network, no such model or no permission.
    except Exception as error:
        raise ArtifactError(
            f"the model {name!r} cannot be fetched ({_first_line(error)})",
            remedy="check the name and the network, or download its .nemo file elsewhere and give --model PATH,"
            " or use --embedder campplus, the nearest that needs no network",
        ) from error
    return path


def read_nemo(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The configuration and the weights in a .nemo file; nothing is unpacked to disk and no code in it is run.

    Raises ArtifactError when it is missing, no tar, reaches outside itself, is too large, or its weights hold
    anything but tensors.
    """
    try:
        with (
            path.open("rb") as stream,
            tarfile.open(fileobj=stream, mode=_tar_mode(stream.peek(2)[:2])) as archive,
        ):
            members = _checked_members(path, archive)
            config_bytes = _member_bytes(path, archive, members, "model_config.yaml")
            weight_bytes = _member_bytes(path, archive, members, "model_weights.ckpt")
    except FileNotFoundError as error:
        raise ArtifactError("does not exist", where=path, remedy=_REMEDY) from error
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise ArtifactError(
            f"is not a .nemo archive ({_first_line(error)})", where=path, remedy=_REMEDY
        ) from error
    return _parse_config(path, config_bytes), _parse_weights(path, weight_bytes)


def _tar_mode(head: bytes) -> Literal["r:", "r:gz"]:
    return "r:gz" if head == b"\x1f\x8b" else "r:"


def _checked_members(path: Path, archive: tarfile.TarFile) -> dict[str, tarfile.TarInfo]:
    members: dict[str, tarfile.TarInfo] = {}
    n_bytes = 0
    for n_before, member in enumerate(archive):
        n_bytes += member.size
        if n_before >= MAX_MEMBERS or n_bytes > MAX_UNPACKED_BYTES:
            raise ArtifactError("holds far more than a speaker model does", where=path, remedy=_REMEDY)
        name = PurePosixPath(member.name)
        if name.is_absolute() or ".." in name.parts or not (member.isfile() or member.isdir()):
            raise ArtifactError(f"holds the unsafe member {member.name!r}", where=path, remedy=_REMEDY)
        members[str(name)] = member
    return members


def _member_bytes(
    path: Path, archive: tarfile.TarFile, members: dict[str, tarfile.TarInfo], name: str
) -> bytes:
    stream = archive.extractfile(members[name]) if name in members else None
    if stream is None:
        raise ArtifactError(f"is not a .nemo archive: it has no {name}", where=path, remedy=_REMEDY)
    return stream.read()


def _parse_config(path: Path, text: bytes) -> dict[str, Any]:
    """The preprocessor, encoder and decoder sections, each of one of NeMo's own modules."""
    from omegaconf import OmegaConf

    if len(text) > MAX_CONFIG_BYTES:
        raise ArtifactError("its model_config.yaml is too large", where=path, remedy=_REMEDY)
    try:
        config: Any = OmegaConf.to_container(OmegaConf.create(text.decode()), resolve=True)
        parts: dict[str, dict[str, Any]] = {part: dict(config[part]) for part in _PARTS}
        loss = str((config.get("loss") or {}).get("_target_", ""))
    # Text that is no YAML, or YAML of another shape, fails in many ways.
    except Exception as error:
        raise ArtifactError(
            f"its model_config.yaml describes no speaker model ({_first_line(error)})",
            where=path,
            remedy=_REMEDY,
        ) from error
    named = [str(section.get("_target_")) for section in parts.values()]
    foreign = [target for target in (*named, *_targets(parts)) if not target.startswith(_MODULES)]
    if foreign:
        raise ArtifactError(
            f"would build {foreign[0]}, which is none of {_MODULES}*", where=path, remedy=_REMEDY
        )
    if "angular" in loss:
        parts["decoder"]["angular"] = True
    return parts


def _targets(node: Any) -> Iterator[str]:
    """Every class that a configuration names, at any depth."""
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    if isinstance(node, dict):
        yield from (str(node[key]) for key in ("_target_", "target", "cls") if key in node)
    for child in children:
        yield from _targets(child)


def _parse_weights(path: Path, data: bytes) -> dict[str, Tensor]:
    try:
        weights = torch.load(BytesIO(data), map_location="cpu", weights_only=True)
    # Damaged files make torch raise almost anything; a pickle of more than tensors makes it raise as well.
    except Exception as error:
        raise ArtifactError(
            "its weights are damaged, or a pickle of more than tensors, which is never opened",
            where=path,
            remedy=_REMEDY,
        ) from error
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise ArtifactError("its weights are no table of tensors", where=path, remedy=_REMEDY)
    return weights


def _build(models: Any, path: Path, config: dict[str, Any], weights: dict[str, Tensor]) -> Any:
    from omegaconf import OmegaConf

    try:
        network = models.EncDecSpeakerLabelModel(cfg=OmegaConf.create(config))
        kept = {name: tensor for name, tensor in weights.items() if name.split(".")[0] in _PARTS}
        missing, unknown = network.load_state_dict(kept, strict=False)
    # A configuration that NeMo cannot build fails wherever NeMo first stumbles on it.
    except Exception as error:
        raise ArtifactError(
            f"NeMo cannot build it ({_first_line(error)})", where=path, remedy=_REMEDY
        ) from error
    lost = [name for name in [*missing, *unknown] if name.split(".")[0] in _PARTS]
    if lost:
        raise ArtifactError(
            f"weights and configuration differ: {', '.join(lost[:4])}", where=path, remedy=_REMEDY
        )
    return network


def _digests(weights: dict[str, Tensor]) -> dict[str, str]:
    flat = {name: tensor.detach().contiguous().reshape(-1) for name, tensor in weights.items()}
    return {
        name: fingerprint(str(tensor.dtype), list(weights[name].shape), tensor.view(torch.uint8).numpy())
        for name, tensor in flat.items()
    }


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
