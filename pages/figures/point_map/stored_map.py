"""A stored map as the figure draws it: dots, colours and names, in words; made once and kept for everyone."""

from dataclasses import dataclass

import pandas as pd

from pages.figures.player import clip_cards
from pages.figures.point_map.point_map import DotFiles, Legend, LegendEntry
from pages.shared import wording
from pages.shared.caching import cached
from pages.shared.map_choice import BY_LATENT, DETECTED, PREFIX, SPEAKER, MapChoice, colour_words
from sae_core.analysis.map_colours import (
    Grouping,
    PointGroup,
    group_by_activation,
    group_by_attribute,
    group_by_detected_value,
    group_by_prefix,
    group_by_speaker,
    sizes_by_firing,
)
from sae_core.build.workspace_maps import MapKind, map_fingerprint, open_map
from sae_core.measures.maps import PointMap
from sae_core.workspace.workspace import SaeView, Workspace

MAX_NAMED_DOTS = 100_000
SHOW_ALONE = "Click or tap one to see it alone, Ctrl-click to add another."
GROUP_WORDS = {
    "unknown": "unknown",
    "other": "all other speakers",
    "silent": "silent",
    "below": "below its threshold",
    "active": "active",
    "unnamed": "no name yet",
}


@dataclass(frozen=True)
class MapOf:
    """A stored map to be opened: which kind, beside which SAE. id: changes whenever its dots do."""

    view: SaeView
    kind: MapKind
    id: str


def map_id(view: SaeView, kind: MapKind) -> str:
    """Changes whenever the dots do; ArtifactError or StaleArtifactError says what to run."""
    return f"{kind}-{map_fingerprint(view, kind)}"


def _wanted(view: SaeView, kind: MapKind) -> MapOf:
    return MapOf(view, kind, map_id(view, kind))


def opened(view: SaeView, kind: MapKind) -> PointMap:
    """A stored map; a map of clips by embedding is the same for every SAE."""
    return _opened(_wanted(view, kind))


@cached(keep=8, spinner="Opening the map …")
def _opened(wanted: MapOf) -> PointMap:
    return open_map(wanted.view, wanted.kind)


def dot_files(view: SaeView, kind: MapKind) -> DotFiles:
    """The dots of a map as bytes."""
    wanted = _wanted(view, kind)
    return _latent_dots(wanted, view) if kind == "directions" else _clip_dots(wanted, view.workspace)


@cached(keep=8, shows_notes=True)
def _clip_dots(wanted: MapOf, workspace: Workspace) -> DotFiles:
    found = _opened(wanted)
    names = _clip_names(workspace, found) if len(found.rows) <= MAX_NAMED_DOTS else b""
    return DotFiles(found.packed(), names=names)


@cached(keep=8, shows_notes=True)
def _latent_dots(wanted: MapOf, view: SaeView) -> DotFiles:
    found = _opened(wanted)
    return DotFiles(found.packed(), sizes_by_firing(view, found.rows).tobytes(), _latent_names(view, found))


def grouping_of(view: SaeView, choice: MapChoice) -> Grouping:
    """How the dots of a map are coloured."""
    return _grouping(_wanted(view, choice.kind), view, choice)


def legend(view: SaeView, choice: MapChoice) -> Legend:
    """What the colours of a map mean, in words."""
    return _legend(_wanted(view, choice.kind), view, choice)


@cached(keep=48, shows_notes=True)
def _legend(wanted: MapOf, view: SaeView, choice: MapChoice) -> Legend:
    grouping = _grouping(wanted, view, choice)
    entries = [_entry(group, choice, grouping) for group in grouping.groups]
    noun = "latents" if choice.kind == "directions" else "clips"
    about = f"{SHOW_ALONE} {_about(view, choice, grouping)}".strip()
    return Legend(_title(view, choice), entries, grouping.codes.tobytes(), about, noun)


