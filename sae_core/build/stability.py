"""The stability of latents over seeds, kept beside each SAE."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sae_core.analysis.universality import match_saes
from sae_core.files.errors import ArtifactError
from sae_core.files.progress import Progress, ignore
from sae_core.measures.stability import SeedMatch, match_directions, stability_table
from sae_core.workspace.trust import Stability, seed_family, stability_parents
from sae_core.workspace.workspace import SaeView, Workspace


def store_stability(
    path: Path, names: Sequence[str] | None = None, *, progress: Progress = ignore
) -> list[str]:
    """Measure how the latents of each SAE come back in those that differ only in the seed; return the names of the SAEs
    that have such peers.

    names: of the SAEs, by default all that are indexed. Finished work on the same SAEs is kept. SAEs that are stale or
    not indexed are left out.
    """
    workspace = Workspace(path)
    chosen, done = workspace.sae_names() if names is None else list(names), []
    for number, name in enumerate(chosen):
        try:
            view = workspace.sae(name)
        except ArtifactError:
            continue
        peers = seed_family(workspace, name)
        if not peers:
            continue
        progress(number, len(chosen), f"stability of {name}")
        parents = stability_parents(workspace, name, peers)
        if Stability.load(view.folder, parents, n_latents=view.n_latents) is None:
            matches = [_match(view, workspace.sae(peer)) for peer in peers]
            pw_mcc = float(np.mean([match.mcc for match in matches]))
            Stability(stability_table(matches), pw_mcc, tuple(peers)).save(view.folder, parents)
        done.append(name)
    return done


def _match(view: SaeView, peer: SaeView) -> SeedMatch:
    cosine, mcc = match_directions(view.directions(), peer.directions())
    correlation = match_saes(view, peer).one["correlation"].to_numpy(dtype=np.float32)
    return SeedMatch(cosine, correlation, mcc)
