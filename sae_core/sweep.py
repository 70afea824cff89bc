"""A grid of SAEs side by side: variant × L × k × seed, and how well each one's predominant latents tell each value."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import get_args

import pandas as pd

from sae_core.attributes import MEASURES
from sae_core.errors import ArtifactError
from sae_core.probing import probe_attributes
from sae_core.progress import Progress, ignore
from sae_core.sae import SaeConfig, Variant
from sae_core.stages import embedder_of, index_workspace, is_trained, train_in_workspace
from sae_core.training import TrainingConfig
from sae_core.workspace import SaeView, Workspace

SAE_COLUMNS = ("sae", "variant", "n_latents", "k", "seed", "explained_variance", "l0", "dead_share")


@dataclass(frozen=True)
class SweepGrid:
    """Which SAEs to train: every combination where k is at most L."""

    variants: Sequence[Variant] = ("topk", "matryoshka")
    n_latents: Sequence[int] = (64, 256, 1024, 2048)
    ks: Sequence[int] = (4, 8, 16, 32)
    seeds: Sequence[int] = (0,)

    def __post_init__(self) -> None:
        unknown = set(self.variants) - set(get_args(Variant))
        if unknown:
            raise ValueError(
                f"variant must be one of {', '.join(get_args(Variant))}, not {sorted(unknown)[0]!r}"
            )
        if not self.configs(1):
            raise ValueError("the grid holds no SAE: give at least one variant, L, k ≤ L and seed")

    def configs(self, dim: int) -> list[SaeConfig]:
        """The SAEs, small ones first."""
        grid = product(self.n_latents, self.ks, self.variants, self.seeds)
        return [
            SaeConfig(dim=dim, n_latents=n_latents, k=k, variant=variant, seed=seed)
            for n_latents, k, variant, seed in grid
            if k <= n_latents
        ]


def run_sweep(
    path: Path,
    grid: SweepGrid,
    training: TrainingConfig,
    *,
    embedder: str | None = None,
    progress: Progress = ignore,
) -> pd.DataFrame:
    """Train and index every SAE of the grid that is not there yet, probe the embedding, and return the table.

    Each SAE is finished before the next begins, so a killed sweep goes on where it was.
    """
    workspace = Workspace(path)
    embedder = embedder_of(workspace, embedder)
    embeddings = workspace.embeddings(embedder)
    configs = grid.configs(embeddings.dim)
    for number, config in enumerate(configs):
        if not is_trained(path / "saes" / config.name, workspace.corpus, embeddings):
            note = f"{config.name} ({number + 1} of {len(configs)})"
            train_in_workspace(
                workspace, replace(config), training, embedder=embedder, progress=_noted(progress, note)
            )
    index_workspace(path, progress=progress)
    probe_attributes(workspace.corpus, embeddings, path / "embeddings" / embedder, progress=progress)
    return tabulate_saes(Workspace(path))


def _noted(progress: Progress, prefix: str) -> Progress:
    def report(n_done: int, n_total: int, note: str = "") -> None:
        progress(n_done, n_total, f"{prefix}: {note}" if note else prefix)

    return report


def tabulate_saes(workspace: Workspace) -> pd.DataFrame:
    """One row for each indexed SAE and measured value: `SAE_COLUMNS` (explained variance, L0 and dead share on held-out
    clips), attribute, value, evidence, the predominant latent, its `MEASURES` and 95 % bounds."""
    lines: list[dict[str, object]] = []
    for name in workspace.sae_names():
        try:
            view = workspace.sae(name)
        except ArtifactError:
            continue
        lines += _lines_of(view)
    return pd.DataFrame(lines)


def _lines_of(view: SaeView) -> list[dict[str, object]]:
    held_out = view.metrics.get("held-out") or view.metrics.get("train") or {}
    about: dict[str, object] = {"sae": view.name}
    about |= {name: view.config[name] for name in ("variant", "n_latents", "k", "seed")}
    about |= {name: held_out.get(name) for name in ("explained_variance", "l0", "dead_share")}
    lines = []
    for _, value in view.statistics.values.iterrows():
        attribute, name = str(value["attribute"]), str(value["value"])
        latent = view.statistics.predominant(attribute, name)
        facts = view.statistics.of(latent, view.statistics.value_row(attribute, name))
        lines.append({**about, "latent": latent, **facts})
    return lines


def best_of(table: pd.DataFrame, attribute: str, value: str, measure: str = "f1") -> pd.Series:
    """The SAE whose predominant latent was best on the selection voices, with its reported numbers."""
    if measure not in MEASURES:
        raise ValueError(f"measure must be one of {', '.join(MEASURES)}, not {measure!r}")
    chosen = table[(table["attribute"] == attribute) & (table["value"] == value)]
    if chosen.empty:
        raise ValueError(f"{attribute} = {value} was not measured")
    return chosen.sort_values(["selection_f1", measure], ascending=False, kind="stable").iloc[0]
