"""The chain over a workspace folder, one idempotent step each: embed, train, index. A finished step is not redone."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sae_core.corpus.clips import Corpus
from sae_core.embedding.embedders import open_embedder
from sae_core.embedding.embeddings import Embeddings
from sae_core.embedding.extraction import Engine, extract
from sae_core.files.artifacts import ArtifactMeta
from sae_core.files.errors import ArtifactError, CorpusError, StaleArtifactError
from sae_core.files.progress import Progress, ignore
from sae_core.files.settings import update_settings
from sae_core.measures.attributes import SOURCE_ATTRIBUTE, UNSEEN_SPEAKERS, AttributeStatistics
from sae_core.measures.indexing import build_index
from sae_core.sae.model import SaeConfig
from sae_core.sae.training import TrainingConfig, suggest_config, train
from sae_core.workspace.workspace import Workspace


def embed_workspace(
    path: Path,
    embedder: str,
    *,
    model: str | None = None,
    device: str | None = None,
    engine: Engine | None = None,
    progress: Progress = ignore,
) -> Embeddings:
    """Embed every clip of a workspace with one embedder and make it the workspace's own; `engine` says who does it.

    Raises CorpusError when there is no corpus or no clip can be embedded, ArtifactError when the model cannot be had.
    """
    corpus = Corpus.load(path)
    opened = open_embedder(embedder, model=model, device=device)
    found = extract(corpus, opened, path / "embeddings" / opened.name, engine=engine, progress=progress)
    is_file = model is not None and Path(model).expanduser().is_file()
    known_as = str(Path(str(model)).expanduser().resolve()) if is_file else model
    update_settings(path, embedder=opened.name, embedder_model=known_as)
    return found


def embedder_of(workspace: Workspace, embedder: str | None) -> str:
    """The embedder to work with: the one named, else the workspace's own; CorpusError when nothing is embedded."""
    names = workspace.embedder_names()
    chosen = embedder or workspace.settings.get("embedder") or (names[0] if names else None)
    if chosen not in names:
        raise CorpusError(
            f"has no embeddings by {chosen}" if chosen else "has no embeddings yet",
            where=workspace.path,
            remedy=f"run: python -m sae_core embed --workspace {workspace.path}",
        )
    return str(chosen)


def choose_config(corpus: Corpus, embeddings: Embeddings, choices: Mapping[str, Any]) -> SaeConfig:
    """The SAE to train: `choices` (fields of `SaeConfig`, None where open) over what suits a corpus of this size.

    Raises ValueError when the choices contradict each other.
    """
    made = {name: value for name, value in choices.items() if value is not None}
    n_train = int(embeddings.is_valid[corpus.rows_in("train")].sum())
    fitting = suggest_config(n_train, embeddings.dim)
    usual = {"variant": fitting.variant, "n_latents": fitting.n_latents, "k": fitting.k}
    settings = usual | made
    if "k" not in made:
        settings["k"] = min(settings["k"], settings["n_latents"])
    return SaeConfig(dim=embeddings.dim, **settings)


def train_in_workspace(
    workspace: Workspace,
    config: SaeConfig,
    training: TrainingConfig,
    *,
    embedder: str | None = None,
    progress: Progress = ignore,
) -> Path:
    """Train one SAE on the workspace's embeddings and return its folder; a finished one with the same settings and
    parents is kept."""
    embeddings = workspace.embeddings(embedder_of(workspace, embedder))
    config = replace(config, dim=embeddings.dim)
    folder = workspace.path / "saes" / config.name
    train(embeddings, workspace.corpus, config, training, folder, progress=progress)
    return folder


def is_trained(folder: Path, corpus: Corpus, embeddings: Embeddings) -> bool:
    """Whether a finished SAE on exactly these embeddings and splits is in `folder`."""
    if not (folder / "meta.json").exists():
        return False
    remedy = "run train again"
    try:
        meta = ArtifactMeta.read(folder / "meta.json", kind="sae", remedy=remedy)
        current = {"embeddings": embeddings.fingerprint, "splits": corpus.split_fingerprint}
        meta.check_parents(current, where=folder, remedy=remedy)
    except StaleArtifactError:
        return False
    return True


def index_workspace(
    path: Path,
    *,
    names: list[str] | None = None,
    rebuild: bool = False,
    device: str | None = None,
    progress: Progress = ignore,
) -> list[str]:
    """Index the named SAEs, or all of them, choose the workspace's default SAE, and return the names."""
    workspace = Workspace(path)
    chosen = names or workspace.sae_names()
    if not chosen:
        raise CorpusError(
            "has no SAE yet", where=path, remedy=f"run: python -m sae_core train --workspace {path}"
        )
    for name in chosen:
        folder = path / "saes" / name
        meta = ArtifactMeta.read(folder / "meta.json", kind="sae", remedy="choose a trained SAE: see info")
        embeddings = workspace.embeddings(str(meta.settings.get("embedder", "")))
        build_index(workspace.corpus, embeddings, folder, device=device, rebuild=rebuild, progress=progress)
    best = best_sae(Workspace(path))
    if best is not None:
        update_settings(path, default_sae=best)
    return chosen


def best_sae(workspace: Workspace) -> str | None:
    """The indexed SAE to open first, None when there is none: highest held-out F1 of its predominant latents.

    The mean runs over values with evidence on unseen speakers (all values where there are none), sources left out.

    The latents themselves are chosen on the selection voices, so wide SAEs gain nothing by having more to choose from.
    Choosing among a few SAEs by held-out numbers makes those of the winner a little too good.
    """
    quality: dict[str, float] = {}
    for name in workspace.sae_names():
        try:
            statistics = workspace.sae(name).statistics
        except ArtifactError:
            continue
        quality[name] = _mean_f1(statistics)
    return max(quality, key=lambda name: quality[name]) if quality else None


def _mean_f1(statistics: AttributeStatistics) -> float:
    is_meaning = statistics.values["attribute"] != SOURCE_ATTRIBUTE
    on_new_voices = is_meaning & (statistics.values["evidence"] == UNSEEN_SPEAKERS)
    counted = np.flatnonzero(on_new_voices if on_new_voices.any() else is_meaning)
    if not len(counted):
        return 0.0
    chosen = np.argmax(statistics.measures["selection_f1"][:, counted], axis=0)
    return float(statistics.measures["f1"][chosen, counted].mean())
