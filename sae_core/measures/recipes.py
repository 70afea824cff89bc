"""Recipes: a steering that can be taken away and applied to other embeddings of the same encoder, without a workspace.

    x  = e / ‖e‖                                  layer-normed first where the SAE asks for it
    z  = W_enc x + b_enc                          with the SAE's mean, scale and b_dec folded in
    v  = activations: z where positive and among the k largest, or above its threshold
    e' = (e / ‖e‖ + Σ_j (f_j − 1) v_j D_j + c_j D_j), scaled to norm 1

f_j and c_j say what becomes of latent j: v'_j = f_j v_j + c_j. D_j is its decoder direction at its true length.
Whether a latent of a TopK SAE is among the k largest depends on all L of them, so a recipe holds the whole encoder.
"""

import os
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
from jaxtyping import Bool, Float, Float32

from sae_core.files.artifacts import file_digest, read_json, read_tensors, write_json, write_tensors
from sae_core.files.contents import Types, key_fault
from sae_core.files.errors import ArtifactError
from sae_core.files.formats import FORMAT_VERSION, check_version
from sae_core.measures.steering import MAX_LATENTS, Change, Mode

SETTINGS_FILE, TENSORS_FILE = "recipe.json", "recipe.safetensors"
KIND = "steering recipe"
MAX_ENCODER_LATENTS, MAX_DIM = 1_000_000, 16_384
MAX_TENSOR_BYTES = 4 * 1024**3
N_BASIS = 16
"""Principal directions of the encoder's embeddings that a recipe keeps, to know that encoder again."""
LEAST_ROWS_TO_TELL = 64
"""Fewer embeddings say too little of which encoder made them."""
LEAST_KEPT = 0.5
"""Of the fraction of energy that the principal directions hold on the encoder's own embeddings, the least on others."""
_ROWS_AT_ONCE, _LATENTS_AT_ONCE, _MOST_THREADS = 4_096, 512, 8
# a block holds at least the latents that are changed: MAX_LATENTS
_REMEDY = "export it again: python -m sae_core steering export"
_KEYS: dict[str, Types] = {
    "kind": str,
    "encoder": dict,
    "sae": dict,
    "changes": list,
    "effect": dict,
    "energy_inside": (int, float),
    "tensors": str,
}
_ENCODER_KEYS: dict[str, Types] = {"name": str, "revision": str, "dim": int}
_SAE_KEYS: dict[str, Types] = {
    "name": str,
    "fingerprint": str,
    "n_latents": int,
    "k": (int, type(None)),
    "input_norm": str,
}


@dataclass(frozen=True)
class EncoderMark:
    """Which encoder a recipe is for.

    name, revision: of the encoder. centre: f32[d], the mean of its embeddings in the workspace. basis: f32[r, d], their
    principal directions about 0. energy_inside: the mean fraction of an embedding's squared norm inside the basis.
    """

    name: str
    revision: str
    centre: Float32[np.ndarray, " d"]
    basis: Float32[np.ndarray, "r d"]
    energy_inside: float

    @classmethod
    def of(cls, vectors: Float[np.ndarray, "n d"], *, name: str, revision: str) -> "EncoderMark":
        """The mark of an encoder, from embeddings of norm 1 by it."""
        wide = np.asarray(vectors, dtype=np.float64)
        _, axes = np.linalg.eigh(wide.T @ wide)
        basis = axes[:, ::-1][:, : min(N_BASIS, wide.shape[1])].T
        energy = float(((wide @ basis.T) ** 2).sum(axis=1).mean())
        return cls(name, revision, wide.mean(axis=0).astype(np.float32), basis.astype(np.float32), energy)

    def likeness(self, vectors: Float[np.ndarray, "n d"]) -> float:
        """The energy of embeddings inside the basis over that of the encoder's own: about 1 for those of the same
        encoder, about r / d ÷ `energy_inside` for those of an unrelated one. Rows of zeros and NaN count for nothing.
        """
        squared = np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64)
        is_usable = np.isfinite(squared) & (squared > 0)
        inside = ((np.asarray(vectors[is_usable], np.float64) @ self.basis.T) ** 2).sum(axis=1)
        return float((inside / squared[is_usable]).mean() / self.energy_inside) if is_usable.any() else 1.0


