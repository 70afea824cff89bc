"""From embeddings to a trained autoencoder, on one device, with checkpoints that survive a kill at any moment.

The loss of a step, with AuxK (Gao et al. 2024, arXiv 2406.04093) and the groups of a Matryoshka SAE (Bussmann et al.
2025, arXiv 2503.17547), is in `sae_core.sae.step`. Defaults of rates and epochs were measured: docs/measurements.md.
"""

import contextlib
import dataclasses
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float32, Int

from sae_core.corpus.clips import Corpus
from sae_core.embedding.device_memory import memory_for
from sae_core.embedding.embedders import choose_device
from sae_core.embedding.embeddings import Embeddings
from sae_core.files.artifacts import (
    ArtifactMeta,
    fingerprint,
    read_tensors,
    write_json,
    write_table,
    write_tensors,
)
from sae_core.files.errors import ArtifactError, CorpusError, StaleArtifactError
from sae_core.files.progress import Progress, ignore
from sae_core.sae.batches import TrainingInputs, shuffled_batches
from sae_core.sae.codes import SparseCodes
from sae_core.sae.config import TRAINED_VARIANTS, TRAINING_KINDS, read_metrics, variant_name
from sae_core.sae.distributed import Team, together
from sae_core.sae.model import RETRAIN, SaeConfig, SparseAutoencoder, WeightType
from sae_core.sae.quality import activity_metrics, gamma, max_decoder_cosine, reconstruction_metrics
from sae_core.sae.step import SaeFit, StepSettings

logger = logging.getLogger(__name__)

TABLE_COLUMNS = tuple(TRAINING_KINDS)
N_TABLE_ROWS = 100
N_HELD_OUT_SAMPLE = 1024
N_MEASURED = 1_000_000
MAX_EPOCHS = 100_000
"""Of a larger split, every so many-th clip is measured, so that memory does not grow with the corpus."""
CHECKPOINT = "checkpoint.safetensors"
SAE_FILES = ("config.json", "weights.safetensors", "training.parquet", "metrics.json")
PIECE = 65_536


