"""The flow diagram of a movement: the active set at each station, and the latents that represent clips outside it."""

from typing import Any

import streamlit as st

from pages.figures.flow.flow import FlowLink, FlowNode, flow_diagram
from pages.parts.movement import choice as movement_choice
from pages.parts.movement.choice import MovementChoice
from pages.shared import links
from pages.shared.wording import counted, latent_name, plain, value_words
from sae_core.measures.movement import ELSEWHERE, IN_INDEX, NO_LATENT, Movement

N_PLACES = 8
SMALL_HELP = "All other latents of this SAE together, a few clips each. Click a flow to hear its clips."
TONES = {(True, True): "stay", (True, False): "leave", (False, True): "enter", (False, False): ""}
ORDER = {IN_INDEX: 0, ELSEWHERE: 2, NO_LATENT: 3}


def draw_flow(choice: MovementChoice, movement: Movement, successors: set[int], picked: str) -> None:
    """Draw the diagram; a click on a flow picks it, one on a latent's name opens that latent."""
    flows = movement.flows()
    sizes = {
        (s, p): int((movement.places[:, s] == p).sum())
        for s in range(len(choice.stations))
        for p in set(movement.places[:, s])
    }
    order = sorted(sizes, key=lambda place: (place[0], ORDER.get(place[1], 1), -sizes[place]))
    nodes = [_node(choice, station, place, successors) for station, place in order]
    drawn = [_link(choice, flow, picked) for flow in flows.itertuples()]
    titles = [_title(choice, number) for number in range(len(choice.stations))]
    opened = flow_diagram(
        titles, (nodes, drawn), key="movement_flow", on_pick=movement_choice.pick, shows_in="movement_clips"
    )
    if opened is not None:
        station, place = (int(part) for part in opened.split(":"))
        stop = choice.stations[station]
        links.open_latent(stop.view, stop.latent if place == IN_INDEX else place)
    st.caption(_reading(choice, bool(successors)))


def _title(choice: MovementChoice, number: int) -> str:
    station = choice.stations[number]
    if choice.stations[-1].steering:
        return "after steering" if station.steering else "before steering"
    return f"above {station.threshold:.2f}" if choice.is_one_latent else station.view.name


def _name(station: int, place: int) -> str:
    return f"{station}:{place}"


def _node(choice: MovementChoice, station: int, place: int, successors: set[int]) -> FlowNode:
    stop = choice.stations[station]
    if place == IN_INDEX:
        label = latent_name(stop.view, stop.latent)
        words = f"{stop.view.name}: in the active set of {label}, above {stop.threshold:.2f}"
        return FlowNode(
            _name(station, place), station, label, "in", links.latent_address(stop.view, stop.latent), words
        )
    if place in (ELSEWHERE, NO_LATENT):
        label = "other latents" if place == ELSEWHERE else "no latent"
        return FlowNode(_name(station, place), station, label, help=SMALL_HELP if place == ELSEWHERE else "")
    is_successor = station == len(choice.stations) - 1 and place in successors
    words = (
        "successor of the first latent"
        if is_successor
        else "represents these clips, which are outside the active set"
    )
    return FlowNode(
        _name(station, place), station, latent_name(stop.view, place), "marked" if is_successor else "",
        links.latent_address(stop.view, place), f"{stop.view.name}: {words}",
    )  # fmt: skip


def _link(choice: MovementChoice, flow: Any, picked: str) -> FlowLink:
    station, source, target, n = int(flow.station), int(flow.source), int(flow.target), int(flow.n)
    picks = f"flow:{station}:{source}:{target}"
    return FlowLink(
        _name(station, source), _name(station + 1, target), n,
        TONES[source == IN_INDEX, target == IN_INDEX], picks,
        f"{flow_words(choice, station, source, target)}: {counted(n, 'clip')}",
        picks == picked,
    )  # fmt: skip


def flow_words(choice: MovementChoice, station: int, source: int, target: int) -> str:
    """One flow in words."""
    stop, then = choice.stations[station], choice.stations[station + 1]
    if source == IN_INDEX and target == IN_INDEX:
        return f"Kept, from #{stop.latent} to #{then.latent}"
    if source == IN_INDEX:
        return f"Lost by #{stop.latent}, now with {_place_words(target)}"
    if target == IN_INDEX:
        return f"Gained by #{then.latent}, before with {_place_words(source)}"
    return f"Outside both, from {_place_words(source)} to {_place_words(target)}"


def _place_words(place: int) -> str:
    return {ELSEWHERE: "other latents", NO_LATENT: "no latent"}.get(place, f"#{place}")


def _reading(choice: MovementChoice, has_successors: bool) -> str:
    words = plain(value_words(choice.stations[0].attribute, choice.stations[0].value))
    said = f"Top: the active set of the best latent for {words}. Below: clips outside it, by the latent with the "
    said += "highest activation × rarity on each."
    if has_successors:
        said += " Violet: successors of the first latent (overlap beyond chance and similar direction)."
    return said + " Click a flow to hear its clips."