@dataclass(frozen=True)
class Recipe:
    """A steering with all that applying it needs.

    mark: the encoder. changes: what is done, m of them. encoder: f32[L, d] and bias: f32[L], of the SAE for plain unit
    embeddings, the latents that are changed first, the others from the most often active on. directions: f32[m, d].
    floor: f32[L], above which a latent is active. k: how many may be; None where the floor alone decides. input_norm:
    `layer` where embeddings are layer-normed first. sae: its name, fingerprint and settings. effect: what it was
    measured to do, for people.
    """

    mark: EncoderMark
    changes: tuple[Change, ...]
    encoder: Float32[np.ndarray, "L d"]
    bias: Float32[np.ndarray, " L"]
    directions: Float32[np.ndarray, "m d"]
    floor: Float32[np.ndarray, " L"]
    k: int | None
    input_norm: str = "none"
    sae: Mapping[str, Any] = field(default_factory=dict)
    effect: Mapping[str, Any] = field(default_factory=dict)

    @property
    def dim(self) -> int:
        """d, the length of an embedding."""
        return int(self.directions.shape[1])

    @property
    def factors(self) -> Float32[np.ndarray, " m"]:
        """f: what each activation is multiplied by."""
        return np.array(
            [change.amount if change.mode == "scale" else 0.0 for change in self.changes], np.float32
        )

    @property
    def constants(self) -> Float32[np.ndarray, " m"]:
        """c: what is added to each product."""
        return np.array(
            [change.amount if change.mode == "set" else 0.0 for change in self.changes], np.float32
        )

    def apply(self, vectors: Float[np.ndarray, "n d"]) -> Float32[np.ndarray, "n d"]:
        """The steered embeddings, of norm 1. A row of zeros, or with a number that is not finite, becomes zeros.

        vectors: f16, f32 or f64, of any norm. Raises ArtifactError where they have another dimension.
        """
        self.check_dim(vectors.shape[1])
        steered = np.empty(vectors.shape, np.float32)

        def apply_to(start: int) -> None:
            piece = slice(start, start + _ROWS_AT_ONCE)
            self._apply_to(np.asarray(vectors[piece], dtype=np.float32), steered[piece])

        starts = range(0, len(vectors), _ROWS_AT_ONCE)
        # numpy computes outside the interpreter's lock, and each piece stays in the cache of one core
        with ThreadPoolExecutor(min(len(starts), os.cpu_count() or 1, _MOST_THREADS) or 1) as pool:
            deque(pool.map(apply_to, starts), maxlen=0)
        return steered

    def _apply_to(self, rows: np.ndarray, out: np.ndarray) -> None:
        """Steer some rows into `out`; those that are not moved are scaled to norm 1 and nothing else."""
        norms = np.sqrt(np.einsum("nd,nd->n", rows, rows))
        is_usable = np.isfinite(norms) & (norms > 0)
        if not is_usable.all():
            rows, norms = np.where(is_usable[:, None], rows, 0), np.where(is_usable, norms, 1)
        np.divide(rows, norms[:, None], out=out)
        delta = self._activations(rows, norms) * (self.factors - 1) + self.constants
        moved = np.flatnonzero(delta.any(axis=1) & is_usable)
        if not len(moved):
            return
        some = out[moved] + delta[moved] @ self.directions
        lengths = np.sqrt(np.einsum("nd,nd->n", some, some))
        out[moved] = some / np.where(lengths > 0, lengths, 1)[:, None]

    def check_dim(self, dim: int) -> None:
        """ArtifactError where embeddings have another dimension than the recipe's encoder."""
        if dim != self.dim:
            raise ArtifactError(
                f"is for embeddings of {self.dim} numbers by {self.mark.name}, not of {dim}",
                where=str(self.sae.get("recipe", "the recipe")),
                remedy=f"embed with {self.mark.name}, or export a recipe from an SAE on your embeddings",
            )

    def check_encoder(self, name: str, revision: str | None = None) -> None:
        """ArtifactError where embeddings are said to be by another encoder, or by another revision of it."""
        is_same = name == self.mark.name and revision in (None, self.mark.revision)
        if not is_same:
            told = f"{name} ({revision[:12]})" if revision and name == self.mark.name else name
            raise ArtifactError(
                f"is for embeddings by {self.mark.name} ({self.mark.revision[:12]}), not by {told}",
                where=str(self.sae.get("recipe", "the recipe")),
                remedy=f"embed with {self.mark.name}, or export a recipe from an SAE on your embeddings",
            )

    def check_space(self, vectors: Float[np.ndarray, "n d"]) -> None:
        """ArtifactError where embeddings lie elsewhere than those of the recipe's encoder (see `EncoderMark`).

        Two encoders of one dimension share no axes, so energy leaves the principal directions of the right one.
        """
        if len(vectors) < LEAST_ROWS_TO_TELL:
            return
        likeness = self.mark.likeness(vectors)
        if likeness < LEAST_KEPT:
            raise ArtifactError(
                f"is for embeddings by {self.mark.name}, and these lie elsewhere: the main directions of "
                f"{self.mark.name} hold {likeness:.0%} of the energy they should hold",
                where=str(self.sae.get("recipe", "the recipe")),
                remedy=f"if they are by {self.mark.name}, say so: --encoder {self.mark.name}",
            )

    def _activations(self, rows: np.ndarray, norms: np.ndarray) -> Float32[np.ndarray, "n m"]:
        """v of the latents that are changed, for rows of these norms."""
        m = len(self.changes)
        if self.input_norm == "layer":
            unit = rows / norms[:, None]
            spread = unit.std(axis=1, ddof=1, keepdims=True)
            rows, norms = (unit - unit.mean(axis=1, keepdims=True)) / (spread + 1e-5), np.ones_like(norms)
        scores = (rows @ self.encoder[:m].T) / norms[:, None] + self.bias[:m]
        is_active = scores > self.floor[:m]
        if self.k is not None and self.k < len(self.bias):
            is_active = self._keep_strongest((rows, norms), scores, is_active, self.k)
        return np.where(is_active, scores, np.float32(0))

    def _keep_strongest(
        self,
        scaled: tuple[np.ndarray, np.ndarray],
        scores: np.ndarray,
        is_active: Bool[np.ndarray, "n m"],
        k: int,
    ) -> Bool[np.ndarray, "n m"]:
        """Which of the active latents are among the k largest of all L.

        Latents are taken in blocks, those most often active first; a row is left as soon as k latents exceed each of
        its own, so that most rows on which the changed latents are silent cost one block.
        """
        rows, norms = scaled
        at = np.flatnonzero(is_active.any(axis=1))
        counts = np.zeros((len(at), scores.shape[1]), np.int64)
        found = np.zeros_like(is_active)
        for start in range(0, len(self.bias), _LATENTS_AT_ONCE):
            if not len(at):
                return found
            block = slice(start, start + _LATENTS_AT_ONCE)
            others = rows[at] @ self.encoder[block].T
            others /= norms[at, None]
            others += self.bias[block]
            if start == 0:
                # rounded as they are here, so that none of them exceeds itself
                others[:, : scores.shape[1]] = scores[at]
            for column in range(scores.shape[1]):
                counts[:, column] += _count_true(others > scores[at, column, None])
            is_open = (is_active[at] & (counts < k)).any(axis=1)
            at, counts = at[is_open], counts[is_open]
        found[at] = is_active[at] & (counts < k)
        return found


