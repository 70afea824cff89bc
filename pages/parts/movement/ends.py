"""The first and the last active set of a movement: how well each detects the value, and how many clips moved."""

import re

import streamlit as st

from pages.parts.movement import views
from pages.parts.movement.choice import MovementChoice
from pages.shared import links
from pages.shared.announce import announce
from pages.shared.value_choice import evidence_badge
from pages.shared.wording import EVIDENCE, latent_words, percent, plain, value_words, with_interval
from sae_core.analysis.movement import ActiveSet, Detection
from sae_core.measures.movement import ENTER, LEAVE, STAY, Movement

MEASURED = {
    False: "Latents and thresholds were chosen on selection speakers; F1 is from evaluated clips outside that choice.",
    True: "F1, precision and recall are measured at the thresholds shown, on evaluated clips; the latent was chosen on "
    "selection speakers.",
}
BY_CONSTRUCTION = (
    "The latent of this active set is ablated itself, so losing its clips is the change that was made and no finding. "
    "What else changes stands below."
)


def draw_ends(choice: MovementChoice, movement: Movement) -> None:
    """Draw both ends, and how many clips were kept, lost and gained between them."""
    n = {move: len(movement.rows_that(move)) for move in (STAY, LEAVE, ENTER)}
    before, after = n[STAY] + n[LEAVE], n[STAY] + n[ENTER]
    with st.container(border=True, key="movement_ends"):
        words, *columns = st.columns([7, 1, 1, 1], vertical_alignment="center")
        with words:
            for label, station in (("From", choice.stations[0]), ("To", choice.stations[-1])):
                detection = views.detection_of(station)
                st.markdown(f"{label} {end_words(station, detection)}", help=EVIDENCE[detection.evidence])
        for column, name, move, whole, which in (
            (columns[0], "Kept", STAY, before, "first"),
            (columns[1], "Lost", LEAVE, before, "first"),
            (columns[2], "Gained", ENTER, after, "last"),
        ):
            share = percent(n[move] / whole) if whole else "none"
            column.metric(
                name, f"{n[move]:,}", help=f"{share} of the {whole:,} clips in the {which} active set."
            )
        announce(f"{n[STAY]:,} clips kept, {n[LEAVE]:,} lost, {n[ENTER]:,} gained.", key="movement")
        st.caption(
            f"{_counted(choice)} {MEASURED[choice.is_one_latent and not choice.stations[-1].steering]}"
        )
        if _is_ablated_itself(choice.stations[-1]):
            st.caption(BY_CONSTRUCTION)


def _counted(choice: MovementChoice) -> str:
    if choice.split is None:
        return "Counts are over all embedded clips, training speakers included."
    return "Counts are over held-out speakers only."


def _is_ablated_itself(station: ActiveSet) -> bool:
    return any(change.latent == station.latent and change.mode == "ablate" for change in station.steering)


def end_words(station: ActiveSet, detection: Detection) -> str:
    """One end of the movement: SAE, latent, threshold, and how well that detects the value."""
    address = links.latent_address(station.view, station.latent)
    name = f"[{station.view.name} {latent_words(station.view, station.latent)}]({address})"
    above = f"{name} above {station.threshold:.2f}"
    if station.steering:
        return f"{above}, after steering: every clip is steered and encoded again"
    value = plain(value_words(station.attribute, station.value))
    verdict = "detects" if views.is_confirmed(station) else "is the best candidate for"
    words = (
        f"{evidence_badge(detection.evidence)} {above} {verdict} {value}: F1 {with_interval(*detection.f1)}"
    )
    if views.is_tuned(station):
        return words
    precision, recall = with_interval(*detection.precision), with_interval(*detection.recall)
    return f"{words}, precision {precision}, recall {recall}"


def file_name(choice: MovementChoice) -> str:
    """What the table of groups is called when it is saved."""
    first, last = choice.stations[0], choice.stations[-1]
    ends = [f"{station.view.name}-above-{station.threshold:.2f}" for station in (first, last)]
    if last.steering:
        ends[1] = "steered"
    elif not choice.is_one_latent:
        ends = [first.view.name, last.view.name]
    return re.sub(r"[^\w.-]+", "-", f"voxscope-movement-{first.value}-{'-to-'.join(ends)}.csv")
