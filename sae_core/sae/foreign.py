"""Autoencoders of other libraries, read as ours: the same activations from the same embeddings.

Ours is v = act(W_enc (x − b_dec) + b_enc), ε = W_decᵀ v + b_dec with x = (e − mean) / scale, ê = mean + scale · ε; see
`SparseAutoencoder`. Where a library does otherwise, weights are folded so that v stays what its own `encode` returns:

- encoder on e, not on e − b_dec: b_enc + W_enc b_dec takes the place of b_enc.
- activations multiplied by the norm of their decoder row (SAELens' `rescale_acts_by_decoder_norm`, and
  dictionary_learning's `AutoEncoder` when it is loaded): W_enc and b_enc times that norm, W_dec through it.
- e scaled to norm √d (SAELens' `constant_norm_rescale`): our embeddings have norm 1, so scale = 1 / √d.
- e layer-normed (SAELens' `layer_norm`, OpenAI's TopK): `input_norm` `layer`.
- decoder rows keep whatever norm they have.

Layouts: SAELens (`cfg.json`, `sae_weights.safetensors`), sparsify (`cfg.json`, `sae.safetensors`), dictionary_learning
(`ae.pt`, `config.json`), OpenAI's sparse_autoencoder (one state dict). They are told by tensors and settings.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from sae_core.files.errors import ArtifactError
from sae_core.sae.config import InputNorm, SaeConfig, Variant
from sae_core.sae.foreign_files import ForeignFile, find_files, words_of
from sae_core.sae.model import SparseAutoencoder, layer_statistics

MAX_ACTIVE = 1024
"""The most latents active on one clip that codes are stored for: 8 bytes each, for every clip of the workspace."""
MAX_LATENTS = 2**20
_KNOWN = "SAELens, sparsify, dictionary_learning and OpenAI's sparse_autoencoder are read"
_JUMP = ("W_enc", "b_enc", "W_dec", "b_dec")


@dataclass(frozen=True)
class ForeignSae:
    """An autoencoder of another library in our terms; W_enc and W_dec are L×d.

    k: of the variants topk and matryoshka; elsewhere None, for the clips decide it. is_on_sphere: e is scaled to √d.
    layout, architecture: whose it is, and what it is called there.
    """

    layout: str
    architecture: str
    where: Path
    variant: Variant
    W_enc: Tensor
    b_enc: Tensor
    W_dec: Tensor
    b_dec: Tensor
    threshold: Tensor | None = None
    k: int | None = None
    prefixes: tuple[int, ...] = ()
    input_norm: InputNorm = "none"
    is_on_sphere: bool = False

    @property
    def dim(self) -> int:
        """d, the length of the embeddings that it reads."""
        return int(self.W_enc.shape[1])

    @property
    def n_latents(self) -> int:
        """L."""
        return int(self.W_enc.shape[0])

    def fit(self, vectors: Float32[np.ndarray, "n d"]) -> SparseAutoencoder:
        """Return it as one of ours; where a threshold decides, k is the most latents active on any of these embeddings.

        Raises ArtifactError when a clip has more than `MAX_ACTIVE` active latents: none is ever left out.
        """
        mean, scale = self._centre(vectors)
        weights = {
            name: getattr(self, name).float().contiguous() for name in ("W_enc", "b_enc", "W_dec", "b_dec")
        }
        weights |= {"mean": mean, "scale": scale}
        if self.threshold is not None:
            weights["threshold"] = self.threshold.float().contiguous()
        config = SaeConfig(
            self.dim,
            self.n_latents,
            min(self.k or 1, self.n_latents),
            self.variant,
            self.prefixes,
            input_norm=self.input_norm,
        )
        sae = SparseAutoencoder(config, weights).requires_grad_(False)
        if self.k is not None:
            return sae
        most = max((codes.k for codes in sae.encode_in_pieces(vectors, batch_size=1024)), default=1)
        if most > MAX_ACTIVE:
            raise ArtifactError(
                f"has {most:,} latents active on one clip, and codes hold at most {MAX_ACTIVE:,}",
                where=self.where,
                remedy="check that the SAE was trained on these embeddings (--embedder), or choose a sparser one",
            )
        return SparseAutoencoder(replace(config, k=most), weights).requires_grad_(False)

    def _centre(self, vectors: Float32[np.ndarray, "n d"]) -> tuple[Tensor, Tensor]:
        """mean[d] and scale[1]; with layer norm, the averages of what the norm takes off each embedding."""
        if self.input_norm == "layer" and len(vectors):
            mu, sigma = layer_statistics(torch.from_numpy(np.array(vectors)))
            return mu.mean().expand(self.dim).clone(), sigma.mean().reshape(1)
        return torch.zeros(self.dim), torch.tensor([self.dim**-0.5 if self.is_on_sphere else 1.0])


def read_foreign(place: Path) -> ForeignSae:
    """Return the autoencoder in a folder or file of another library.

    Raises ArtifactError naming the file and the remedy: damaged, of an unknown kind, not finite, or in parts that do
    not fit each other.
    """
    files, settings = find_files(place)
    matching = [file for file in files if _layout(file) is not None]
    if not matching:
        held = words_of({name: None for file in files for name in file.tensors})
        raise ArtifactError(
            f"holds no autoencoder that is known here (its tensors: {held})",
            where=files[0].where if len(files) == 1 else place,
            remedy=f"{_KNOWN}; convert it to one of their layouts",
        )
    if len(matching) > 1:
        names = ", ".join(file.where.name for file in matching)
        raise ArtifactError(
            f"holds several autoencoders ({names})", where=place, remedy="name one of the files"
        )
    [file] = matching
    found = _READERS[str(_layout(file))](_Source(file, settings))
    _check(found)
    return found


@dataclass(frozen=True)
class _Source:
    """The file of weights, and the JSON objects beside it."""

    file: ForeignFile
    settings: list[dict[str, Any]]

    def tensor(self, name: str, *, n_axes: int) -> Tensor:
        if name not in self.file.tensors:
            self.refuse(f"lacks the tensor {name}")
        found = self.file.tensors[name]
        if found.ndim != n_axes or not found.is_floating_point() or found.is_sparse:
            self.refuse(f"holds {name} as {found.dtype} of shape {tuple(found.shape)}")
        return found.double() if found.numel() <= 2**26 else found.float()

    def with_keys(self, *keys: str) -> dict[str, Any] | None:
        """The first JSON object that has all these keys."""
        return next((found for found in self.settings if all(key in found for key in keys)), None)

    def whole(self, value: Any, name: str) -> int:
        """A whole number from 1, whether it comes as one or as a tensor of one."""
        if isinstance(value, Tensor):
            value = value.item() if value.numel() == 1 else None
        if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value) or value < 1:
            self.refuse(f"says {name} = {value!r}, which is no whole number from 1")
        return int(value)

    def number(self, name: str) -> float:
        """The one number of a tensor."""
        found = self.file.tensors[name]
        if found.numel() != 1:
            self.refuse(f"holds {name} of shape {tuple(found.shape)}, not one number")
        return float(found.item())

    def refuse(
        self, what: str, remedy: str = "check that the file is whole and belongs to its settings"
    ) -> NoReturn:
        raise ArtifactError(what, where=self.file.where, remedy=remedy)

    def refuse_kind(self, what: str) -> NoReturn:
        self.refuse(
            f"is {what}, which has no counterpart here",
            "ReLU, TopK, JumpReLU, BatchTopK and Matryoshka autoencoders can be imported",
        )


def _layout(file: ForeignFile) -> str | None:
    """Whose layout the tensors of a file are in."""
    names = set(file.tensors)
    if {"pre_bias", "latent_bias", "encoder.weight"} <= names:
        return "openai"
    if {"encoder.weight", "encoder.bias", "W_dec", "b_dec"} <= names:
        return "sparsify"
    if {"encoder.weight", "decoder.weight"} <= names:
        return "dictionary_learning"
    if {"W_enc", "W_dec", "b_dec"} <= names:
        return "matrices"
    return None


def _read_matrices(source: _Source) -> ForeignSae:
    """W_enc[d, L] and W_dec[L, d] side by side are SAELens', and some of dictionary_learning's."""
    if source.with_keys("trainer") is not None or (
        source.with_keys("d_in") is None and "group_sizes" in source.file.tensors
    ):
        return _read_dictionary_matrices(source)
    return _read_sae_lens(source)


def _read_sae_lens(source: _Source) -> ForeignSae:
    settings = source.with_keys("d_in")
    if settings is None:
        source.refuse(
            "has no settings beside it (a JSON file with d_in and architecture)",
            "keep cfg.json in the same folder",
        )
    architecture = _sae_lens_architecture(settings)
    _check_sae_lens(source, settings, architecture)
    W_enc, b_enc, W_dec, b_dec = (source.tensor(name, n_axes=2 if name[0] == "W" else 1) for name in _JUMP)
    found = ForeignSae(
        "saelens", architecture, source.file.where, "relu", W_enc.T, b_enc, W_dec, b_dec,
        input_norm="layer" if settings.get("normalize_activations") == "layer_norm" else "none",
        is_on_sphere=settings.get("normalize_activations") == "constant_norm_rescale",
    )  # fmt: skip
    if settings.get("rescale_acts_by_decoder_norm"):
        found = _fold_norms(found)
    if not settings.get("apply_b_dec_to_input", True):
        found = _on_plain_input(found)
    if architecture == "topk":
        k = settings.get("k", (settings.get("activation_fn_kwargs") or {}).get("k"))
        widths = _prefixes(source, _widths(settings), found.n_latents)
        return replace(
            found, variant="matryoshka" if widths else "topk", k=source.whole(k, "k"), prefixes=widths
        )
    if architecture == "standard":
        return found
    if "topk_threshold" in source.file.tensors:
        threshold = torch.full_like(found.b_enc, source.number("topk_threshold"))
    else:
        threshold = source.tensor("threshold", n_axes=1)
    widths = _prefixes(source, _widths(settings), found.n_latents)
    return replace(found, variant=_by_threshold(threshold), threshold=threshold, prefixes=widths)


def _sae_lens_architecture(settings: Mapping[str, Any]) -> str:
    """SAELens before version 6 said `activation_fn` for what is now an architecture."""
    said = str(settings.get("architecture", "standard"))
    activation = settings.get("activation_fn", settings.get("activation_fn_str"))
    return "topk" if said == "standard" and activation == "topk" else said


def _check_sae_lens(source: _Source, settings: Mapping[str, Any], architecture: str) -> None:
    """Refuse what would not give the activations of SAELens' own `encode`."""
    if architecture not in ("standard", "topk", "jumprelu", "batchtopk", "matryoshka_batchtopk"):
        source.refuse_kind(f"a SAELens SAE of the architecture {architecture[:40]!r}")
    normalised = settings.get("normalize_activations", "none")
    if normalised in ("expected_average_only_in", True, "covariance_whitening"):
        source.refuse(
            f"was stored in training, before the scaling of its inputs ({normalised}) was folded into its weights",
            "save it with SAELens' save_inference_model after fold_activation_norm_scaling_factor",
        )
    if normalised not in ("none", False, None, "layer_norm", "constant_norm_rescale"):
        source.refuse_kind(f"a SAELens SAE with normalize_activations = {str(normalised)[:40]!r}")
    if settings.get("finetuning_scaling_factor"):
        source.refuse_kind("a SAELens SAE with a finetuning_scaling_factor")


