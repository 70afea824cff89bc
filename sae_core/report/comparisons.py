"""Chapters that compare SAEs: how well they detect values as they grow, and which clips move between their latents."""

import pandas as pd

from sae_core.analysis.first_value import first_value
from sae_core.analysis.latent_names import latent_name
from sae_core.analysis.model_card import VARIANTS
from sae_core.analysis.movement import (
    ActiveSet,
    best_active_set,
    follow_clips,
    measure_detection,
    smallest_and_largest,
    split_active_set,
)
from sae_core.build.sweep import best_of_each, combine_seeds, probe_ceiling, tabulate_saes
from sae_core.corpus.words import counted, percent, value_words, with_interval
from sae_core.measures.movement import ENTER, LEAVE, STAY
from sae_core.report.figures import flow_figure, sweep_figure
from sae_core.report.markup import Child, Markup, markup, paragraphs, said, table
from sae_core.workspace.workspace import SaeView

MAX_SWEPT = 6
"""Values of the table; each has to be measured in every SAE."""
N_APART = 4


def sweep_chapter(view: SaeView) -> Markup:
    """The SAEs on the same embeddings side by side: a figure for one value, a table for the confirmed ones."""
    asked = _asked(view)
    if not asked:
        return paragraphs("No attribute value could be measured.")
    names = view.workspace.sae_names()
    if sum(view.workspace.embeddings_of(name) == view.embeddings.name for name in names) < 2:
        return paragraphs("There is one SAE on these embeddings, so there is nothing to compare it with.")
    tables = [tabulate_saes(view.workspace, attribute=name, value=value) for name, value in asked]
    tables = [part[part["embedder"] == view.embeddings.name] for part in tables]
    n_saes = tables[0]["sae"].nunique()
    words = value_words(*asked[0])
    found = probe_ceiling(view.workspace, view.embeddings.name, *asked[0])
    ceiling = None if found is None or pd.isna(found["f1"]) else float(found["f1"])
    caption = markup(
        "How well the best latent alone detects ", said(words), f" in each of {n_saes} SAEs, with 95 % intervals over "
        "speakers.", None if ceiling is None else " The dotted line is what a linear probe reaches on "
        "the whole embedding."
    )  # fmt: skip
    return markup(
        sweep_figure(combine_seeds(tables[0], "f1"), variants=VARIANTS, ceiling=ceiling, caption=caption),
        _best_table(pd.concat(tables, ignore_index=True)),
    )


def _asked(view: SaeView) -> list[tuple[str, str]]:
    """The value that pages open on, then confirmed ones, the best first."""
    values = view.predominant_latents().sort_values("f1", ascending=False, kind="stable")
    confirmed = values[values["is_confirmed"]]
    pairs = [(str(name), str(value)) for name, value in confirmed[["attribute", "value"]].to_numpy()]
    first = first_value(view)
    return list(dict.fromkeys([*([first] if first else []), *pairs]))[:MAX_SWEPT]


def _best_table(measured: pd.DataFrame) -> Markup:
    rows = [
        (
            said(value_words(line.attribute, line.value)),
            said(line.sae),
            f"#{line.latent}",
            "confirmed" if line.is_confirmed else "not confirmed",
            with_interval(line.f1, line.f1_low, line.f1_high),
            f"{line.selection_f1:.2f}",
        )
        for line in best_of_each(measured).itertuples()
    ]
    heads = ("value", "best SAE", "latent", "on held-out speakers", "F1 there", "F1 on selection")
    return markup(
        table(heads, rows, caption="The best SAE for each value", n_words=4),
        paragraphs(
            "The best SAE is the one whose latent was best on selection speakers, so that the F1 it is reported with "
            "has no part in the choice. Another may have a higher F1 on held-out speakers."
        ),
    )


def movement_chapter(view: SaeView) -> Markup:
    """Which clips the best latent for a value keeps, loses and gains from the smallest to the largest SAE."""
    value = first_value(view)
    if value is None:
        return paragraphs("No attribute value could be measured.")
    names = smallest_and_largest(view.workspace, view.name)
    if names[0] == names[1]:
        return paragraphs("There is one SAE on these embeddings, so no clip moves between SAEs.")
    stations = [best_active_set(view.workspace.sae(name), *value) for name in names]
    movement = follow_clips(stations)
    n = {move: len(movement.rows_that(move)) for move in (STAY, LEAVE, ENTER)}
    caption = markup(
        "The clips on which the best latent for ", said(value_words(*value)), " is above its threshold, and the "
        "latents that say most of a clip elsewhere. Violet stays, green enters, orange leaves. All embedded clips are "
        "counted."
    )  # fmt: skip
    return markup(
        paragraphs(*[_end_words(station) for station in stations]),
        paragraphs(
            f"From the first to the second, {counted(n[STAY], 'clip')} {'stays' if n[STAY] == 1 else 'stay'}, "
            f"{n[LEAVE]:,} leave and {n[ENTER]:,} enter."
        ),
        flow_figure(stations, movement, caption),
        _splitting(stations[0], stations[1].view),
    )


def _end_words(station: ActiveSet) -> Child:
    detection = measure_detection(station)
    return markup(
        said(station.view.name), ": ", said(latent_name(station.view, station.latent)),
        f", above {station.threshold:.2f}, has F1 {with_interval(*detection.f1)} on {detection.evidence}.",
    )  # fmt: skip


def _splitting(before: ActiveSet, after: SaeView) -> Markup:
    splitting = split_active_set(before, after)
    if splitting.successors.empty:
        return paragraphs("No latent of the larger SAE follows from it: its clips scatter.")
    rows: list[tuple[Child, ...]] = []
    for line in splitting.successors.itertuples():
        apart = splitting.apart[splitting.apart["part"] == line.successor].head(N_APART)
        words = ", ".join(
            f"{value_words(each.attribute, str(each.value))} ×{each.lift:.1f}" for each in apart.itertuples()
        )
        rows.append(
            (
                said(latent_name(after, int(line.successor))), said(words) if words else "–",
                f"{int(line.n):,}", percent(float(line.share)), f"{line.cosine:.2f}",
            )
        )  # fmt: skip
    heads = ("latent", "commoner among its clips", "clips", "of the active set", "cosine")
    return table(heads, rows, caption="What the latent becomes in the larger SAE", n_words=2)
