"""An examination: any sound, embedded as the clips of a workspace were, and held against them.

Which latents are active on it and how unusual that is, which clips and speakers are nearest, where it would lie on the
map of the clips, and when each latent fires: windows slid over the sound are embedded again, all in one batch.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float32, Int, Int64

from sae_core.audio.reading import SILENCE_RMS
from sae_core.embedding.embedders import EMBEDDERS, Embedder, EmbedderChoice
from sae_core.embedding.embeddings import OWN_VECTORS
from sae_core.files.errors import ArtifactError, AudioError, MissingDependencyError, StaleArtifactError
from sae_core.measures.maps import PointMap
from sae_core.workspace.excerpts import Excerpt
from sae_core.workspace.workspace import SaeView

WINDOW_S = 1.6
"""As much as GE2E hears at once; windows much shorter tell little of a speaker."""
MIN_HOP_S = 0.1
MAX_WINDOWS = 200
MAX_TIMED_LATENTS = 24
N_PLACING = 8
"""Clips whose places on the map decide where a sound would lie."""
_NOT_QUITE_0 = 1e-4


class Examiner:
    """The embedder behind a workspace's embeddings; one may serve any number of threads, one sound at a time."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._lock = threading.Lock()
        self.name, self.revision = embedder.name, embedder.revision
        self.sample_rate_hz = embedder.sample_rate_hz

    def embed(self, waveforms: Sequence[Float32[np.ndarray, " t"]]) -> Float32[np.ndarray, "b d"]:
        """One unit vector a waveform, all in one batch; zeros where the embedder has nothing to say."""
        lengths = [len(waveform) for waveform in waveforms]
        padded = torch.zeros(len(waveforms), max(lengths))
        for row, waveform in enumerate(waveforms):
            padded[row, : len(waveform)] = torch.from_numpy(np.ascontiguousarray(waveform))
        with self._lock:
            vectors = self._embedder.embed(padded, torch.tensor(lengths)).numpy()
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        is_good = np.isfinite(norms) & (norms > 0)
        return np.where(is_good, vectors / np.where(is_good, norms, 1), 0).astype(np.float32)


def open_examiner(view: SaeView) -> Examiner:
    """Return the embedder that made the embeddings under an SAE, with the same weights; slow the first time.

    Raises ArtifactError when its weights cannot be had here, StaleArtifactError when they are others than then.
    """
    name, workspace = view.embeddings.embedder, view.workspace
    again = f"run: python -m sae_core embed --workspace {workspace.path} --embedder {name}"
    if view.embeddings.name != name:
        again += f" --name {view.embeddings.name}"
    if name == OWN_VECTORS:
        raise ArtifactError(
            "was embedded elsewhere, by an encoder that is not here, so new sounds cannot be embedded",
            where=workspace.path,
            remedy="choose a clip of the corpus, whose vector is known",
        )
    if name not in EMBEDDERS:
        raise ArtifactError(
            f"was embedded by {name!r}, which is no embedder of this VoxScope, so nothing new can be probed",
            where=workspace.path,
            remedy=f"choose a clip of the corpus; or embed again with one of: {', '.join(EMBEDDERS)}",
        )
    try:
        embedder = embedder_choice(view).open()
    except (ArtifactError, MissingDependencyError) as error:
        raise ArtifactError(
            f"was embedded by {name}, which cannot be opened on this machine: {error.what}",
            where=workspace.path,
            remedy=f"{again} --model PATH, naming the file of its weights; what is embedded already is kept",
        ) from error
    if embedder.revision != view.embeddings.revision:
        raise StaleArtifactError(
            f"was embedded by other weights of {name} than those on this machine, so a new sound cannot be compared",
            where=workspace.path,
            remedy=f"{again} --model NAME_OR_PATH",
        )
    return Examiner(embedder)


def embedder_choice(view: SaeView) -> EmbedderChoice:
    """How the embedder behind an SAE was opened; ArtifactError where workspace.json holds what cannot be."""
    settings, name = view.workspace.settings, view.embeddings.name
    said = (settings.get("opened_with") or {}).get(name)
    if said is None:
        # as earlier versions kept it: for the workspace's own embedder alone
        said = {"model": settings.get("embedder_model") if settings.get("embedder") == name else None}
    chosen = said if isinstance(said, dict) else {"model": said}
    model, layer, front_end = (chosen.get(name) for name in ("model", "layer", "front_end"))
    are_words = isinstance(model, str | None) and isinstance(front_end, str | None)
    if not are_words or not isinstance(layer, int | None):
        raise ArtifactError(
            f"says that {name} was opened with {said}, which cannot be",
            where=view.workspace.path / "workspace.json",
        )
    return EmbedderChoice(view.embeddings.embedder, model, layer=layer, front_end=front_end)


