"""Map: clips or latents as dots in the plane; click one to hear it, select some to see what distinguishes them."""

from functools import partial

import numpy as np
import streamlit as st

from pages.figures.player import clip_cards
from pages.figures.point_map import dot_sounds, stored_map
from pages.figures.point_map.point_map import MapEvents, MapState, point_map
from pages.parts.map import detail as map_detail
from pages.parts.map import selection
from pages.shared import links, map_choice
from pages.shared.choices import nearest, nearest_latents, number_below, tell_unknown
from pages.shared.map_choice import MapChoice
from pages.shared.media import media_url
from pages.shared.problems import part_of_page
from pages.shared.session import open_page, try_next
from sae_core.analysis.map_selection import rows_inside
from sae_core.measures.maps import PointMap
from sae_core.workspace.workspace import SaeView

AREA = "area"
MAX_CORNERS = 64
HINT = "Scroll or pinch to zoom, drag to move, double click to reset; select dots by box or lasso to compare them."


def main() -> None:
    """Draw the page."""
    _, view = open_page(
        "Map",
        "Clips or latents laid out by UMAP (arXiv 1802.03426): similar ones lie close together.",
        why="Clusters show what the embedding encodes. Listen to those that no label explains.",
    )
    explore(view)
    try_next(
        view,
        {
            "pages/latents.py": ("Browse latents", ":material/hub:"),
            "pages/clips.py": ("Inspect a clip", ":material/library_music:"),
        },
    )


@part_of_page
def explore(view: SaeView) -> None:
    """Controls, the map, the open dot and the chosen area; any of them changed redraws only this."""
    choice = map_choice.choose_map(view)
    map_id = stored_map.map_id(view, choice.kind)
    found = stored_map.opened(view, choice.kind)
    row = open_row(view, choice)
    with st.container(key="map_page"):
        figure, detail = st.columns([5, 2], gap="medium")
        with figure:
            draw_figure(view, choice, found, row)
            with st.container(horizontal=True, key="map_footer"):
                st.caption(HINT, width="stretch")
                has_clips = choice.kind != "directions"
                make = partial(selection.map_table, view, found, has_clips=has_clips)
                selection.offer_csv("All dots", make, map_id)
        with detail.container(border=True, key="map_detail"):
            draw_detail(view, choice, found, row)
    draw_selection(view, choice, found, map_id)


def open_row(view: SaeView, choice: MapChoice) -> int | None:
    """The clip or latent that the address names, if it is one."""
    is_latent = choice.kind == "directions"
    name = links.LATENT if is_latent else links.CLIP
    wanted = links.chosen(name)
    if wanted is None:
        return None
    row = number_below(wanted, view.n_latents) if is_latent else stored_map.clip_row(view.workspace, wanted)
    if row is None:
        ids = view.workspace.corpus.table["clip_id"]
        near = nearest_latents(wanted, view.n_latents) if is_latent else nearest(wanted, ids)
        tell_unknown(
            name, wanted, noun="the latent" if is_latent else "the clip", shown="the whole map", near=near
        )
    return row


def draw_figure(view: SaeView, choice: MapChoice, found: PointMap, row: int | None) -> None:
    """The map itself, and what clicks on it change."""
    map_id = stored_map.map_id(view, choice.kind)

    def open_dot(point: int) -> None:
        if 0 <= point < len(found.rows):
            row = int(found.rows[point])
            is_latent = choice.kind == "directions"
            links.choose(
                links.LATENT if is_latent else links.CLIP, row if is_latent else links.clip_id(view, row)
            )

    def keep_area(corners: list[list[float]]) -> None:
        if corners:
            links.choose(AREA, area_text(choice.kind, corners))
        else:
            links.forget(AREA)
        st.session_state[selection.PAGE] = 0

    state = MapState(
        map_id,
        choice.colour_id,
        chosen=open_dot_of(view, choice, found, row),
        sounds=dot_sounds.offer(view, found, map_id, are_latents=choice.kind == "directions"),
        area=area_on(choice.kind),
        only=map_choice.only_shown(choice),
        only_change=map_choice.only_changes(),
    )
    point_map(
        stored_map.dot_files(view, choice.kind),
        stored_map.legend(view, choice),
        state,
        MapEvents(open_dot, keep_area, lambda keys: map_choice.keep_only(choice, keys)),
        key="point_map",
    )


def open_dot_of(view: SaeView, choice: MapChoice, found: PointMap, row: int | None) -> tuple[int, str] | None:
    """The open dot and the address of its sound: the clip itself, or the latent's strongest clip."""
    point = None if row is None else found.point_of(row)
    if row is None or point is None:
        return None
    heard = dot_sounds.heard_row(view, row, is_latent=choice.kind == "directions")
    sound = clip_cards.clip_sound(view.workspace, heard)
    return point, media_url(sound.content, sound.mime, "point_map-chosen")


def draw_detail(view: SaeView, choice: MapChoice, found: PointMap, row: int | None) -> None:
    """What the open dot is."""
    if row is None:
        map_detail.draw_no_dot()
    elif choice.kind == "directions":
        map_detail.draw_latent(view, row)
    else:
        map_detail.draw_clip(view, row, is_placed=bool(found.is_placed[row]))


def draw_selection(view: SaeView, choice: MapChoice, found: PointMap, map_id: str) -> None:
    """What lies inside the drawn area, of the groups that are shown."""
    area = area_on(choice.kind)
    if len(area) < 3:
        return
    grouping = stored_map.grouping_of(view, choice)
    only = map_choice.only_shown(choice)
    rows = rows_inside(found, np.array(area), is_shown=grouping.is_in(only))
    with st.container(border=True, key="map_selection"):
        if not len(rows):
            st.info("No dot lies inside this area. Select some of them.", icon=":material/gesture:")
        elif choice.kind == "directions":
            selection.draw_directions(view, rows, name=map_id)
        else:
            selection.draw_clips(view, found, rows, name=map_id)


def area_text(kind: str, corners: list[list[float]]) -> str:
    """An area as the address says it: the kind of map that it was drawn on, then its corners."""
    return f"{kind}:" + "_".join(f"{x:g},{y:g}" for x, y in corners[:MAX_CORNERS])


def area_on(kind: str) -> list[list[float]]:
    """The corners of the area that the address says was drawn on this kind of map; none when it was another, or when
    they make no sense."""
    drawn_on, _, listed = (links.chosen(AREA) or "").partition(":")
    if drawn_on != kind:
        return []
    try:
        corners = [
            [float(value) for value in corner.split(",")] for corner in listed.split("_")[:MAX_CORNERS]
        ]
    except ValueError:
        return []
    return corners if all(len(corner) == 2 and np.isfinite(corner).all() for corner in corners) else []


main()