@dataclass(frozen=True)
class TrainingConfig:
    """How an autoencoder is trained; a field left None is chosen for the corpus by `for_corpus`.

    n_epochs: passes over the training clips.
    batch_size: clips a step.
    learning_rate: Adam's, at its height.
    warmup_fraction: share of the steps over which the rate climbs from 0.
    decay_fraction: share of the steps, the last ones, over which it falls back to 0.
    aux_coefficient: weight of AuxK, the loss in which dead latents rebuild what the others leave over; 0: none.
    n_aux_latents: how many dead latents may answer for one clip there; by default d / 2.
    dead_after_clips: a latent silent for so many clips is dead; by default one epoch, and at most ten million.
    checkpoint_every_s: least time between two checkpoints.
    stored_as: `float16` halves the file.
    device: where to train: `cpu`, `cuda`, …; by default a GPU if there is one.
    """

    n_epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    warmup_fraction: float = 0.05
    decay_fraction: float = 0.3
    aux_coefficient: float = 1 / 32
    n_aux_latents: int | None = None
    dead_after_clips: int | None = None
    checkpoint_every_s: float = 30.0
    stored_as: WeightType = "float32"
    device: str | None = None

    def __post_init__(self) -> None:
        for name in ("n_epochs", "batch_size", "n_aux_latents", "dead_after_clips"):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < 1):
                raise ValueError(f"{name} must be a whole number from 1, not {value!r}")
        if self.n_epochs is not None and self.n_epochs > MAX_EPOCHS:
            raise ValueError(f"n_epochs must be at most {MAX_EPOCHS:,}, not {self.n_epochs!r}")
        if self.learning_rate is not None and not 0 < self.learning_rate < 1:
            raise ValueError(f"learning_rate must lie between 0 and 1, not {self.learning_rate!r}")
        if not (
            0 <= self.warmup_fraction
            and 0 <= self.decay_fraction
            and self.warmup_fraction + self.decay_fraction <= 1
        ):
            raise ValueError(
                "warmup_fraction and decay_fraction must not be negative, nor together more than 1"
            )
        if not 0 <= self.aux_coefficient <= 1:
            raise ValueError(f"aux_coefficient must lie between 0 and 1, not {self.aux_coefficient!r}")
        if self.checkpoint_every_s < 0:
            raise ValueError(f"checkpoint_every_s must not be negative, not {self.checkpoint_every_s!r}")
        if self.stored_as not in ("float32", "float16"):
            raise ValueError(f"stored_as must be float32 or float16, not {self.stored_as!r}")

    def for_corpus(self, n_train: int, config: SaeConfig) -> "TrainingConfig":
        """Return these settings with every None chosen for n training clips."""
        batch_size = min(n_train, self.batch_size or min(4096, max(256, n_train // 16)))
        n_batches = n_train // batch_size
        return dataclasses.replace(
            self,
            batch_size=batch_size,
            n_epochs=self.n_epochs or min(60, max(4, round(4000 / n_batches))),
            learning_rate=self.learning_rate or 3e-3 * min(1.0, (1024 / config.n_latents) ** 0.5),
            n_aux_latents=self.n_aux_latents or max(1, config.dim // 2),
            dead_after_clips=self.dead_after_clips or min(10_000_000, max(n_train, 4 * batch_size)),
            device=self.device or ("cuda" if torch.cuda.is_available() else "cpu"),
        )


def suggest_config(n_train: int, dim: int, *, seed: int = 0) -> SaeConfig:
    """Return the autoencoder to try first on n training clips: nested, L about a quarter of the clips, 64 to 8192."""
    n_latents = 64
    while n_latents < 8192 and n_latents * 2 <= n_train / 4:
        n_latents *= 2
    return SaeConfig(dim, n_latents, k=min(32, n_latents // 4), variant="matryoshka", seed=seed)


def train(
    embeddings: Embeddings,
    corpus: Corpus,
    config: SaeConfig,
    training: TrainingConfig,
    folder: Path,
    *,
    progress: Progress = ignore,
) -> dict[str, Any]:
    """Train an SAE on the train split, write it into `folder`, and return its metrics.

    A finished SAE of the same settings and parents is left as it is; an unfinished one goes on from its checkpoint, and
    ends where it would have without the break (on the CPU to the last bit). Raises CorpusError when there is nothing to
    train on, StaleArtifactError when embeddings and corpus differ in length, ArtifactError when training diverges,
    DeviceMemoryError when a step does not fit into the device's memory.

    Under `torchrun` all processes call this with the same arguments and train together; the first one writes.
    """
    _check_variant(config)
    task = _Task.of(embeddings, corpus, config, training, Path(folder))
    with together(task.training.device) as team:
        done = task.finished_metrics()
        team.check_same(done is not None, "whether this SAE is finished")
        if done is None and team.is_leader:
            done = _finish(task, *_fit(task, team, progress))
        elif done is None:
            _fit(task, team, ignore)
        team.wait()
    return done or read_metrics(task.folder / "metrics.json")


def _are_equal(vectors: Float32[np.ndarray, "n d"], rows: Int[np.ndarray, " t"]) -> bool:
    """Whether all these rows hold the same vector; looks no further than the first that differs."""
    pieces = (rows[start : start + 4096] for start in range(0, len(rows), 4096))
    return all(bool((vectors[piece] == vectors[rows[0]]).all()) for piece in pieces)


@dataclass(frozen=True)
class _Task:
    """One SAE to train: from which clips, with which settings (none left open), to which folder."""

    vectors: Float32[np.ndarray, "n d"]
    train_rows: Int[np.ndarray, " t"]
    held_out_rows: Int[np.ndarray, " h"]
    config: SaeConfig
    training: TrainingConfig
    parents: dict[str, str]
    folder: Path
    embedder: str

    @classmethod
    def of(
        cls, embeddings: Embeddings, corpus: Corpus, config: SaeConfig, training: TrainingConfig, folder: Path
    ) -> "_Task":
        """Check that the parts fit each other."""
        if embeddings.dim != config.dim:
            raise ValueError(
                f"the embeddings have {embeddings.dim} dimensions, the SAE is to read {config.dim}"
            )
        if len(embeddings) != len(corpus):
            raise StaleArtifactError(
                f"there are {len(embeddings)} embeddings for {len(corpus)} clips",
                where=folder.parent.parent,
                remedy="run: python -m sae_core embed, then train again",
            )
        train_rows, held_out_rows = (
            rows[embeddings.is_valid[rows]] for rows in (corpus.rows_in("train"), corpus.rows_in("held-out"))
        )
        if not len(train_rows):
            raise CorpusError(
                "no clip of the train split has an embedding",
                where=folder.parent.parent,
                remedy="import more speakers, or look into failures.parquet beside the embeddings",
            )
        if _are_equal(embeddings.vectors, train_rows):
            raise CorpusError(
                "all clips of the train split have one and the same embedding, so there is nothing to learn from them",
                where=folder.parent.parent,
                remedy="import more recordings, of several speakers",
            )
        parents = {"embeddings": embeddings.fingerprint, "splits": corpus.split_fingerprint}
        filled = training.for_corpus(len(train_rows), config)
        return cls(
            embeddings.vectors,
            train_rows,
            held_out_rows,
            config,
            filled,
            parents,
            folder,
            embeddings.name,
        )

    @property
    def settings(self) -> dict[str, Any]:
        """What decides the result, as JSON: where and how often to save does not."""
        chosen = dataclasses.asdict(self.training)
        return {
            "embedder": self.embedder,
            "config": self.config.to_json(),
            "training": {
                name: value for name, value in chosen.items() if name not in ("checkpoint_every_s", "device")
            },
        }

    @property
    def identity(self) -> str:
        """Changes when anything does that the result depends on."""
        return fingerprint(self.parents, self.settings)

    def finished_metrics(self) -> dict[str, Any] | None:
        """The metrics in the folder, if a whole SAE of just these settings and parents stands there."""
        try:
            meta = ArtifactMeta.read(self.folder / "meta.json", kind="sae", remedy=RETRAIN)
            if (meta.parents, meta.settings) != (self.parents, self.settings):
                return None
            meta.check_files(self.folder, remedy=RETRAIN, whole=True)
            if SparseAutoencoder.load(self.folder).fingerprint != meta.fingerprint:
                return None
            return read_metrics(self.folder / "metrics.json")
        except ArtifactError:
            return None

    def steps_an_epoch(self) -> int:
        """How many whole batches an epoch has; what is left over after them waits for another shuffle."""
        assert self.training.batch_size is not None
        return len(self.train_rows) // self.training.batch_size


def _check_variant(config: SaeConfig) -> None:
    """ValueError for an SAE of a kind that can be imported only."""
    name = variant_name(config.variant, config.prefixes)
    if name not in TRAINED_VARIANTS or config.input_norm != "none":
        kind = f"{config.variant} SAEs" if config.input_norm == "none" else "SAEs on layer-normed embeddings"
        choices = ", ".join(TRAINED_VARIANTS)
        raise ValueError(f"{kind} can be imported (import-sae), not trained: choose one of {choices}")


def _fit(task: _Task, team: Team, progress: Progress) -> tuple[SaeFit, pd.DataFrame]:
    """Take all steps, from the checkpoint if there is one; a row of the training table about every hundredth part."""
    training = task.training
    inputs, fit = _start(task, team)
    n_steps = fit.settings.n_steps
    table = _resume(task, fit)
    team.check_same(fit.n_steps_done, "how many steps are done")
    sample = task.vectors[at_most(N_HELD_OUT_SAMPLE, task.held_out_rows[: None if team.is_leader else 0])]
    every = max(1, n_steps // N_TABLE_ROWS)
    saved_s = since_s = time.monotonic()
    assert training.batch_size is not None
    batches = shuffled_batches(
        len(inputs), training.batch_size, seed=task.config.seed, first_step=fit.n_steps_done
    )
    while fit.n_steps_done < n_steps:
        with _memory_for_step(task):
            fit.step(inputs.draw(team.share(next(batches))))
        if fit.n_steps_done % every and fit.n_steps_done < n_steps:
            continue
        if not fit.is_finite:
            raise _divergence(task, fit)
        table.append(_table_row(fit, sample, time.monotonic() - since_s))
        progress(fit.n_steps_done, n_steps, f"FVU {table[-1][2]:.3f}, dead {table[-1][5]:.0%}")
        if team.is_leader and time.monotonic() - saved_s >= training.checkpoint_every_s:
            _save_checkpoint(task, fit, table)
            saved_s = time.monotonic()
        since_s = time.monotonic()
    return fit, pd.DataFrame(table, columns=list(TABLE_COLUMNS)).astype({"step": "int64", "n_seen": "int64"})


def _memory_for_step(task: _Task) -> contextlib.AbstractContextManager[None]:
    """What turns a step that does not fit into an error that names a smaller batch."""
    size = task.training.batch_size or 1
    return memory_for(
        f"a training step on a batch of {size:,} clips at {task.config.n_latents:,} latents",
        remedy=f"train on smaller batches: --batch {max(1, size // 2)} (batch_size of TrainingConfig)",
    )


def _start(task: _Task, team: Team) -> tuple[TrainingInputs, SaeFit]:
    """The training inputs x on the device, and an autoencoder with first weights."""
    training, device = task.training, choose_device(task.training.device or "cpu")
    if team.is_leader and len(task.train_rows) < task.config.n_latents:
        logger.warning(
            "%d training clips for %d latents: many latents will answer to single clips; fewer would generalise better",
            len(task.train_rows),
            task.config.n_latents,
        )
    inputs = TrainingInputs(task.vectors, task.train_rows, device=device)
    assert (
        training.n_epochs and training.learning_rate and training.n_aux_latents and training.dead_after_clips
    )
    settings = StepSettings(
        training.learning_rate,
        training.n_epochs * task.steps_an_epoch(),
        training.warmup_fraction,
        training.decay_fraction,
        training.aux_coefficient,
        training.n_aux_latents,
        training.dead_after_clips,
    )
    sae = SparseAutoencoder.untrained(task.config, inputs.mean, inputs.scale).to(device)
    return inputs, SaeFit(sae, settings, team)


def _table_row(fit: SaeFit, sample: Float32[np.ndarray, "h d"], elapsed_s: float) -> list[int | float | None]:
    sums = fit.take_sums()
    fvu_held_out = 1 - measure_sae(fit.sae, sample)["explained_variance"] if can_measure(sample) else None
    return [
        fit.n_steps_done,
        fit.n_seen,
        sums.fvu,
        fvu_held_out,
        sums.l0,
        float(fit.is_dead.float().mean()),
        sums.n_clips / max(elapsed_s, 1e-9),
        fit.settings.rate_at(fit.n_steps_done - 1),
    ]


def _divergence(task: _Task, fit: SaeFit) -> ArtifactError:
    rate = task.training.learning_rate or 0.0
    kept = "; its last good checkpoint is kept" if (task.folder / CHECKPOINT).exists() else ""
    return ArtifactError(
        f"training diverged by step {fit.n_steps_done}: weights are no longer numbers{kept}",
        where=task.folder,
        remedy=f"train with a lower learning rate than {rate:g}, such as {rate / 10:g}, or a larger batch",
    )


def _save_checkpoint(task: _Task, fit: SaeFit, table: list[list[int | float | None]]) -> None:
    written = np.array(
        [[np.nan if cell is None else cell for cell in row] for row in table], dtype=np.float64
    )
    mark = np.frombuffer(task.identity.encode(), dtype=np.uint8)
    write_tensors(task.folder / CHECKPOINT, fit.arrays() | {"table": written, "identity": mark})


def _resume(task: _Task, fit: SaeFit) -> list[list[int | float | None]]:
    """Put `fit` where its checkpoint left it and return the table so far; without a usable one, begin."""
    path = task.folder / CHECKPOINT
    if not path.exists():
        return []
    try:
        arrays = read_tensors(path)
        if bytes(arrays["identity"]).decode() != task.identity:
            logger.warning("%s belongs to other settings or data; training starts anew", path)
            return []
        fit.restore(arrays)
    except (ArtifactError, KeyError, ValueError) as error:
        logger.warning("%s cannot be used (%s); training starts anew", path, error)
        return []
    return [[None if np.isnan(cell) else float(cell) for cell in row] for row in arrays["table"]]


def _finish(task: _Task, fit: SaeFit, table: pd.DataFrame) -> dict[str, Any]:
    """Write the SAE and what is known of it, meta.json last; return the metrics."""
    folder, sae = task.folder, fit.sae
    # without its meta.json, a folder whose files are being replaced one by one counts as unfinished
    (folder / "meta.json").unlink(missing_ok=True)
    sae.save(folder, stored_as=task.training.stored_as)
    stored = SparseAutoencoder.load(folder, device=task.training.device)
    metrics = _describe(task, stored, table)
    write_table(folder / "training.parquet", table)
    write_json(folder / "metrics.json", metrics)
    ArtifactMeta("sae", stored.fingerprint, task.parents, task.settings).write(
        folder / "meta.json", files=SAE_FILES
    )
    (folder / CHECKPOINT).unlink(missing_ok=True)
    return metrics


def _describe(task: _Task, sae: SparseAutoencoder, table: pd.DataFrame) -> dict[str, Any]:
    overlap = max_decoder_cosine(sae.decoder_directions())
    rows = {"train": task.train_rows, "held-out": task.held_out_rows}
    splits = {name: task.vectors[at_most(N_MEASURED, some)] for name, some in rows.items()}
    return {
        **{name: measure_sae(sae, part) if can_measure(part) else None for name, part in splits.items()},
        "gamma": gamma(splits["train"]),
        "max_decoder_cosine_mean": float(overlap.mean()),
        "max_decoder_cosine_p95": float(np.quantile(overlap, 0.95)),
        "n_train": len(task.train_rows),
        "n_held_out": len(task.held_out_rows),
        "n_steps": int(table["step"].iloc[-1]),
        "clips_per_s": float(table["clips_per_s"].median()),
        "device": task.training.device,
    }


def at_most(n: int, rows: Int[np.ndarray, " m"]) -> Int[np.ndarray, " s"]:
    """All rows, or evenly chosen ones when there are more than about n."""
    return rows[:: max(1, len(rows) // n)]


def can_measure(vectors: Float32[np.ndarray, "n d"]) -> bool:
    """Whether there are several embeddings that differ, so that there is variance to explain."""
    return len(vectors) > 1 and bool((vectors != vectors[0]).any())


def measure_sae(sae: SparseAutoencoder, vectors: Float32[np.ndarray, "n d"]) -> dict[str, float]:
    """Return how well these embeddings are rebuilt from their codes, and how latents fire on them."""
    codes = sae.encode(vectors)
    pieces = (slice(start, start + PIECE) for start in range(0, len(vectors), PIECE))
    pairs = (
        (
            vectors[piece],
            sae.decode(SparseCodes(codes.latents[piece], codes.activations[piece], codes.n_latents)),
        )
        for piece in pieces
    )
    return dataclasses.asdict(reconstruction_metrics(pairs)) | dataclasses.asdict(activity_metrics(codes))