def _count_true(table: Bool[np.ndarray, "n c"]) -> np.ndarray:
    """How many are true in each row: eight at once, as the bytes of whole numbers, of which up to 255 can be added."""
    n, width = table.shape
    if width % 8 or width > 8 * 255:
        return np.count_nonzero(table, axis=1)
    lanes = table.view(np.uint64).sum(axis=1, dtype=np.uint64)
    return lanes.view(np.uint8).reshape(n, 8).sum(axis=1, dtype=np.int64)


def save_recipe(recipe: Recipe, folder: Path) -> Path:
    """Write a recipe into a folder, its settings as JSON after its tensors, and return the folder.

    Raises ArtifactError where the folder holds something else.
    """
    folder = Path(folder)
    if folder.exists() and (
        not folder.is_dir() or {file.name for file in folder.iterdir()} - {SETTINGS_FILE, TENSORS_FILE}
    ):
        raise ArtifactError(
            "holds something else", where=folder, remedy="choose another folder: --out FOLDER"
        )
    tensors = {
        "encoder": recipe.encoder,
        "bias": recipe.bias,
        "floor": recipe.floor,
        "directions": recipe.directions,
        "centre": recipe.mark.centre,
        "basis": recipe.mark.basis,
    }
    (folder / SETTINGS_FILE).unlink(missing_ok=True)
    write_tensors(
        folder / TENSORS_FILE, {name: np.asarray(part, np.float32) for name, part in tensors.items()}
    )
    settings = {
        "format_version": FORMAT_VERSION,
        "kind": KIND,
        "encoder": {"name": recipe.mark.name, "revision": recipe.mark.revision, "dim": recipe.dim},
        "sae": {**recipe.sae, "n_latents": len(recipe.bias), "k": recipe.k, "input_norm": recipe.input_norm},
        "changes": [
            {"latent": change.latent, "mode": change.mode, "amount": change.amount}
            for change in recipe.changes
        ],
        "effect": dict(recipe.effect),
        "energy_inside": recipe.mark.energy_inside,
        "tensors": file_digest(folder / TENSORS_FILE),
    }
    write_json(folder / SETTINGS_FILE, settings)
    return folder


