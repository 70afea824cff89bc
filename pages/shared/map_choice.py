"""What is chosen on the Map page: which map, coloured by what, which values alone; it stands in the address."""

from dataclasses import dataclass
from typing import cast
from urllib.parse import urlencode

import streamlit as st

from pages.shared import links, wording
from pages.shared.choices import choose_one
from sae_core.build.workspace_maps import MAP_KINDS, MapKind, stored_maps
from sae_core.workspace.workspace import SaeView

KIND, COLOUR, ONLY = "map", "colour", "only"
SPEAKER, BY_LATENT, DETECTED, PREFIX = "voice", "latent", "told", "prefix"
COLOUR_WORDS = {
    SPEAKER: "Speaker",
    BY_LATENT: "A latent's activation",
    DETECTED: "Attribute it detects",
    PREFIX: "Matryoshka group",
}
KIND_WORDS: dict[MapKind, str] = {
    "clips": "Embeddings",
    "codes": "SAE codes",
    "directions": "Decoder directions",
}
KIND_HELP = (
    "UMAP (arXiv 1802.03426). Embeddings: clips with similar embeddings lie close. SAE codes: clips with similar "
    "active latents lie close. Decoder directions: latents with similar directions lie close. Close means similar; "
    "long distances and the size of gaps mean little."
)
_CHANGES, _WISH = "map_only_changes", "map_wish"


@dataclass(frozen=True)
class MapChoice:
    """kind: which map. colour: an attribute, or one of the words above. latent: whose activation colours the clips."""

    kind: MapKind
    colour: str
    latent: int = 0

    @property
    def colour_id(self) -> str:
        """Names the colours, in the address too."""
        return f"{self.colour}-{self.latent}" if self.colour == BY_LATENT else self.colour


def choose_map(view: SaeView) -> MapChoice:
    """Draw the controls over the map and return what they say."""
    if wish := st.session_state.pop(_WISH, None):
        colour_by(wish[0], only=wish[1])
    with st.container(horizontal=True, vertical_alignment="bottom", key="map_controls"):
        kind = _choose_kind(view)
        colours = _colours_of(view, kind)
        known = {**COLOUR_WORDS, **dict.fromkeys(view.workspace.corpus.attributes)}
        # a colour of another kind of map is nothing wrong
        noun = "" if links.chosen(COLOUR) in known else "the colouring"
        colour = choose_one(
            COLOUR, colours, usual=next(iter(colours)), noun=noun, label="Coloured by", width=210
        )
        latent = _choose_latent(view) if colour == BY_LATENT else 0
    return MapChoice(kind, colour, latent)


def _choose_kind(view: SaeView) -> MapKind:
    ready = stored_maps(view)
    kind = choose_one(
        KIND, {str(kind): words for kind, words in KIND_WORDS.items()}, usual=ready[0] if ready else MAP_KINDS[0],
        noun="the map", draw=st.segmented_control, label="Map of", required=True, help=KIND_HELP,
    )  # fmt: skip
    return cast(MapKind, kind)


def _colours_of(view: SaeView, kind: MapKind) -> dict[str, str]:
    if kind == "directions":
        colours = [DETECTED, *([PREFIX] if view.config.get("prefixes") else [])]
    else:
        colours = [*view.workspace.corpus.attributes, SPEAKER, BY_LATENT]
    return {colour: colour_words(colour) for colour in colours}


def colour_words(colour: str) -> str:
    """What colours stand for, in words: over the choice and over the legend alike."""
    return COLOUR_WORDS.get(colour) or wording.column_words(colour)


def _choose_latent(view: SaeView) -> int:
    options = {str(latent): wording.latent_name(view, latent) for latent in range(view.n_latents)}
    usual = str([*view.striking_latents(1), 0][0])
    return int(choose_one(links.LATENT, options, usual=usual, noun="the latent", label="Latent", width=240))


def colour_by(colour: str, *, only: str = "", latent: int | None = None) -> None:
    """Colour the map anew from beside it, one value alone if `only` names it; for callbacks."""
    if latent is not None:
        links.choose(links.LATENT, latent)
    links.choose(COLOUR, colour)
    keep_only(MapChoice("clips", colour, latent or 0), [only] if only else [])
    st.session_state[_CHANGES] = only_changes() + 1


def colour_next(colour: str, *, only: str) -> None:
    """Draw this part of the page again, coloured so: an address changed halfway through a run would be lost."""
    st.session_state[_WISH] = (colour, only)
    st.rerun(scope="fragment")


def keep_only(choice: MapChoice, keys: list[str]) -> None:
    """Remember which groups are isolated, under these colours."""
    links.choose(ONLY, "|".join([choice.colour_id, *keys]) if keys else "")


def only_shown(choice: MapChoice) -> list[str]:
    """The isolated groups under these colours; none when they were isolated under others."""
    colour_id, *keys = (links.chosen(ONLY) or "").split("|")
    return keys if colour_id == choice.colour_id else []


def only_changes() -> int:
    """How often the page itself isolated a group."""
    return int(st.session_state.get(_CHANGES, 0))


def address(view: SaeView, colour: str, *, only: str = "", latent: int | None = None) -> str:
    """The address of the map coloured so, one value alone if `only` names it, relative to the app."""
    query = links.query(view, {COLOUR: colour})
    if only:
        query[ONLY] = f"{colour}|{only}"
    if latent is not None:
        query[links.LATENT] = str(latent)
    return f"map?{urlencode(query)}"


def show_latent(view: SaeView, latent: int) -> None:
    """A link to the map of clips coloured by this latent; nothing where no clip is mapped."""
    _show(view, {COLOUR: BY_LATENT, links.LATENT: str(latent)})


def show_clip(view: SaeView, row: int) -> None:
    """A link to the map with this clip open; nothing where no clip is mapped."""
    _show(view, {links.CLIP: links.clip_id(view, row)})


def _show(view: SaeView, more: dict[str, str]) -> None:
    kinds = [kind for kind in stored_maps(view) if kind != "directions"]
    if kinds:
        st.page_link(
            "pages/map.py",
            label="Show on the map",
            icon=":material/scatter_plot:",
            query_params=links.query(view, {KIND: kinds[0], **more}),
        )
