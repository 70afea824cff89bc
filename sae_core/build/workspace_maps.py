"""The atlas: which maps a workspace has, how they are made once, and how a stored one is opened."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from sae_core.build.steps import best_sae, embedder_of
from sae_core.embedding.embeddings import Embeddings
from sae_core.files.artifacts import ArtifactMeta
from sae_core.files.errors import ArtifactError
from sae_core.files.progress import Progress, ignore
from sae_core.measures.maps import MapSettings, PointMap, lay_out, read_map_meta, settings_of
from sae_core.sae.codes import SparseCodes
from sae_core.workspace.workspace import SaeView, Workspace

MapKind = Literal["clips", "codes", "directions"]
MAP_KINDS: tuple[MapKind, ...] = get_args(MapKind)
EVERY_SAE = "all"


@dataclass(frozen=True)
class MapPlace:
    """Where one map is stored, the fingerprints of what it is made from, and the command that makes it."""

    folder: Path
    kind: MapKind
    parents: dict[str, str]
    remedy: str

    @property
    def name(self) -> str:
        """For people, like saes/topk-64-k8/codes."""
        return f"{self.folder.parent.name}/{self.folder.name}/{self.kind}"


@dataclass(frozen=True)
class MapReport:
    """What `map_workspace` did: names of maps that were made, of those kept from before, and of those that could not be
    made, each with the reason."""

    made: list[str]
    kept: list[str]
    failures: list[tuple[str, str]]


def open_map(view: SaeView, kind: MapKind) -> PointMap:
    """Return a stored map: of the clips by embedding ("clips") or by an SAE's codes ("codes"), or of its decoder
    directions; ArtifactError or StaleArtifactError says what to run."""
    place = place_of_map(view, kind)
    _check_is_made(place)
    found = PointMap.load(place.folder, kind, parents=place.parents, remedy=place.remedy)
    n_rows = view.n_latents if kind == "directions" else len(view.workspace.corpus)
    if len(found.is_placed) != n_rows:
        raise ArtifactError(
            f"has {len(found.is_placed):,} rows, not {n_rows:,}",
            where=place.folder / f"map_{kind}.npy",
            remedy=f"{place.remedy} --rebuild",
        )
    return found


def map_fingerprint(view: SaeView, kind: MapKind) -> str:
    """The fingerprint of a stored map, without reading its places: what caches of it key on; raises as `open_map`."""
    place = place_of_map(view, kind)
    _check_is_made(place)
    return read_map_meta(place.folder, kind, parents=place.parents, remedy=place.remedy).fingerprint


def _check_is_made(place: MapPlace) -> None:
    if not (place.folder / f"map_{place.kind}.json").exists():
        what = {
            "clips": "the clips by embedding",
            "codes": "the clips by latents",
            "directions": "the latents",
        }
        raise ArtifactError(
            f"holds no map of {what[place.kind]} yet", where=place.folder, remedy=place.remedy
        )


def stored_maps(view: SaeView) -> list[MapKind]:
    """The kinds of map that are stored and up to date for this SAE."""
    found: list[MapKind] = []
    for kind in MAP_KINDS:
        try:
            map_fingerprint(view, kind)
        except ArtifactError:
            continue
        found.append(kind)
    return found


def place_of_map(view: SaeView, kind: MapKind) -> MapPlace:
    """Where a map of this SAE, or of the embeddings under it, is kept."""
    if kind not in MAP_KINDS:
        raise ValueError(f"a map is one of {', '.join(MAP_KINDS)}, not {kind!r}")
    if kind == "clips":
        return _place_of_clips(view.workspace, view.embeddings)
    remedy = f"run: python -m sae_core map --workspace {view.workspace.path} --sae {view.name}"
    # not the index: codes follow from SAE and embeddings, and an index made anew for new labels moves no dot
    meta = ArtifactMeta.read(view.folder / "meta.json", kind="sae", remedy=remedy)
    parents = {"sae": meta.fingerprint, "embeddings": view.embeddings.fingerprint}
    return MapPlace(view.folder, kind, parents, remedy)


def _place_of_clips(workspace: Workspace, embeddings: Embeddings) -> MapPlace:
    folder = workspace.path / "embeddings" / embeddings.name
    remedy = f"run: python -m sae_core map --workspace {workspace.path}"
    return MapPlace(folder, "clips", {"embeddings": embeddings.fingerprint}, remedy)


def map_workspace(
    path: Path,
    *,
    saes: Sequence[str] = (),
    settings: MapSettings | None = None,
    rebuild: bool = False,
    progress: Progress = ignore,
) -> MapReport:
    """Lay out the clips by their embeddings, then clips by codes and decoder directions of SAEs; say what was done.

    saes: names, or `EVERY_SAE`; empty means the best SAE of each of the workspace's embeddings. A finished map with the
    same parents and settings is kept unless `rebuild`; each one is stored before the next begins. Raises CorpusError
    when nothing is embedded.
    """
    workspace, settings = Workspace(path), settings or MapSettings()
    report = MapReport([], [], [])
    tasks = _tasks(workspace, _chosen_saes(workspace, saes), report)
    for number, (place, source) in enumerate(tasks.values()):
        progress(number, len(tasks), place.name)
        if not rebuild and _is_finished(place, settings):
            report.kept.append(place.name)
            continue
        try:
            found = lay_out(*_points(source, place.kind), settings)
        except ValueError as error:
            report.failures.append((place.name, str(error)))
            continue
        found.save(place.folder, place.kind, parents=place.parents)
        report.made.append(place.name)
    progress(len(tasks), len(tasks), "")
    return report


def _chosen_saes(workspace: Workspace, saes: Sequence[str]) -> list[str]:
    names = workspace.sae_names()
    if EVERY_SAE in saes:
        return names
    if saes:
        return list(dict.fromkeys(saes))
    best = (best_sae(workspace, embeddings=embeddings) for embeddings in workspace.embedder_names())
    return [name for name in best if name is not None] or names[:1]


def _tasks(
    workspace: Workspace, names: Sequence[str], report: MapReport
) -> dict[str, tuple[MapPlace, Embeddings | SaeView]]:
    """The maps to have, by name, each with what it is made from; SAEs that cannot be opened go into the report."""
    found: list[tuple[MapPlace, Embeddings | SaeView]] = []
    own = embedder_of(workspace, None)
    for embedder in (own, *(name for name in workspace.embedder_names() if name != own)):
        try:
            embeddings = workspace.embeddings(embedder)
            found.append((_place_of_clips(workspace, embeddings), embeddings))
        except ArtifactError as error:
            report.failures.append((f"embeddings/{embedder}", str(error)))
    for name in names:
        try:
            view = workspace.sae(name)
            found.append((place_of_map(view, "clips"), view.embeddings))
            found += [(place_of_map(view, kind), view) for kind in MAP_KINDS if kind != "clips"]
        except ArtifactError as error:
            report.failures.append((f"saes/{name}", str(error)))
    return {place.name: (place, source) for place, source in found}


def _points(source: Embeddings | SaeView, kind: MapKind) -> tuple[np.ndarray | SparseCodes, np.ndarray]:
    """What a map lays out, and which rows of it: embedded clips, clips with an active latent, latents with a clip."""
    if isinstance(source, Embeddings):
        return source.vectors, source.is_valid
    if kind == "codes":
        return source.codes, source.embeddings.is_valid & (np.asarray(source.codes.activations[:, 0]) > 0)
    return source.directions(), source.index.n_active() > 0


def _is_finished(place: MapPlace, settings: MapSettings) -> bool:
    """Whether the map is there, made from the same data with the same settings; a damaged one is not."""
    try:
        meta = read_map_meta(place.folder, place.kind, parents=place.parents, remedy=place.remedy)
        PointMap.load(place.folder, place.kind, parents=place.parents, remedy=place.remedy)
    except ArtifactError:
        return False
    return meta.settings == settings_of(settings)