def read_recipe(folder: Path) -> Recipe:
    """Return the recipe in a folder.

    Raises ArtifactError where it is missing, damaged, of a newer format, or holds anything but finite numbers of the
    shapes that its settings say. Nothing in it names another file, and nothing is unpickled.
    """
    where = Path(folder) / SETTINGS_FILE
    raw = read_json(where, remedy=_REMEDY)
    check_version(raw.get("format_version"), where=where, remedy=_REMEDY)
    fault = (
        key_fault(raw, _KEYS) or key_fault(raw["encoder"], _ENCODER_KEYS) or key_fault(raw["sae"], _SAE_KEYS)
    )
    if fault or raw["kind"] != KIND:
        raise ArtifactError(fault or f"is no {KIND}", where=where, remedy=_REMEDY)
    changes = _changes(raw["changes"], where)
    tensors = _tensors(Path(folder), raw, len(changes))
    mark = EncoderMark(
        raw["encoder"]["name"],
        raw["encoder"]["revision"],
        tensors["centre"],
        tensors["basis"],
        _energy(raw["energy_inside"], where),
    )
    return Recipe(
        mark,
        changes,
        tensors["encoder"],
        tensors["bias"],
        tensors["directions"],
        tensors["floor"],
        raw["sae"]["k"],
        raw["sae"]["input_norm"],
        {**raw["sae"], "recipe": str(folder)},
        raw["effect"],
    )


def _energy(value: float | int, where: Path) -> float:
    if not 0 < value <= 1 + 1e-3:
        raise ArtifactError("holds an energy_inside that is no fraction", where=where, remedy=_REMEDY)
    return float(value)


def _changes(raw: Sequence[Any], where: Path) -> tuple[Change, ...]:
    keys: dict[str, Types] = {"latent": int, "mode": str, "amount": (int, float)}
    if not 1 <= len(raw) <= MAX_LATENTS:
        raise ArtifactError(
            f"changes {len(raw)} latents, not 1 to {MAX_LATENTS}", where=where, remedy=_REMEDY
        )
    made = []
    for change in raw:
        fault = key_fault(change, keys) if isinstance(change, dict) else "holds a change that is no object"
        if not fault and change["mode"] not in get_args(Mode):
            fault = f"holds the unknown mode {change['mode'][:20]!r}"
        if fault:
            raise ArtifactError(fault, where=where, remedy=_REMEDY)
        try:
            made.append(Change(change["latent"], change["mode"], float(change["amount"])))
        except (ValueError, OverflowError) as error:
            raise ArtifactError(
                f"holds a change that cannot be ({error})", where=where, remedy=_REMEDY
            ) from error
    if len({change.latent for change in made}) < len(made):
        raise ArtifactError("changes one latent twice", where=where, remedy=_REMEDY)
    return tuple(made)


def _tensors(folder: Path, raw: Mapping[str, Any], m: int) -> dict[str, np.ndarray]:
    """The tensors of a recipe, once size, digest, shapes and numbers are known to be right."""
    where, sae, dim = folder / TENSORS_FILE, raw["sae"], raw["encoder"]["dim"]
    n, k = sae["n_latents"], sae["k"]
    if not (2 <= dim <= MAX_DIM and m <= n <= MAX_ENCODER_LATENTS and (k is None or 1 <= k <= n)):
        raise ArtifactError(
            f"cannot be: {n} latents, k {k}, {dim} numbers", where=folder / SETTINGS_FILE, remedy=_REMEDY
        )
    if sae["input_norm"] not in ("none", "layer"):
        raise ArtifactError("has an unknown input_norm", where=folder / SETTINGS_FILE, remedy=_REMEDY)
    if not where.is_file() or where.stat().st_size > MAX_TENSOR_BYTES:
        raise ArtifactError("is missing or too large", where=where, remedy=_REMEDY)
    if file_digest(where) != raw["tensors"]:
        raise ArtifactError("was changed since it was written", where=where, remedy=_REMEDY)
    found = read_tensors(where, remedy=_REMEDY)
    n_basis = min(N_BASIS, dim)
    shapes = {
        "encoder": (n, dim),
        "bias": (n,),
        "floor": (n,),
        "directions": (m, dim),
        "centre": (dim,),
        "basis": (n_basis, dim),
    }
    for name, shape in shapes.items():
        array = found.get(name)
        if array is None or array.shape != shape or array.dtype != np.float32 or not np.isfinite(array).all():
            raise ArtifactError(f"holds no finite float32 {shape} as {name}", where=where, remedy=_REMEDY)
    return found