def _widths(settings: Mapping[str, Any]) -> Any:
    """Where groups of latents end, as SAELens' settings say, or what was noted of them when the SAE was exported."""
    noted = settings.get("metadata")
    return settings.get("matryoshka_widths") or (
        noted.get("matryoshka_widths") if isinstance(noted, Mapping) else None
    )


def _prefixes(source: _Source, ends: Any, n_latents: int) -> tuple[int, ...]:
    if not ends:
        return ()
    if not isinstance(ends, list) or any(type(end) is not int for end in ends):
        source.refuse(f"says its groups of latents end at {str(ends)[:60]}, which are no whole numbers")
    rises = all(low < high for low, high in zip((0, *ends), ends, strict=False))
    if not rises or ends[-1] > n_latents:
        source.refuse(
            f"says its groups of latents end at {str(ends)[:60]}, which do not rise to L = {n_latents}"
        )
    return tuple(ends) if ends[-1] == n_latents else (*ends, n_latents)


def _by_threshold(threshold: Tensor) -> Variant:
    return "batchtopk" if len(threshold) and bool((threshold == threshold[0]).all()) else "jumprelu"


def _read_sparsify(source: _Source) -> ForeignSae:
    settings = source.with_keys("k", "d_in")
    if settings is None:
        source.refuse(
            "has no settings beside it (a JSON file with k and d_in)", "keep cfg.json in the same folder"
        )
    if settings.get("transcode") or settings.get("skip_connection") or "W_skip" in source.file.tensors:
        source.refuse_kind("a transcoder of sparsify")
    if settings.get("activation", "topk") != "topk" or settings.get("signed"):
        source.refuse_kind(
            f"a sparsify SAE with the activation {str(settings.get('activation', 'signed'))[:40]!r}"
        )
    return ForeignSae(
        "sparsify", "topk", source.file.where, "topk",
        source.tensor("encoder.weight", n_axes=2),
        source.tensor("encoder.bias", n_axes=1),
        source.tensor("W_dec", n_axes=2),
        source.tensor("b_dec", n_axes=1),
        k=source.whole(settings["k"], "k"),
    )  # fmt: skip


