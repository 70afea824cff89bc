"""First labels for clips that have none: guessed by latents that were named on the demo and travel to other corpora.

How well they travel is measured by `python -m benchmarks.transfer`.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from sae_core.build.steps import embed_workspace
from sae_core.build.sweep import best_of_each, tabulate_saes
from sae_core.embedding.embedders import EmbedderChoice
from sae_core.embedding.embeddings import Embeddings
from sae_core.files.artifacts import ArtifactMeta
from sae_core.files.errors import ArtifactError
from sae_core.files.product import asset
from sae_core.files.progress import Progress, ignore
from sae_core.measures.attributes import SOURCE_ATTRIBUTE
from sae_core.workspace.guesses import Guesses, NamedLatent, read_named
from sae_core.workspace.workspace import Workspace

NAMED_SAES = asset("demo")
"""The folder with the named SAEs that come along."""
_LEFT_OUT = (SOURCE_ATTRIBUTE, "channel")
"""Attributes of the demo's recordings that mean nothing elsewhere."""


def named_latents(workspace: Workspace) -> list[NamedLatent]:
    """For each confirmed value a latent with its numbers on held-out speakers.

    On each encoder the best latent on the selection clips, of all SAEs, is taken where it is confirmed; of several
    encoders, the one whose latent was best on the selection clips.
    """
    table = tabulate_saes(workspace)
    best = pd.concat([best_of_each(part) for _, part in table.groupby("embedder")])
    best = best[best["is_confirmed"].astype(bool) & ~best["attribute"].isin(_LEFT_OUT)]
    found = []
    for _, line in (best_of_each(best) if len(best) else best).iterrows():
        embeddings = workspace.embeddings(str(line["embedder"]))
        low, high = (None if pd.isna(line[name]) else float(line[name]) for name in ("f1_low", "f1_high"))
        found.append(
            NamedLatent(
                attribute=str(line["attribute"]),
                value=str(line["value"]),
                embedder=embeddings.embedder,
                revision=embeddings.revision,
                sae=str(line["sae"]),
                latent=int(line["latent"]),
                threshold=float(line["threshold"]),
                precision=float(line["precision"]),
                recall=float(line["recall"]),
                f1=float(line["f1"]),
                f1_low=low,
                f1_high=high,
                base_rate=float(line["n_reported_positive"]) / max(1, int(line["n_reported"])),
                n_speakers=int(line["n_reported_speakers"]),
            )
        )
    return found


def guess_workspace(
    path: Path, *, named: Path = NAMED_SAES, device: str | None = None, progress: Progress = ignore
) -> Guesses:
    """Guess attribute values of the clips of a workspace, keep the guesses beside its labels, and return them.

    Clips are embedded by the encoders of the named latents where they are not yet, under the encoders' names; the
    workspace's own embeddings and SAEs stay as they are. named: the folder with the named SAEs. Raises ArtifactError
    when they cannot be read, CorpusError when there is no sound or no clip can be embedded.
    """
    Workspace(path).corpus.check_sound(path)
    latents = read_named(named)
    if not latents:
        raise ArtifactError(
            "names no latent", where=named, remedy="build it again: python -m sae_core demo build"
        )
    parts, parents = [], {}
    for embedder in dict.fromkeys(latent.embedder for latent in latents):
        asked = [latent for latent in latents if latent.embedder == embedder]
        embeddings = _embeddings_by(path, asked[0], device=device, progress=progress)
        parents[f"embeddings/{embeddings.name}"] = embeddings.fingerprint
        parts += list(_activations(named, asked, embeddings))
    corpus = Workspace(path).corpus
    parents["audio"] = corpus.audio_fingerprint
    table = _most_likely(parts, corpus.table["clip_id"].astype(str).to_numpy())
    guesses = Guesses(table, latents, len(corpus))
    guesses.save(path, parents=parents)
    return guesses


def _embeddings_by(path: Path, latent: NamedLatent, *, device: str | None, progress: Progress) -> Embeddings:
    """The workspace's embeddings by the encoder that a named latent reads, made now where there are none."""
    workspace = Workspace(path)
    for name in workspace.embedder_names():
        try:
            found = workspace.embeddings(name)
        except ArtifactError:
            continue
        if (found.embedder, found.revision) == (latent.embedder, latent.revision):
            return found
    is_taken = latent.embedder in workspace.embedder_names()
    name = f"{latent.embedder}-{latent.revision[:6]}" if is_taken else latent.embedder
    choice = EmbedderChoice(latent.embedder, device=device)
    made = embed_workspace(path, choice, name=name, is_own=False, progress=progress)
    if made.revision != latent.revision:
        raise ArtifactError(
            f"names latents of other weights of {latent.embedder} than those of this VoxScope",
            where=NAMED_SAES,
            remedy="check out the whole repository, or run: python -m sae_core demo build",
        )
    return made


def _activations(named: Path, latents: list[NamedLatent], embeddings: Embeddings) -> Iterable[pd.DataFrame]:
    """For each named latent the clips above its threshold: row, attribute, value, activation, threshold."""
    from sae_core.sae.model import SparseAutoencoder

    for sae in dict.fromkeys(latent.sae for latent in latents):
        folder = named / "saes" / sae
        ArtifactMeta.read(
            folder / "meta.json", kind="sae", remedy="check out the repository again"
        ).check_files(folder, remedy="check out the repository again")
        codes = SparseAutoencoder.load(folder).encode(np.asarray(embeddings.vectors))
        for latent in (one for one in latents if one.sae == sae):
            rows, slots = np.nonzero(
                (codes.latents == latent.latent) & (codes.activations > latent.threshold)
            )
            yield pd.DataFrame(
                {
                    "row": rows.astype(np.int64),
                    "attribute": latent.attribute,
                    "value": latent.value,
                    "activation": codes.activations[rows, slots].astype(np.float64),
                    "threshold": latent.threshold,
                    "precision": latent.precision,
                }
            )


def _most_likely(parts: list[pd.DataFrame], clip_ids: np.ndarray) -> pd.DataFrame:
    """One value a clip and attribute: of several above their thresholds, the one whose latent is more often right."""
    table = pd.concat(parts, ignore_index=True)
    ranked = table.sort_values(
        ["row", "attribute", "precision"], ascending=[True, True, False], kind="stable"
    )
    kept = ranked.drop_duplicates(["row", "attribute"]).drop(columns="precision").reset_index(drop=True)
    return kept.assign(clip_id=clip_ids[kept["row"].to_numpy(dtype=np.int64)])
