"""Sweep: how well a single latent detects an attribute value, by variant, size and sparsity of the SAE."""

import pandas as pd
import streamlit as st

from pages.parts.sweep import grid
from pages.parts.sweep import table as sweep_table
from pages.parts.sweep.charts import Ceiling, figures, pick_latent, variant_words
from pages.parts.sweep.encoders import draw_encoders
from pages.parts.sweep.table import MEASURE_WORDS
from pages.shared import links
from pages.shared.announce import announce
from pages.shared.session import open_page, try_next
from pages.shared.value_choice import choose_value, evidence_badge
from pages.shared.wording import EVIDENCE, TERMS, counted, latent_words, plain, value_words, with_interval
from sae_core.build.sweep import SWEEP_MEASURES, best_of_each, combine_seeds, probe_ceiling
from sae_core.measures.attributes import SEEN_SPEAKERS, UNSEEN_SPEAKERS
from sae_core.workspace.workspace import SaeView, Workspace

AUROC_HELP = (
    "Of two clips, one with the value and one without, how often the first has the higher activation: 0.5 is chance. "
    "It needs no threshold."
)
MEASURE_HELP = {
    **{name: TERMS[name] for name in ("f1", "precision", "recall")},
    "auroc": AUROC_HELP,
}
CONFIRMED = (
    "Confirmed on held-out speakers means: even the lower bound of its precision exceeds the fraction of clips with "
    "the value, and its correlation with the value (MCC) is at least 0.3. Otherwise nothing is claimed."
)
ON = {UNSEEN_SPEAKERS: "on held-out speakers", SEEN_SPEAKERS: "on other clips of seen speakers"}
ALONE = (
    "There is only one SAE configuration here yet. Train more of the grid, then reload: "
    "`python -m sae_core sweep --workspace {path} --latents 64,256,1024 --k 4,16,32`"
)
NO_PROBE = "To see the ceiling, a linear probe on the raw embedding, run `python -m sae_core sweep` once."


def main() -> None:
    """Draw the page."""
    workspace, view = open_page(
        "Sweep",
        "How well the best single latent detects an attribute value, by variant, number of latents L and sparsity k.",
        why="Too few latents mix attributes, too many split them; this shows which SAE to use. Variants: TopK "
        "(arXiv 2406.04093) and Matryoshka "
        "(arXiv 2503.17547). Click a point to open its latent.",
    )
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="sweep_choices"):
        chosen = choose_value(view)
        measure = choose_measure()
    if chosen is None:
        return
    table = sweep_table.of_value(workspace, view.embeddings.name, *chosen)
    ceiling = find_ceiling(workspace, view, chosen, measure)
    points = sweep_table.named(workspace, combine_seeds(table, measure))
    draw_best(workspace, table, chosen, measure, ceiling)
    if len(points) < 2:
        st.info(ALONE.format(path=workspace.path), icon=":material/grid_view:")
    draw_figures(workspace, points, measure, ceiling)
    with st.container(border=True, key="sweep_grid"):
        grid.draw_grid(workspace, points, MEASURE_WORDS[measure])
    draw_encoders(workspace, chosen, measure)
    sweep_table.draw_table(sweep_table.named(workspace, table), chosen, measure)
    try_next(
        view,
        {
            "pages/movement.py": ("Follow the clips from SAE to SAE", ":material/moving:"),
            "pages/latents.py": ("Browse latents", ":material/hub:"),
        },
    )


def choose_measure() -> str:
    """Precision, recall, F1 or AUROC."""
    measures = sorted(SWEEP_MEASURES, key=list(MEASURE_WORDS).index)
    choice = st.segmented_control(
        "Measure", measures, default="f1", required=True, format_func=MEASURE_WORDS.__getitem__, key="measure",
        bind="query-params", persist_state="session",
        help="\n\n".join(f"**{MEASURE_WORDS[name]}**: {words}" for name, words in MEASURE_HELP.items()),
    )  # fmt: skip
    return str(choice or "f1")


def find_ceiling(
    workspace: Workspace, view: SaeView, chosen: tuple[str, str], measure: str
) -> Ceiling | None:
    """What a linear probe on the raw embedding reaches, where one is kept."""
    probe = probe_ceiling(workspace, view.embeddings.name, *chosen)
    if probe is None:
        return None
    low, high = (
        None if pd.isna(probe[f"{measure}_{end}"]) else float(probe[f"{measure}_{end}"])
        for end in ("low", "high")
    )
    return Ceiling(float(probe[measure]), low, high)


def draw_best(
    workspace: Workspace, table: pd.DataFrame, chosen: tuple[str, str], measure: str, ceiling: Ceiling | None
) -> None:
    """Which SAE was best on the selection speakers, and what it reaches on the held-out ones."""
    best = best_of_each(table).iloc[0]
    words = plain(value_words(*chosen))
    reached = with_interval(best[measure], best[f"{measure}_low"], best[f"{measure}_high"])
    view = workspace.sae(str(best["sae"]))
    evaluated = "held-out" if best["evidence"] == UNSEEN_SPEAKERS else "evaluated"
    with st.container(border=True, key="sweep_best"):
        family = variant_words(best["variant"], best["prefixes"])
        name = f"{family}, L {best['n_latents']:,}, k {best['k']}, latent {latent_words(view, int(best['latent']))}"
        address = links.latent_address(view, int(best["latent"]))
        said = f"{evidence_badge(best['evidence'])} Best for **{words}**, chosen on selection speakers: "
        said += f"[{name}]({address}) · **{MEASURE_WORDS[measure]} {reached}** {ON[best['evidence']]}"
        if ceiling is not None:
            said += f" · linear probe {with_interval(ceiling.value, ceiling.low, ceiling.high)}"
        if not best["is_confirmed"]:
            said += " · :orange-badge[:material/help: not confirmed]"
        st.markdown(said, help=f"{EVIDENCE[best['evidence']]}\n\n{CONFIRMED}")
        announce(said, key="sweep")
        elsewhere = sweep_table.higher_elsewhere(table, best, measure)
        st.caption(
            f"SAE, latent and threshold were chosen on selection clips. The numbers are from {best['n_reported']:,} "
            f"{evaluated} clips, {best['n_reported_positive']:,} of them {words}, by "
            f"{counted(int(best['n_reported_speakers']), 'speaker')}.{elsewhere} "
            f"Error bars: 95 % intervals over speakers.{'' if ceiling is not None else ' ' + NO_PROBE}"
        )


def draw_figures(workspace: Workspace, points: pd.DataFrame, measure: str, ceiling: Ceiling | None) -> None:
    """The measure over L, and against explained variance; a click opens the latent."""
    words = MEASURE_WORDS[measure]
    lines, trade_off = figures(points, measure=words, ceiling=ceiling)
    left, right = st.columns([3, 2], gap="medium")
    with left.container(border=True, height="stretch"):
        st.header(
            "By number of latents",
            anchor=False,
            help="The best latent of each SAE, chosen on selection speakers, on evaluated clips.",
        )
        opened = pick_latent(lines, key="sweep_lines", alt=f"{words} over the number of latents")
    with right.container(border=True, height="stretch"):
        st.header(
            "Against explained variance",
            anchor=False,
            help=f"{TERMS['explained variance']} Larger marks have more latents; the numbers in them are k.",
        )
        opened = (
            pick_latent(trade_off, key="sweep_trade_off", alt=f"{words} against explained variance") or opened
        )
    if opened is not None:
        links.open_latent(workspace.sae(opened[0]), opened[1])


main()
