"""A stored map as the figure draws it: dots, colours and names, in words; made once and kept for everyone."""

import pandas as pd
import streamlit as st

from pages.figures.player import clip_cards
from pages.figures.point_map.point_map import DotFiles, Legend, LegendEntry
from pages.shared import wording
from pages.shared.map_choice import BY_LATENT, PREFIX, TOLD, VOICE, MapChoice
from sae_core.analysis.map_colours import (
    Grouping,
    PointGroup,
    group_by_activation,
    group_by_attribute,
    group_by_prefix,
    group_by_told_value,
    group_by_voice,
    sizes_by_firing,
)
from sae_core.build.workspace_maps import MapKind, map_fingerprint, open_map
from sae_core.measures.maps import PointMap
from sae_core.workspace.workspace import SaeView, Workspace

MAX_NAMED_DOTS = 100_000
SHOW_ALONE = "Click one to see it alone, Ctrl-click to add another."
GROUP_WORDS = {
    "unknown": "not known",
    "other": "all other voices",
    "silent": "silent",
    "below": "below its threshold",
    "active": "active",
    "unnamed": "no name yet",
}


def map_id(view: SaeView, kind: MapKind) -> str:
    """Changes whenever the dots do; ArtifactError or StaleArtifactError says what to run."""
    return f"{kind}-{map_fingerprint(view, kind)}"


@st.cache_resource(max_entries=8, show_spinner="Opening the map …")
def opened(map_name: str, kind: MapKind, _view: SaeView) -> PointMap:  # noqa: ARG001
    """A stored map."""
    return open_map(_view, kind)


@st.cache_resource(max_entries=8, show_spinner=False)
def dot_files(map_name: str, kind: MapKind, labels: object, _view: SaeView) -> DotFiles:  # noqa: ARG001
    """Its dots as bytes; `labels` says when people have given latents other names."""
    found = opened(map_name, kind, _view)
    if kind == "directions":
        names = _latent_names(_view, found)
        return DotFiles(found.packed(), sizes_by_firing(_view, found.rows).tobytes(), names)
    names = _clip_names(_view, found) if len(found.rows) <= MAX_NAMED_DOTS else b""
    return DotFiles(found.packed(), names=names)


@st.cache_resource(max_entries=48, show_spinner=False)
def grouping_of(map_name: str, fingerprint: str, choice: MapChoice, _view: SaeView) -> Grouping:  # noqa: ARG001
    """How its dots are told apart."""
    return _grouping(_view, opened(map_name, choice.kind, _view), choice)


@st.cache_resource(max_entries=48, show_spinner=False)
def legend(map_name: str, fingerprint: str, choice: MapChoice, _view: SaeView) -> Legend:
    """What its colours mean, in words."""
    grouping = grouping_of(map_name, fingerprint, choice, _view)
    entries = [_entry(group, choice, grouping) for group in grouping.groups]
    noun = "latents" if choice.kind == "directions" else "clips"
    about = f"{SHOW_ALONE} {_about(_view, choice, grouping)}".strip()
    return Legend(_title(_view, choice), entries, grouping.codes.tobytes(), about, noun)


def _about(view: SaeView, choice: MapChoice, grouping: Grouping) -> str:
    """What else has to be known to read the colours."""
    if choice.kind == "directions":
        return "Larger dots fire on more clips. Names rest on new voices."
    if choice.colour != BY_LATENT or not grouping.top:
        return ""
    threshold = view.threshold_of(choice.latent)
    bend = f"; its threshold is {threshold:.2f}" if threshold > 0 else ""
    return f"Darker is stronger, up to {grouping.top:.2f}{bend}. {wording.measured(view, choice.latent)}"


@st.cache_resource(max_entries=2, show_spinner=False)
def _clip_ids(fingerprint: str, _workspace: Workspace) -> pd.Index:  # noqa: ARG001
    return pd.Index(_workspace.corpus.table["clip_id"])


def clip_row(workspace: Workspace, clip_id: str | None) -> int | None:
    """The row of a clip by its id, if there is such a clip."""
    ids = _clip_ids(workspace.fingerprint, workspace)
    return int(ids.get_loc(clip_id)) if clip_id in ids else None


def _grouping(view: SaeView, found: PointMap, choice: MapChoice) -> Grouping:
    if choice.colour == TOLD:
        return group_by_told_value(view, found.rows)
    if choice.colour == PREFIX:
        return group_by_prefix(view, found.rows)
    if choice.colour == VOICE:
        return group_by_voice(view, found.rows)
    if choice.colour == BY_LATENT:
        return group_by_activation(view, found.rows, choice.latent)
    return group_by_attribute(view, found.rows, choice.colour)


def _title(view: SaeView, choice: MapChoice) -> str:
    if choice.colour == BY_LATENT:
        return wording.latent_name(view, choice.latent)
    special = {TOLD: "Value it tells", PREFIX: "First prefix that holds it", VOICE: "Voice"}
    return special.get(choice.colour) or wording.column_words(choice.colour)


def _entry(group: PointGroup, choice: MapChoice, grouping: Grouping) -> LegendEntry:
    label = GROUP_WORDS.get(group.key, group.key) if group.role != "value" else group.key
    if group.key == "active" and any(other.key == "below" for other in grouping.groups):
        label = "above its threshold"
    if group.role == "value" and choice.colour == TOLD:
        label = wording.value_words(*group.key.split("=", maxsplit=1))
    elif group.role == "value" and choice.colour == PREFIX:
        label = f"first {int(group.key):,}"
    elif group.role == "value":
        label = wording.value_words(choice.colour, group.key)
    return LegendEntry(group.key, label, group.role, group.low, group.high, group.n)


def _clip_names(view: SaeView, found: PointMap) -> bytes:
    """A line a dot: the clip's id, then what is known of it."""
    corpus = view.workspace.corpus
    table = corpus.table.iloc[found.rows]
    about = pd.Series("", index=table.index, dtype="object")
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
    """A line a dot: the latent's name, then how often it fires."""
    rates = view.latents["firing_rate"].to_numpy()[found.rows]
    lines = (
        f"{wording.latent_name(view, int(latent))}\tfires on {wording.percent(float(rate), 1)} of clips"
        for latent, rate in zip(found.rows, rates, strict=True)
    )
    return "\n".join(lines).encode("utf-8")
