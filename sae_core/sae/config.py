"""What an SAE's folder says of it, read without PyTorch: its settings, and its weights as checked arrays."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np

from sae_core.files.artifacts import read_json, read_tensors
from sae_core.files.contents import LARGEST_WHOLE, key_fault, numbers, whole_numbers
from sae_core.files.errors import ArtifactError
from sae_core.files.formats import FORMAT_VERSION, check_version

TRAINING_KINDS = {
    **dict.fromkeys(("step", "n_seen"), whole_numbers()),
    **dict.fromkeys(("fvu_train", "fvu_held_out", "l0", "dead_fraction"), numbers(may_lack=True)),
    **dict.fromkeys(("clips_per_s", "learning_rate"), numbers(may_lack=True)),
}
"""What training.parquet holds: one row a report during training."""
_NUMBER = (int, float)
_METRICS = {
    **dict.fromkeys(("train", "held-out"), (dict, type(None))),
    **dict.fromkeys(("gamma", "n_train"), (*_NUMBER, type(None))),
}
_SPLIT_METRICS = dict.fromkeys(("explained_variance", "cosine_mean", "l0", "dead_fraction"), _NUMBER)
Variant = Literal["topk", "matryoshka", "relu", "jumprelu", "batchtopk"]
TRAINED_VARIANTS: tuple[str, ...] = ("topk", "matryoshka", "batchtopk", "matryoshka-batchtopk", "jumprelu")
"""What is trained here, as the command line calls it; `chosen_variant` says which fields these are. All of these, and
relu too, can be imported."""
MATRYOSHKA_BATCHTOPK = "matryoshka-batchtopk"
THRESHOLD_VARIANTS: tuple[Variant, ...] = ("relu", "jumprelu", "batchtopk")
"""Those in which a threshold decides which latents are active, so that their number differs from clip to clip."""
InputNorm = Literal["none", "layer"]
RETRAIN = "train it again: python -m sae_core train"


@dataclass(frozen=True)
class SaeConfig:
    """What an autoencoder is, apart from how it is trained.

    dim: d, the length of an embedding.
    n_latents: L, how many latents there are.
    k: how many of them may be active on one clip. Where a threshold decides, how many are on average, which training
        aims at; of an imported SAE, the most on any clip of the workspace.
    variant: `topk` rebuilds the embedding once, from all active latents; `matryoshka` also from each prefix of latents
        alone, so that broad attributes stay in the first ones as L grows. In `relu` (threshold 0), `jumprelu` (one
        threshold a latent) and `batchtopk` (one for all) a latent is active above its threshold.
    prefixes: ends of the nested groups, ascending up to n_latents; left empty, `default_prefixes`. For matryoshka; a
        jumprelu or batchtopk SAE may have some too, and is then trained as a Matryoshka SAE.
    seed: of the first weights and of the order of the clips.
    input_norm: `layer`: each embedding is brought to mean 0 and standard deviation 1 over its d numbers first.
    """

    dim: int
    n_latents: int
    k: int
    variant: Variant = "topk"
    prefixes: tuple[int, ...] = ()
    seed: int = 0
    input_norm: InputNorm = "none"

    def __post_init__(self) -> None:
        for name in ("dim", "n_latents", "k", "seed"):
            value = getattr(self, name)
            least = 0 if name == "seed" else 1
            if type(value) is not int or not least <= value <= LARGEST_WHOLE:
                raise ValueError(f"{name} must be a whole number from {least}, not {value!r}")
        if self.k > self.n_latents:
            raise ValueError(
                f"k = {self.k} latents cannot be active where there are only n_latents = {self.n_latents}"
            )
        if self.variant not in get_args(Variant):
            raise ValueError(f"variant must be one of {', '.join(get_args(Variant))}, not {self.variant!r}")
        if self.input_norm not in get_args(InputNorm):
            raise ValueError(
                f"input_norm must be one of {', '.join(get_args(InputNorm))}, not {self.input_norm!r}"
            )
        if self.variant == "matryoshka" and not self.prefixes:
            object.__setattr__(self, "prefixes", default_prefixes(self.n_latents))
        self._check_prefixes()

    def _check_prefixes(self) -> None:
        if self.variant in ("topk", "relu") and self.prefixes:
            raise ValueError(f"prefixes are for the matryoshka variant, not for {self.variant}")
        if not self.prefixes:
            return
        if any(type(prefix) is not int for prefix in self.prefixes):
            raise ValueError(f"prefixes must be whole numbers, not {self.prefixes!r}")
        steps = zip((0, *self.prefixes), self.prefixes, strict=False)
        if any(low >= high for low, high in steps) or self.prefixes[-1] != self.n_latents:
            raise ValueError(f"prefixes must ascend to n_latents = {self.n_latents}, not {self.prefixes}")

    @property
    def name(self) -> str:
        """These settings in short, such as `matryoshka-1024-k32` or `topk-64-k8-s1`."""
        parts = [self.variant, str(self.n_latents), f"k{self.k}"]
        if self.prefixes and (
            self.variant != "matryoshka" or self.prefixes != default_prefixes(self.n_latents)
        ):
            parts.append("p" + ".".join(map(str, self.prefixes[:-1])))
        return "-".join(parts + ([f"s{self.seed}"] if self.seed else []))

    def to_json(self) -> dict[str, Any]:
        """Return the fields as a JSON object."""
        fields = dataclasses.asdict(self) | {"prefixes": list(self.prefixes)}
        if self.input_norm == "none":
            # fingerprints of SAEs that were there before this setting must not change
            del fields["input_norm"]
        return {"format_version": FORMAT_VERSION, **fields}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any], *, where: Path) -> "SaeConfig":
        """Return the settings in a JSON object; ArtifactError naming `where` for a key or value that cannot be."""
        fields = {key: value for key, value in raw.items() if key != "format_version"}
        unknown = sorted(set(fields) - {field.name for field in dataclasses.fields(cls)})
        if unknown:
            raise ArtifactError(f"has the unknown key {unknown[0]!r}", where=where, remedy=RETRAIN)
        check_version(raw.get("format_version"), where=where, remedy=RETRAIN)
        try:
            return cls(**{**fields, "prefixes": tuple(fields.get("prefixes", ()))})
        except (TypeError, ValueError) as error:
            raise ArtifactError(f"holds no usable settings ({error})", where=where, remedy=RETRAIN) from error


def chosen_variant(name: str, n_latents: int) -> tuple[Variant, tuple[int, ...]]:
    """The variant and prefixes of one of `TRAINED_VARIANTS` with L latents; ValueError for any other name."""
    if name not in TRAINED_VARIANTS:
        raise ValueError(f"variant must be one of {', '.join(TRAINED_VARIANTS)}, not {name!r}")
    if name == MATRYOSHKA_BATCHTOPK:
        return "batchtopk", default_prefixes(n_latents)
    return cast("Variant", name), ()


def variant_name(variant: str, prefixes: Sequence[int]) -> str:
    """What an SAE of these settings is called: its variant, or `matryoshka-batchtopk`."""
    return MATRYOSHKA_BATCHTOPK if variant == "batchtopk" and prefixes else variant


def default_prefixes(n_latents: int) -> tuple[int, ...]:
    """Ends of nested groups for L latents: L, then a quarter of it again and again while at least 8 are left."""
    prefixes = [n_latents]
    while prefixes[0] // 4 >= 8:
        prefixes.insert(0, prefixes[0] // 4)
    return tuple(prefixes)


def weight_shapes(config: SaeConfig) -> dict[str, tuple[int, ...]]:
    """Shapes of the stored weights, by name."""
    matrix, latents, dim = (config.n_latents, config.dim), (config.n_latents,), (config.dim,)
    shapes = {"W_enc": matrix, "b_enc": latents, "W_dec": matrix, "b_dec": dim, "mean": dim, "scale": (1,)}
    return shapes | ({"threshold": latents} if config.variant in ("jumprelu", "batchtopk") else {})


def read_config(folder: Path, *, remedy: str = RETRAIN) -> SaeConfig:
    """Return the settings of the SAE in `folder`; ArtifactError when they are missing or damaged."""
    where = folder / "config.json"
    return SaeConfig.from_json(read_json(where, remedy=remedy), where=where)


def read_weights(folder: Path, config: SaeConfig, *, remedy: str = RETRAIN) -> dict[str, np.ndarray]:
    """Return the weights in `folder` by name, as float32 or float16.

    Raises ArtifactError when the file is missing, damaged, foreign, or does not fit the settings.
    """
    where = folder / "weights.safetensors"
    arrays = read_tensors(where, remedy=remedy)
    _check_weights(config, arrays, where=where, remedy=remedy)
    return arrays


def read_metrics(where: Path, *, remedy: str = RETRAIN) -> dict[str, Any]:
    """Return what training measured of an SAE; ArtifactError when it is missing, damaged or says too little."""
    metrics = read_json(where, keys=_METRICS, remedy=remedy)
    for split in ("train", "held-out"):
        if metrics.get(split) and (fault := key_fault(metrics[split], _SPLIT_METRICS)):
            raise ArtifactError(f"{fault} in {split}", where=where, remedy=remedy)
    return metrics


def _check_weights(config: SaeConfig, arrays: Mapping[str, np.ndarray], *, where: Path, remedy: str) -> None:
    shapes = weight_shapes(config)
    if set(arrays) != set(shapes):
        odd = ", ".join(sorted(set(arrays) ^ set(shapes)))
        raise ArtifactError(f"lacks or adds the tensors {odd}", where=where, remedy=remedy)
    for name, shape in shapes.items():
        array = arrays[name]
        if array.shape != shape or array.dtype not in (np.float32, np.float16):
            raise ArtifactError(
                f"holds {name} as {array.dtype}{array.shape}, not float{shape} as config.json says",
                where=where,
                remedy=remedy,
            )
        if not np.isfinite(array).all():
            raise ArtifactError(f"holds values in {name} that are not finite", where=where, remedy=remedy)
    if arrays["scale"][0] <= 0:
        raise ArtifactError("holds a scale that is not above 0", where=where, remedy=remedy)
