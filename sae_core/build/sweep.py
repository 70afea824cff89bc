"""A grid of SAEs side by side: variant × L × k × seed, and how well each one's predominant latents tell each value.

Training several SAEs at once means several processes, each with its share of the cores. Sharing batches among them
would save little: the clips lie in memory, and taking a batch from them is 1 to 9 % of a step on one core.
"""

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from sae_core.build.stability import store_stability
from sae_core.build.steps import embedder_of, index_workspace, is_trained, sae_folder, train_in_workspace
from sae_core.files.errors import ArtifactError, VoxScopeError
from sae_core.files.processes import end_with_parent
from sae_core.files.progress import Progress, ignore
from sae_core.measures.attributes import AttributeTarget, attribute_targets
from sae_core.measures.indexing import build_index
from sae_core.measures.intervals import auroc_bounds
from sae_core.measures.linear_probe import PROBE_MEASURES, probe_attributes, read_probes
from sae_core.measures.naming import best_latents, confirmed_values
from sae_core.sae.config import chosen_variant, variant_name
from sae_core.sae.model import SaeConfig, default_prefixes
from sae_core.sae.training import TrainingConfig
from sae_core.workspace.workspace import SaeView, Workspace

SWEEP_MEASURES = PROBE_MEASURES
SAE_COLUMNS = ("sae", "embedder", "variant", "prefixes", "n_latents", "k", "seed")
QUALITY_COLUMNS = ("explained_variance", "l0", "dead_fraction")
PLACE_COLUMNS = ["variant", "prefixes", "n_latents", "k"]
_TOLD_COLUMNS = ("latent", "attribute", "value", "evidence", "selection_f1", "is_confirmed")


@dataclass(frozen=True)
class SweepGrid:
    """Which SAEs to train: every combination where k is at most L."""

    variants: Sequence[str] = ("topk", "matryoshka")
    n_latents: Sequence[int] = (64, 256, 1024, 2048)
    ks: Sequence[int] = (4, 8, 16, 32)
    seeds: Sequence[int] = (0,)

    def __post_init__(self) -> None:
        for variant in self.variants:
            chosen_variant(variant, 1)
        if not self.configs(1):
            raise ValueError("the grid holds no SAE: give at least one variant, L, k ≤ L and seed")

    def configs(self, dim: int) -> list[SaeConfig]:
        """The SAEs, small ones first, each once."""
        grid = product(self.n_latents, self.ks, self.variants, self.seeds)
        return [
            SaeConfig(dim, n_latents, k, *chosen_variant(variant, n_latents), seed=seed)
            for n_latents, k, variant, seed in dict.fromkeys(grid)
            if k <= n_latents
        ]


@dataclass(frozen=True)
class SweepReport:
    """What a sweep left behind.

    table: as `tabulate_saes` returns it, for the SAEs of the grid. failures: sae, reason.
    """

    table: pd.DataFrame
    failures: pd.DataFrame


def run_sweep(
    path: Path,
    grid: SweepGrid,
    training: TrainingConfig,
    *,
    embedder: str | None = None,
    n_at_once: int = 1,
    progress: Progress = ignore,
) -> SweepReport:
    """Train and index every SAE of the grid that is not there yet, `n_at_once` at a time, measure how latents come back
    in other seeds, and probe the embedding.

    Each SAE is finished and kept by itself, so a killed sweep goes on where it was, and one that fails is listed while
    the others go on. Raises ArtifactError when not one SAE of the grid could be had.
    """
    if n_at_once < 1:
        raise ValueError(f"n_at_once must be at least 1, not {n_at_once}")
    workspace = Workspace(path)
    embedder = embedder_of(workspace, embedder)
    embeddings = workspace.embeddings(embedder)
    configs = grid.configs(embeddings.dim)
    missing = [
        config
        for config in configs
        if not is_trained(sae_folder(path, embedder, config), workspace.corpus, embeddings)
    ]
    tasks = [_Task(path, config, training, embedder) for config in missing]
    n_at_once = min(n_at_once, max(1, len(tasks)))
    reasons = (
        _train_side_by_side(tasks, n_at_once, progress) if n_at_once > 1 else _train_in_turn(tasks, progress)
    )
    names = [sae_folder(path, embedder, config).name for config in configs]
    names = [name for name in names if name not in reasons]
    if not names:
        reason, _, remedy = next(iter(reasons.values())).partition(" → ")
        raise ArtifactError(
            f"no SAE of the grid could be trained; the first: {reason}",
            where=path / "saes",
            remedy=remedy or f"look at what it holds: python -m sae_core info {path}",
        )
    index_workspace(path, names=names, device=training.device, progress=progress)
    store_stability(path, names, progress=progress)
    probe_attributes(workspace.corpus, embeddings, path / "embeddings" / embedder, progress=progress)
    table = tabulate_saes(Workspace(path))
    table = table[table["sae"].isin(names)].reset_index(drop=True)
    return SweepReport(table, pd.DataFrame(list(reasons.items()), columns=["sae", "reason"]))