def _trainer(source: _Source) -> Mapping[str, Any]:
    trainer = (source.with_keys("trainer") or {}).get("trainer")
    return trainer if isinstance(trainer, Mapping) else {}


def _dictionary_k(source: _Source) -> int:
    k = source.file.tensors.get("k", _trainer(source).get("k"))
    return source.whole(k, "k")


def _read_dictionary(source: _Source) -> ForeignSae:
    """dictionary_learning's classes of linear layers: AutoEncoder, AutoEncoderNew, AutoEncoderTopK, BatchTopKSAE."""
    names = set(source.file.tensors)
    said = str(_trainer(source).get("dict_class", ""))
    if "r_mag" in names or "gate_bias" in names:
        source.refuse_kind("a gated autoencoder of dictionary_learning")
    bias = next((name for name in ("b_dec", "bias", "decoder.bias") if name in names), "b_dec")
    usual = {"bias": "AutoEncoder", "decoder.bias": "AutoEncoderNew"}.get(bias)
    if usual is None and not said:
        source.refuse(
            "may be a TopK or a BatchTopK autoencoder of dictionary_learning, and nothing says which",
            "keep config.json in the same folder; its trainer names the dict_class",
        )
    architecture = usual or said
    found = ForeignSae(
        "dictionary_learning", architecture, source.file.where, "relu",
        source.tensor("encoder.weight", n_axes=2),
        source.tensor("encoder.bias", n_axes=1),
        source.tensor("decoder.weight", n_axes=2).T,
        source.tensor(bias, n_axes=1),
    )  # fmt: skip
    if architecture == "AutoEncoder":
        return _fold_norms(found)
    if architecture == "AutoEncoderNew":
        return _on_plain_input(found)
    if architecture == "AutoEncoderTopK":
        return replace(found, variant="topk", k=_dictionary_k(source))
    if architecture == "BatchTopKSAE":
        return replace(
            found, variant="batchtopk", threshold=torch.full_like(found.b_enc, source.number("threshold"))
        )
    return source.refuse_kind(f"a dictionary_learning autoencoder of the class {architecture[:40]!r}")