@dataclass(frozen=True)
class Examination:
    """A sound as an SAE takes it apart.

    vector: f32[d], its embedding, of norm 1. latents, activations: the active ones, strongest first. cosines: f32[n],
    with every clip; −1 for clips without an embedding. row: the clip it is, if it is one of the corpus.
    """

    vector: Float32[np.ndarray, " d"]
    latents: Int[np.ndarray, " a"]
    activations: Float32[np.ndarray, " a"]
    cosines: Float32[np.ndarray, " n"]
    row: int | None = None

    def other_clips(self, view: SaeView) -> Bool[np.ndarray, " n"]:
        """Embedded clips that are not the sound itself."""
        others = view.embeddings.is_valid.copy()
        if self.row is not None:
            others[self.row] = False
        return others


def examine(view: SaeView, vector: Float32[np.ndarray, " d"], *, row: int | None = None) -> Examination:
    """Return what an SAE makes of an embedding; `row` says that it is a clip of the corpus.

    A clip's codes are the stored ones. Raises AudioError when the vector is zeros: the embedder heard nothing.
    """
    if not vector.any():
        raise AudioError(
            f"holds nothing that {view.embeddings.embedder} could describe",
            remedy="bring a second or more of clear speech",
        )
    if row is None:
        latents, activations = view.model().encode(vector[None]).active(0)
    else:
        latents, activations = view.codes.active(row)
    cosines = np.clip(view.embeddings.vectors @ vector, -1, 1)
    cosines = np.where(view.embeddings.is_valid, cosines, -1).astype(np.float32)
    return Examination(vector, np.asarray(latents), np.asarray(activations), cosines, row)


def examine_excerpt(view: SaeView, examiner: Examiner, excerpt: Excerpt) -> Examination:
    """Embed a sound and return what an SAE makes of it; AudioError when the embedder hears nothing in it."""
    return examine(view, examiner.embed([excerpt.waveform])[0])


def how_unusual(view: SaeView, found: Examination) -> pd.DataFrame:
    """Each active latent and how unusual its activation is among the other clips of the corpus, strongest first.

    Columns: latent, activation; n_active: other clips on which it is active; share_weaker: the share of those on which
    it is weaker than here; firing_rate: n_active as a share of all other clips; share_as_strong: the share of all other
    clips on which it is as strong as here or stronger; is_above: whether it passes the latent's threshold.
    """
    n_others = max(1, int(found.other_clips(view).sum()))
    lines = []
    for latent, activation in zip(found.latents.tolist(), found.activations.tolist(), strict=True):
        rows, activations = view.index.postings(latent)
        others = np.asarray(activations[rows != (-1 if found.row is None else found.row)])
        n_weaker = int((others < np.float32(activation)).sum())
        lines.append(
            {
                "latent": latent,
                "activation": activation,
                "n_active": len(others),
                "share_weaker": n_weaker / len(others) if len(others) else 1.0,
                "firing_rate": len(others) / n_others,
                "share_as_strong": (len(others) - n_weaker) / n_others,
                "is_above": activation > view.threshold_of(latent),
            }
        )
    columns = [
        "latent",
        "activation",
        "n_active",
        "share_weaker",
        "firing_rate",
        "share_as_strong",
        "is_above",
    ]
    return pd.DataFrame(lines, columns=columns)


def nearest_clips(view: SaeView, found: Examination, *, n: int = 12) -> pd.DataFrame:
    """The n other clips with the most similar embeddings: row, cosine, nearest first; equal ones by row."""
    rows = _nearest_rows(found.cosines, found.other_clips(view), n)
    return pd.DataFrame({"row": rows, "cosine": found.cosines[rows]})


def _nearest_rows(
    cosines: Float32[np.ndarray, " n"], is_candidate: Bool[np.ndarray, " n"], n: int
) -> Int64[np.ndarray, " m"]:
    rows = np.flatnonzero(is_candidate)
    if len(rows) > n:
        bound = np.partition(cosines[rows], len(rows) - n)[len(rows) - n]
        rows = rows[cosines[rows] >= bound]
    return rows[np.argsort(-cosines[rows], kind="stable")][:n].astype(np.int64)


def nearest_speakers(view: SaeView, found: Examination, *, n: int = 6) -> pd.DataFrame:
    """The n known speakers whose clips are on average most similar, the sound itself left out.

    Columns: speaker_id, n_clips; cosine: the mean over these clips; row, row_cosine: the nearest of them.
    """
    table = view.workspace.corpus.table
    rows = np.flatnonzero(found.other_clips(view) & table["speaker_id"].notna().to_numpy())
    groups = view.workspace.corpus.speaker_groups[rows]
    counts = np.bincount(groups)
    sums = np.bincount(groups, weights=found.cosines[rows])
    means = np.divide(sums, counts, out=np.full(len(counts), -np.inf), where=counts > 0)
    best = [int(group) for group in np.argsort(-means, kind="stable")[:n] if counts[group]]
    nearest = [int(rows[groups == group][np.argmax(found.cosines[rows[groups == group]])]) for group in best]
    return pd.DataFrame(
        {
            "speaker_id": table["speaker_id"].iloc[nearest].astype(str).to_numpy(),
            "n_clips": counts[best],
            "cosine": means[best],
            "row": np.array(nearest, dtype=np.int64),
            "row_cosine": found.cosines[nearest],
        }
    )