@dataclass(frozen=True)
class _Task:
    """One SAE to train and index."""

    path: Path
    config: SaeConfig
    training: TrainingConfig
    embedder: str

    @property
    def name(self) -> str:
        """Of the SAE."""
        return sae_folder(self.path, self.embedder, self.config).name

    def run(self, progress: Progress = ignore) -> str | None:
        """Train and index it; return why that was not possible, if it was not."""
        try:
            workspace = Workspace(self.path)
            folder = train_in_workspace(
                workspace, self.config, self.training, embedder=self.embedder, progress=progress
            )
            embeddings = workspace.embeddings(self.embedder)
            build_index(workspace.corpus, embeddings, folder, device=self.training.device)
        except VoxScopeError as error:
            return str(error)
        return None


def _train_in_turn(tasks: list[_Task], progress: Progress) -> dict[str, str]:
    """Why each SAE that could not be trained could not."""
    reasons = {}
    for number, task in enumerate(tasks):
        note = f"{task.name} ({number + 1} of {len(tasks)})"
        reason = task.run(_noted(progress, note))
        if reason is not None:
            reasons[task.name] = reason
    return reasons


def _train_side_by_side(tasks: list[_Task], n_at_once: int, progress: Progress) -> dict[str, str]:
    """The same in `n_at_once` processes, which share the cores among them."""
    reasons = {}
    n_threads = max(1, (os.cpu_count() or 1) // n_at_once)
    pool = ProcessPoolExecutor(
        n_at_once, multiprocessing.get_context("spawn"), initializer=_join_pool, initargs=(n_threads,)
    )
    with pool:
        # the largest first: none of them is then left over to run alone at the end
        running: dict[Future[str | None], str] = {
            pool.submit(task.run): task.name for task in reversed(tasks)
        }
        progress(0, len(tasks), f"{n_at_once} SAEs at once")
        for n_done, future in enumerate(as_completed(running), start=1):
            reason = _outcome(future)
            if reason is not None:
                reasons[running[future]] = reason
            progress(n_done, len(tasks), running[future])
    return reasons


def _outcome(future: Future[str | None]) -> str | None:
    try:
        return future.result()
    except BrokenProcessPool:
        return "its process was ended from outside, perhaps for want of memory; run sweep again with fewer at once"


def _join_pool(n_threads: int) -> None:
    """Take a share of the cores, and end with the process that asked for the work."""
    import torch

    torch.set_num_threads(n_threads)
    end_with_parent()


def _noted(progress: Progress, prefix: str) -> Progress:
    def report(n_done: int, n_total: int, note: str = "") -> None:
        progress(n_done, n_total, f"{prefix}: {note}" if note else prefix)

    return report


def tabulate_saes(
    workspace: Workspace, *, attribute: str | None = None, value: str | None = None
) -> pd.DataFrame:
    """One row for each indexed SAE and measured value, or only for one value: what the predominant latent detects.

    Columns: `SAE_COLUMNS`, `QUALITY_COLUMNS` (on held-out clips; prefixes is "" for the usual ones), latent, attribute,
    value, evidence, the counts of `AttributeStatistics.values`, its `MEASURES`, and 95 % bounds of `SWEEP_MEASURES`
    with speakers resampled; is_confirmed, whether the value is confirmed on held-out speakers. SAEs that are
    stale or not indexed are left out.
    """
    lines: list[dict[str, object]] = []
    targets: dict[str, list[AttributeTarget]] = {}
    for name in workspace.sae_names():
        try:
            view = workspace.sae(name)
        except ArtifactError:
            continue
        embedder = view.embeddings.name
        if embedder not in targets:
            found = attribute_targets(workspace.corpus, view.embeddings.is_valid)
            targets[embedder] = [
                target
                for target in found
                if attribute in (None, target.attribute) and value in (None, target.value)
            ]
        lines += _lines_of(view, targets[embedder])
    if lines:
        return pd.DataFrame(lines)
    measures = (f"{name}{end}" for name in SWEEP_MEASURES for end in ("", "_low", "_high"))
    return pd.DataFrame(columns=[*SAE_COLUMNS, *QUALITY_COLUMNS, *_TOLD_COLUMNS, *measures])


def _lines_of(view: SaeView, targets: list[AttributeTarget]) -> list[dict[str, object]]:
    held_out = view.metrics.get("held-out") or view.metrics.get("train") or {}
    prefixes = tuple(view.config.get("prefixes") or ())
    is_usual = not prefixes or prefixes == default_prefixes(view.n_latents)
    about: dict[str, object] = {"sae": view.name, "embedder": view.embeddings.name}
    about |= {name: view.config[name] for name in ("n_latents", "k", "seed")}
    about |= {"variant": variant_name(str(view.config["variant"]), prefixes)}
    about |= {"prefixes": "" if is_usual else "·".join(map(str, prefixes))}
    about |= {name: held_out.get(name) for name in QUALITY_COLUMNS}
    statistics = view.statistics
    best, confirmed = best_latents(statistics), confirmed_values(statistics)
    lines = []
    for target in targets:
        row = statistics.value_row(target.attribute, target.value)
        latent = int(best[row])
        low, high = _auroc_bounds(view, latent, target)
        judged = {"auroc_low": low, "auroc_high": high, "is_confirmed": bool(confirmed[row])}
        lines.append({**about, "latent": latent, **statistics.of(latent, row), **judged})
    return lines


def _auroc_bounds(view: SaeView, latent: int, target: AttributeTarget) -> tuple[float | None, float | None]:
    """Bounds of one latent's AUROC, on the clips that its value is reported on."""
    rows, activations = view.index.postings(latent)
    scores = np.zeros(len(target.is_reported), dtype=np.float32)
    scores[rows] = activations
    reported = target.is_reported
    groups = view.workspace.corpus.speaker_groups[reported]
    edges = auroc_bounds(scores[reported], target.is_positive[reported], groups)
    return (None, None) if edges is None else edges


def combine_seeds(table: pd.DataFrame, measure: str) -> pd.DataFrame:
    """One row for each place of the grid, the seeds of one place together, from the rows of one attribute value.

    Columns: variant, prefixes, n_latents, k, n_seeds; value, low and high (means over the seeds of the measure and of
    its 95 % bounds over speakers), seed_low and seed_high (the lowest and highest seed); the means of
    `QUALITY_COLUMNS`; sae and latent of the seed that was best on the selection clips.
    """
    _check_measure(measure)
    lines = []
    for place, seeds in table.groupby(PLACE_COLUMNS, sort=True):
        best = seeds.sort_values("selection_f1", ascending=False, kind="stable").iloc[0]
        line = dict(zip(PLACE_COLUMNS, place, strict=True)) | {"n_seeds": len(seeds)}
        columns = {"value": measure, "low": f"{measure}_low", "high": f"{measure}_high"}
        line |= {name: seeds[column].astype(float).mean() for name, column in columns.items()}
        line |= {"seed_low": seeds[measure].min(), "seed_high": seeds[measure].max()}
        line |= {name: seeds[name].astype(float).mean() for name in QUALITY_COLUMNS}
        lines.append({**line, "sae": best["sae"], "latent": int(best["latent"])})
    names = ["n_seeds", "value", "low", "high", "seed_low", "seed_high", *QUALITY_COLUMNS, "sae", "latent"]
    return pd.DataFrame(lines, columns=[*PLACE_COLUMNS, *names])


def best_of_each(table: pd.DataFrame) -> pd.DataFrame:
    """For each attribute value the SAE whose predominant latent was best on the selection clips, with its numbers.

    Chosen by selection F1, so that the numbers it is reported with are no part of the choice.
    """
    ranked = table.sort_values("selection_f1", ascending=False, kind="stable")
    best = ranked.drop_duplicates(["attribute", "value"])
    order = table.drop_duplicates(["attribute", "value"])[["attribute", "value"]]
    return order.merge(best, on=["attribute", "value"])


def probe_ceiling(workspace: Workspace, embedder: str, attribute: str, value: str) -> pd.Series | None:
    """How well a linear probe on the raw embedding detects one value, with bounds; None where no probe is kept."""
    folder = workspace.path / "embeddings" / embedder
    probes = read_probes(workspace.corpus, workspace.embeddings(embedder), folder)
    if probes is None:
        return None
    found = probes[(probes["attribute"] == attribute) & (probes["value"] == value)]
    return None if found.empty else found.iloc[0]


def _check_measure(measure: str) -> None:
    if measure not in SWEEP_MEASURES:
        raise ValueError(f"measure must be one of {', '.join(SWEEP_MEASURES)}, not {measure!r}")