def _read_dictionary_matrices(source: _Source) -> ForeignSae:
    """dictionary_learning's classes of plain matrices: JumpReluAutoEncoder and MatryoshkaBatchTopKSAE."""
    W_enc, b_enc, W_dec, b_dec = (source.tensor(name, n_axes=2 if name[0] == "W" else 1) for name in _JUMP)
    groups = source.file.tensors.get("group_sizes")
    architecture = "JumpReluAutoEncoder" if groups is None else "MatryoshkaBatchTopKSAE"
    said = str(_trainer(source).get("dict_class", architecture))
    if said != architecture:
        source.refuse_kind(f"a dictionary_learning autoencoder of the class {said[:40]!r}")
    found = ForeignSae(
        "dictionary_learning", architecture, source.file.where, "jumprelu", W_enc.T, b_enc, W_dec, b_dec
    )
    if groups is None:
        return replace(_on_plain_input(found), threshold=source.tensor("threshold", n_axes=1))
    ends = [int(end) for end in groups.flatten().cumsum(0).tolist()]
    return replace(
        found,
        variant="batchtopk",
        threshold=torch.full_like(b_enc, source.number("threshold")),
        prefixes=_prefixes(source, ends, found.n_latents),
    )


def _read_openai(source: _Source) -> ForeignSae:
    """latents = activation(encoder(x − pre_bias) + latent_bias); x is layer-normed where the activation is TopK."""
    activation = source.file.values.get("activation", "ReLU")
    state = source.file.values.get("activation_state_dict") or {}
    if activation not in ("ReLU", "TopK") or not isinstance(state, Mapping):
        source.refuse_kind(f"an OpenAI autoencoder with the activation {str(activation)[:40]!r}")
    encoder = source.tensor("encoder.weight", n_axes=2)
    tied = "decoder.weight" not in source.file.tensors
    found = ForeignSae(
        "openai", str(activation), source.file.where, "relu", encoder,
        source.tensor("latent_bias", n_axes=1),
        encoder if tied else source.tensor("decoder.weight", n_axes=2).T,
        source.tensor("pre_bias", n_axes=1),
    )  # fmt: skip
    if activation == "ReLU":
        return found
    if state.get("postact_fn", "ReLU") != "ReLU":
        source.refuse_kind("an OpenAI autoencoder whose TopK keeps negative activations")
    return replace(found, variant="topk", k=source.whole(state.get("k"), "k"), input_norm="layer")