def _about(view: SaeView, choice: MapChoice, grouping: Grouping) -> str:
    """What else has to be known to read the colours."""
    if choice.kind == "directions":
        return "Larger dots are active on more clips. Names are confirmed on held-out speakers."
    if choice.colour != BY_LATENT or not grouping.top:
        return ""
    threshold = view.threshold_of(choice.latent)
    bend = f"; its threshold is {threshold:.2f}" if threshold > 0 else ""
    return f"Darker is stronger, up to {grouping.top:.2f}{bend}. {wording.measured(view, choice.latent)}"


@cached(keep=2)
def _clip_ids(workspace: Workspace) -> pd.Index:
    return pd.Index(workspace.corpus.table["clip_id"])


def clip_row(workspace: Workspace, clip_id: str | None) -> int | None:
    """The row of a clip by its id, if there is such a clip."""
    ids = _clip_ids(workspace)
    return int(ids.get_loc(clip_id)) if clip_id in ids else None


@cached(keep=48)
def _grouping(wanted: MapOf, view: SaeView, choice: MapChoice) -> Grouping:
    found = _opened(wanted)
    if choice.colour == DETECTED:
        return group_by_detected_value(view, found.rows)
    if choice.colour == PREFIX:
        return group_by_prefix(view, found.rows)
    if choice.colour == SPEAKER:
        return group_by_speaker(view, found.rows)
    if choice.colour == BY_LATENT:
        return group_by_activation(view, found.rows, choice.latent)
    return group_by_attribute(view, found.rows, choice.colour)


def _title(view: SaeView, choice: MapChoice) -> str:
    if choice.colour == BY_LATENT:
        return wording.latent_name(view, choice.latent)
    return colour_words(choice.colour)


def _entry(group: PointGroup, choice: MapChoice, grouping: Grouping) -> LegendEntry:
    label = GROUP_WORDS.get(group.key, group.key) if group.role != "value" else group.key
    if group.key == "active" and any(other.key == "below" for other in grouping.groups):
        label = "above its threshold"
    if group.role == "value" and choice.colour == DETECTED:
        label = wording.value_words(*group.key.split("=", maxsplit=1))
    elif group.role == "value" and choice.colour == PREFIX:
        label = f"first {int(group.key):,}"
    elif group.role == "value":
        label = wording.value_words(choice.colour, group.key)
    return LegendEntry(group.key, label, group.role, group.low, group.high, group.n)


def _clip_names(workspace: Workspace, found: PointMap) -> bytes:
    """A line a dot: the clip's id, then what people call it and what is known of it."""
    corpus = workspace.corpus
    table = corpus.table.iloc[found.rows]
    given = {clip: f" · “{' '.join(label.split())}”" for clip, label in workspace.notes.clip_labels().items()}
    called = [given.get(clip, "") for clip in table["clip_id"]]
    about = pd.Series(called, index=table.index, dtype="object")
    for name in corpus.attributes:
        if name in clip_cards.HIDDEN_ON_CARDS:
            continue
        known = table[name].astype("object")
        words = known.map(
            lambda value, name=name: "" if pd.isna(value) else wording.value_words(name, str(value))
        )
        about += words.where(words.isin(["", "unknown"]), " · " + words).where(~words.isin(["unknown"]), "")
    lines = table["clip_id"].astype("object") + "\t" + about.str.removeprefix(" · ")
    return "\n".join(lines.str.replace("\n", " ")).encode("utf-8")


def _latent_names(view: SaeView, found: PointMap) -> bytes:
    """A line a dot: the latent's name, then how often it is active."""
    rates = view.latents["firing_rate"].to_numpy()[found.rows]
    lines = (
        f"{wording.latent_name(view, int(latent))}\tactive on {wording.percent(float(rate), 1)} of clips"
        for latent, rate in zip(found.rows, rates, strict=True)
    )
    return "\n".join(lines).encode("utf-8")
