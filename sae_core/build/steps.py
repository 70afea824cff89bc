"""The chain over a workspace folder, one idempotent step each: embed, train, index. A finished step is not redone."""

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from re import compile as compile_pattern
from typing import Any

import numpy as np

from sae_core.analysis.model_card import model_card
from sae_core.corpus.clips import Corpus
from sae_core.embedding.embedders import EmbedderChoice
from sae_core.embedding.embeddings import Embeddings, is_brought
from sae_core.embedding.extraction import Engine, extract
from sae_core.files.artifacts import ArtifactMeta, writing
from sae_core.files.errors import ArtifactError, CorpusError, StaleArtifactError
from sae_core.files.progress import Progress, ignore
from sae_core.files.settings import read_settings, update_settings
from sae_core.measures.attributes import SOURCE_ATTRIBUTE, UNSEEN_SPEAKERS, AttributeStatistics
from sae_core.measures.indexing import build_index
from sae_core.measures.naming import confirmed_values
from sae_core.sae.config import MATRYOSHKA_BATCHTOPK, chosen_variant
from sae_core.sae.model import SaeConfig
from sae_core.sae.training import TrainingConfig, suggest_config, train
from sae_core.workspace.trust import seed_family
from sae_core.workspace.workspace import SaeView, Workspace

CARD = "card.md"
_NAME = compile_pattern(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


def embed_workspace(
    path: Path,
    choice: EmbedderChoice,
    *,
    name: str | None = None,
    is_own: bool = True,
    engine: Engine | None = None,
    progress: Progress = ignore,
) -> Embeddings:
    """Embed every clip of a workspace and make the embeddings its own; `engine` says who does it.

    name: what they are called, by default as the embedder; others that are there stay. is_own: False leaves the
    workspace its own. Raises CorpusError when there is
    no corpus or no clip can be embedded, ArtifactError when the model cannot be had, ValueError for a name that cannot
    be one.
    """
    corpus = Corpus.load(path)
    corpus.check_sound(path)
    folder = embeddings_folder(path, name or choice.embedder)
    if is_brought(folder):
        raise ArtifactError(
            "holds vectors that were brought from a file, which embedding would replace",
            where=folder,
            remedy="choose another --name",
        )
    found = extract(corpus, choice.open(), folder, engine=engine, progress=progress)
    opened_with = {**(read_settings(path).get("opened_with") or {}), found.name: choice.opened_with}
    own = {"embedder": found.name} if is_own else {}
    update_settings(path, opened_with=opened_with, **own)
    return found


def embeddings_folder(path: Path, name: str) -> Path:
    """Where embeddings of this name lie in a workspace; ValueError for a name that cannot be a folder's."""
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} cannot be a name of embeddings: use at most 40 letters, digits, dots and dashes"
        )
    return path / "embeddings" / name


def sae_folder(path: Path, embeddings: str, config: SaeConfig) -> Path:
    """Where an SAE of these settings on the embeddings of this name lies: `saes/<embeddings>-<settings>`.

    One that an earlier version trained on them under its settings alone stays where it is.
    """
    earlier = path / "saes" / config.name
    if (earlier / "meta.json").exists():
        meta = ArtifactMeta.read(earlier / "meta.json", kind="sae", remedy="run train again")
        if meta.settings.get("embedder") == embeddings:
            return earlier
    return path / "saes" / f"{embeddings}-{config.name}"