def _fold_norms(found: ForeignSae) -> ForeignSae:
    """The same autoencoder with decoder rows of norm 1 and activations larger by what their norm was."""
    norms = found.W_dec.norm(dim=1)
    if torch.allclose(norms, torch.ones_like(norms)):
        return found
    norms = norms.clamp_min(1e-12)
    return replace(
        found,
        W_enc=found.W_enc * norms[:, None],
        b_enc=found.b_enc * norms,
        W_dec=found.W_dec / norms[:, None],
    )


def _on_plain_input(found: ForeignSae) -> ForeignSae:
    """The same autoencoder for an encoder that reads e as it is, b_dec not taken off."""
    return replace(found, b_enc=found.b_enc + found.W_enc @ found.b_dec)


def _check(found: ForeignSae) -> None:
    """ArtifactError where parts do not fit each other or hold values that are not finite."""
    source = _Source(ForeignFile(found.where, {}), [])
    n_latents, dim = found.W_enc.shape
    if not n_latents or not dim or n_latents > MAX_LATENTS:
        source.refuse(f"has {n_latents:,} latents for {dim:,} numbers")
    shapes = {"b_enc": (n_latents,), "W_dec": (n_latents, dim), "b_dec": (dim,)}
    if found.threshold is not None:
        shapes["threshold"] = (n_latents,)
    for name, shape in shapes.items():
        if tuple(getattr(found, name).shape) != shape:
            source.refuse(
                f"holds {name} of shape {tuple(getattr(found, name).shape)}, its encoder asks for {shape}"
            )
    for name in ("W_enc", *shapes):
        if not bool(torch.isfinite(getattr(found, name).float()).all()):
            source.refuse(
                f"holds values in {name} that are not finite in single precision",
                "train the SAE again, or ask for sound weights",
            )
    if found.k is not None and found.k > n_latents:
        source.refuse(f"says k = {found.k:,} of {n_latents:,} latents")


_READERS = {
    "matrices": _read_matrices,
    "sparsify": _read_sparsify,
    "dictionary_learning": _read_dictionary,
    "openai": _read_openai,
}