@dataclass(frozen=True)
class MapPosition:
    """Where a sound lies, or would lie, on a map of the clips.

    x, y: the place. rows: the nearest other clips that have a place. spread: how far their places lie from it (root
    mean square, weighted alike); large means that they are scattered and the place says little. is_own: whether it is
    the clip's own place on the map; else it is the weighted mean of theirs.
    """

    x: float
    y: float
    rows: Int64[np.ndarray, " m"]
    spread: float
    is_own: bool


def place_on_map(
    view: SaeView, found: Examination, point_map: PointMap, *, n: int = N_PLACING
) -> MapPosition:
    """Where a sound lies on a map of the clips, which is not laid out again.

    A clip that is on the map keeps its place. Anything else lies at the mean of the places of the n nearest placed
    clips, weighted by 1 / (1 − cosine), so that a copy of a clip lies where that clip lies. ValueError when none is
    placed.
    """
    rows = _nearest_rows(found.cosines, found.other_clips(view) & point_map.is_placed, n)
    if not len(rows):
        raise ValueError("no other clip has a place on this map")
    places = np.asarray(point_map.xy[rows], dtype=np.float64)
    weights = 1 / np.maximum(1 - found.cosines[rows].astype(np.float64), _NOT_QUITE_0)
    weights /= weights.sum()
    is_own = found.row is not None and bool(point_map.is_placed[found.row])
    place = np.asarray(point_map.xy[found.row], dtype=np.float64) if is_own else weights @ places
    spread = float(np.sqrt(weights @ ((places - place) ** 2).sum(axis=1)))
    return MapPosition(float(place[0]), float(place[1]), rows, spread, is_own)


@dataclass(frozen=True)
class FiringTimes:
    """When each latent fires.

    starts_s, ends_s: f64[w], the windows, in the excerpt's time. latents: those shown, the ones active on the whole
    sound first. is_on_whole: whether each is. activations: f32[r, w]. is_silent: windows with nothing to embed.
    """

    starts_s: np.ndarray
    ends_s: np.ndarray
    latents: Int[np.ndarray, " r"]
    is_on_whole: Bool[np.ndarray, " r"]
    activations: Float32[np.ndarray, "r w"]
    is_silent: Bool[np.ndarray, " w"]


def plan_windows(n_samples: int, sample_rate_hz: int) -> tuple[Int64[np.ndarray, " w"], int]:
    """First samples of windows of `WINDOW_S` spread evenly over a sound, and their length; a short sound is one window.

    They begin at least `MIN_HOP_S` apart, and there are at most `MAX_WINDOWS`: on a long sound they lie farther apart.
    """
    length = min(n_samples, round(WINDOW_S * sample_rate_hz))
    room = n_samples - length
    n_windows = min(MAX_WINDOWS, 1 + int(room / (MIN_HOP_S * sample_rate_hz)))
    if n_windows == 1:
        # less than one step longer than a window: heard in its middle
        return np.array([room // 2], dtype=np.int64), length
    return np.linspace(0, room, n_windows).round().astype(np.int64), length


def time_latents(view: SaeView, examiner: Examiner, excerpt: Excerpt, found: Examination) -> FiringTimes:
    """Return when each latent is active on a sound: windows of it are embedded in one batch and taken apart.

    Shown are latents active on the whole sound, then those that only windows show, by their strongest window.
    """
    starts, length = plan_windows(len(excerpt.waveform), excerpt.sample_rate_hz)
    windows = [excerpt.waveform[start : start + length] for start in starts]
    is_silent = np.array([float(np.std(window)) < SILENCE_RMS for window in windows])
    vectors = np.zeros((len(windows), view.embeddings.dim), np.float32)
    heard = np.flatnonzero(~is_silent)
    if len(heard):
        vectors[heard] = examiner.embed([windows[place] for place in heard])
    dense = view.model().encode(vectors).dense()
    latents = _timed_latents(dense, found.latents)
    return FiringTimes(
        starts / excerpt.sample_rate_hz,
        (starts + length) / excerpt.sample_rate_hz,
        latents,
        np.isin(latents, found.latents),
        np.ascontiguousarray(dense[:, latents].T),
        is_silent | ~vectors.any(axis=1),
    )


def _timed_latents(
    dense: Float32[np.ndarray, "w L"], on_whole: Int[np.ndarray, " a"]
) -> Int64[np.ndarray, " r"]:
    """Active on the whole first, then those that some window fires, the strongest first; `MAX_TIMED_LATENTS` in all."""
    peaks = dense.max(axis=0)
    others = np.setdiff1d(np.flatnonzero(peaks > 0), on_whole)
    others = others[np.argsort(-peaks[others], kind="stable")]
    n_whole = max(MAX_TIMED_LATENTS * 2 // 3, MAX_TIMED_LATENTS - len(others))
    chosen = np.concatenate([on_whole[:n_whole], others])
    return chosen[:MAX_TIMED_LATENTS].astype(np.int64)