def embedder_of(workspace: Workspace, embedder: str | None) -> str:
    """The embeddings to work with, by name: those named, else the workspace's own; CorpusError when there are none."""
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
    """The SAE to train: `choices` (fields of `SaeConfig`, None where open) over what suits a corpus of this size; its
    variant is one of `TRAINED_VARIANTS`.

    Raises ValueError when the choices contradict each other.
    """
    made = {name: value for name, value in choices.items() if value is not None}
    n_train = int(embeddings.is_valid[corpus.rows_in("train")].sum())
    fitting = suggest_config(n_train, embeddings.dim)
    usual = {"variant": fitting.variant, "n_latents": fitting.n_latents, "k": fitting.k}
    settings = usual | made
    if "prefixes" not in made:
        settings["variant"], settings["prefixes"] = chosen_variant(settings["variant"], settings["n_latents"])
    elif settings["variant"] == MATRYOSHKA_BATCHTOPK:
        settings["variant"] = "batchtopk"
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
    folder = sae_folder(workspace.path, embeddings.name, config)
    if _is_imported(folder):
        raise ArtifactError(
            "an imported SAE has the name of the one to train",
            where=folder,
            remedy="rename that folder, or import it again under another --name",
        )
    train(embeddings, workspace.corpus, config, training, folder, progress=progress)
    return folder


def _is_imported(folder: Path) -> bool:
    try:
        meta = ArtifactMeta.read(folder / "meta.json", kind="sae", remedy="run train again")
    except ArtifactError:
        return False
    return "imported" in meta.settings


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
    workspace, views = Workspace(path), []
    for name in chosen:
        with contextlib.suppress(ArtifactError):  # of an SAE that cannot be opened, info says why
            views.append(workspace.sae(name))
    for view in views:
        write_card(view)
    best = best_sae(workspace)
    if best is not None:
        update_settings(path, default_sae=best)
    return chosen


def write_card(view: SaeView) -> None:
    """Write the SAE's model card beside it, as `card.md`; one that says the same is left as it is."""
    file, text = view.folder / CARD, model_card(view)
    if not file.is_file() or file.read_bytes() != text.encode():
        with writing(file) as temporary:
            temporary.write_text(text, encoding="utf-8")


def best_sae(workspace: Workspace, *, embeddings: str | None = None) -> str | None:
    """The indexed SAE to open first, of all or of those on some embeddings; None when there is none.

    It has the most values confirmed on held-out speakers, of each attribute at most one less than it has values: the
    last one follows from the others. Of several, it is the one with the highest mean held-out F1 of the predominant
    latents, over values with evidence on unseen speakers (all values where there are none). Sources are left out.

    Latents are chosen on the selection speakers, so wide SAEs gain nothing by having more of them to choose from.
    Choosing among a few SAEs by held-out numbers makes those of the winner a little too good; of SAEs that differ in
    the seed alone only that of the lowest seed can win, because the best of several seeds is luck.
    """
    quality: dict[str, tuple[int, float]] = {}
    for name in workspace.sae_names():
        try:
            view = workspace.sae(name)
        except ArtifactError:
            continue
        others = (workspace.sae(other).config["seed"] for other in seed_family(workspace, name))
        if embeddings in (None, view.embeddings.name) and view.config["seed"] <= min(others, default=2**63):
            quality[name] = _quality(view.statistics)
    return max(quality, key=lambda name: quality[name]) if quality else None


def _quality(statistics: AttributeStatistics) -> tuple[int, float]:
    """How many values are confirmed, and the mean F1 of their predominant latents."""
    is_meaning = (statistics.values["attribute"] != SOURCE_ATTRIBUTE).to_numpy()
    on_unseen = is_meaning & (statistics.values["evidence"] == UNSEEN_SPEAKERS).to_numpy()
    counted = np.flatnonzero(on_unseen if on_unseen.any() else is_meaning)
    if not len(counted):
        return 0, 0.0
    chosen = np.argmax(statistics.measures["selection_f1"][:, counted], axis=0)
    attributes = statistics.values["attribute"]
    n_values = attributes[is_meaning].value_counts()
    n_confirmed = attributes[confirmed_values(statistics) & is_meaning].value_counts()
    n_facts = sum(min(n, max(1, int(n_values[name]) - 1)) for name, n in n_confirmed.items())
    return int(n_facts), float(statistics.measures["f1"][chosen, counted].mean())
