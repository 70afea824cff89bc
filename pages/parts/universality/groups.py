"""Is one latent enough for a value? Groups of latents beside the single one and the probe, and one group to open."""

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from pages.figures.cells.cells import Cell, CellTable, cell_tables
from pages.figures.player.examples import N_CLIPS, playable_examples
from pages.figures.ranking.ranking import RankedBar, ranking
from pages.parts.universality.absorbed import draw_absorbed
from pages.shared import links
from pages.shared.charts import dress, muted, show
from pages.shared.choices import choose_one
from pages.shared.exports import csv_button
from pages.shared.heading import Heading
from pages.shared.problems import part_of_page
from pages.shared.steering_state import group_link
from pages.shared.value_choice import VALUE, choose_value, evidence_badge
from pages.shared.wording import bounds, column_words, counted, latent_name, plain, value_words, with_interval
from sae_core.analysis.groups import GROUP, PROBE, SINGLE, groups_beside
from sae_core.measures.attributes import UNSEEN_SPEAKERS
from sae_core.measures.groups import LatentGroup
from sae_core.workspace.trust import Groups
from sae_core.workspace.workspace import SaeView

SIZE = "size"
SIZES_HELP = "How many latents together; at first the smallest group that comes within 0.02 of the best F1."
HELP = (
    "For each value the best 1, 2, 4, 8 and 16 latents together, with sparse logistic weights. Latents, weights and "
    "threshold are chosen on selection speakers, F1 is on the evaluated clips. ✓: the smallest group within 0.02 of "
    "the best. Where one latent does as well as sixteen, it is enough; else the value is spread over several."
)
NOT_MEASURED = "Groups of latents are not measured for this SAE yet. Run this, then reload the page:"
MEMBERS = Heading("Latents of the group", "weight of the activation, by the strongest", level=3)


def draw_groups(view: SaeView) -> None:
    """The table of all values, the curve of one, and one group of it with its clips."""
    groups = view.groups()
    if groups is None:
        st.info(NOT_MEASURED, icon=":material/group_work:")
        st.code(
            f"python -m sae_core trust --workspace {view.workspace.path} --sae {view.name}",
            language="bash",
            wrap_lines=True,
        )
        return
    table = groups_beside(view)
    if table.empty:
        st.info(
            "No attribute value has enough clips for groups. Import with labels.", icon=":material/label_off:"
        )
        return
    draw_one_group(view, groups, table)


@part_of_page
def draw_one_group(view: SaeView, groups: Groups, table: pd.DataFrame) -> None:
    """All of it; another value or size redraws nothing else."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="group_choices"):
        chosen = choose_value(view)
        some = table.head(0) if chosen is None else _of_value(table, chosen)
        size = None if some.empty else _choose_size(some)
    if chosen is not None and size is not None:
        draw_one(view, groups, some, (chosen, size))
    else:
        st.info(
            "There are no groups for this value: they are made of attributes, not of sources.",
            icon=":material/group_work:",
        )
    with st.container(border=True, key="groups_table"):
        st.header("All values", anchor=False, help=HELP)
        cell_tables(
            _tables(view, table, chosen, size), key="groups_cells", on_open=_open, shows_in="group_choices"
        )
        csv_button(lambda: table, name=f"{view.name}-groups", key="groups_csv")


def _of_value(table: pd.DataFrame, value: tuple[str, str]) -> pd.DataFrame:
    return table[(table["attribute"] == value[0]) & (table["value"] == value[1])]


def _choose_size(some: pd.DataFrame) -> int:
    """How many latents: what the address says, at first the smallest group that comes near the best."""
    sizes = [int(n) for n in some.loc[some["kind"] == GROUP, "n_latents"]]
    options = {str(n): counted(n, "latent") for n in sizes}
    usual = str(int(some["n_needed"].iloc[0]))
    return int(choose_one(SIZE, options, usual=usual, label="Group", width=150, help=SIZES_HELP))


def _open(what: str) -> None:
    """A cell was clicked: its value and size are chosen."""
    value, size = what.rsplit("|", 1)
    links.choose(VALUE, value)
    links.choose(SIZE, size)


def draw_one(view: SaeView, groups: Groups, some: pd.DataFrame, which: tuple[tuple[str, str], int]) -> None:
    """The curve of a value beside the members of one group, then the group's clips."""
    (attribute, value), size = which
    group = groups.group(attribute, value, size)
    draw_sentence(view, some, size)
    left, right = st.columns([3, 2], gap="medium")
    with left.container(border=True, height="stretch"):
        st.header(f"{plain(value_words(attribute, value))} by number of latents", anchor=False, help=HELP)
        show(curve_figure(some, size), key="groups_curve", alt="F1 by number of latents")
    with right.container(border=True, height="stretch"):
        draw_members(view, group)
    top = float(group.activations(view.codes).max(initial=0.0))
    playable_examples(view, view.group_examples(group, n=N_CLIPS), top=top)
    draw_absorbed(view, attribute, value)


def draw_sentence(view: SaeView, some: pd.DataFrame, size: int) -> None:
    """What the chosen group reaches, beside the single latent and the probe."""
    lines = {kind: some[some["kind"] == kind] for kind in (SINGLE, GROUP, PROBE)}
    reached = lines[GROUP][lines[GROUP]["n_latents"] == size].iloc[0]
    needed = int(some["n_needed"].iloc[0])
    said = f"{evidence_badge(str(some['evidence'].iloc[0]))} **{counted(size, 'latent')}: F1 {_f1(reached)}**"
    for kind, words in ((SINGLE, "best single latent"), (PROBE, "linear probe")):
        if not lines[kind].empty:
            said += f" · {words} {_f1(lines[kind].iloc[0])}"
    verdict = (
        "One latent is enough." if needed == 1 else f"{needed} latents come within 0.02 of the best group."
    )
    with st.container(border=True, horizontal=True, vertical_alignment="center", key="group_sentence"):
        st.markdown(f"{said} · {verdict}", width="stretch")
        group_link(view, _positive(view.groups(), some, size))


def _positive(groups: Groups | None, some: pd.DataFrame, size: int) -> list[int]:
    """The members that speak for the value, by the order in which they were chosen."""
    if groups is None:
        return []
    group = groups.group(str(some["attribute"].iloc[0]), str(some["value"].iloc[0]), size)
    return [int(latent) for latent, weight in zip(group.latents, group.weights, strict=True) if weight > 0]


def _f1(line: pd.Series) -> str:
    return with_interval(line["f1"], line["f1_low"], line["f1_high"])


def draw_members(view: SaeView, group: LatentGroup) -> None:
    """The latents of a group and their weights; a click opens one."""
    largest = max(abs(float(weight)) for weight in group.weights) or 1.0
    bars = [
        RankedBar(
            label=latent_name(view, int(latent)),
            filled=abs(float(weight)) / largest,
            value_text=f"{weight:+.2f}",
            tone="" if weight > 0 else "below",
            help="Speaks for the value." if weight > 0 else "Speaks against the value.",
            opens=int(latent),
            href=links.latent_address(view, int(latent)),
        )
        for latent, weight in sorted(
            zip(group.latents, group.weights, strict=True), key=lambda pair: -abs(float(pair[1]))
        )
    ]
    opened = ranking(bars, key="group_members", heading=MEMBERS)
    if opened is not None:
        links.open_latent(view, opened)


def curve_figure(some: pd.DataFrame, size: int) -> go.Figure:
    """F1 over the number of latents, with the single latent and the linear probe as lines across."""
    groups = some[some["kind"] == GROUP].sort_values("n_latents")
    colour = str(st.get_option(f"theme.{st.context.theme.type or 'light'}.chartCategoricalColors")[0])
    places = [str(n) for n in groups["n_latents"]]
    up, down = (
        (groups["f1_high"] - groups["f1"]).clip(lower=0),
        (groups["f1"] - groups["f1_low"]).clip(lower=0),
    )
    figure = go.Figure()
    figure.add_scatter(
        x=places, y=groups["f1"].to_numpy(), mode="lines+markers", line={"color": colour, "width": 2.2},
        marker={"size": [13 if n == size else 8 for n in groups["n_latents"]], "color": colour},
        error_y={"type": "data", "array": up, "arrayminus": down, "thickness": 1.1, "width": 3},
        hovertemplate="%{x} latents: F1 %{y:.2f}<extra></extra>",
    )  # fmt: skip
    for kind, words, dash in ((PROBE, "linear probe", "dash"), (SINGLE, "single latent", "dot")):
        line = some[some["kind"] == kind]
        if not line.empty:
            level = float(line["f1"].iloc[0])
            figure.add_hline(y=level, line_dash=dash, line_width=1.4, line_color=muted())
            figure.add_annotation(
                x=1, xref="x domain", y=level, text=f"{words} {level:.2f}", showarrow=False, xanchor="right",
                yanchor="bottom" if kind == PROBE and level < 0.93 else "top", font_size=11,
            )  # fmt: skip
    dress(figure, height_px=290, x="latents together", y="F1")
    figure.update_xaxes(type="category")
    return figure.update_yaxes(range=[0, 1.04])


def _tables(
    view: SaeView, table: pd.DataFrame, chosen: tuple[str, str] | None, size: int | None
) -> list[CellTable]:
    """A table for each attribute: values by size, those measured on unseen speakers first, the probe last."""
    sizes = sorted(int(n) for n in table.loc[table["kind"] == GROUP, "n_latents"].unique())
    has_probe = bool((table["kind"] == PROBE).any())
    drawn: dict[str, list[tuple[str, list[Cell]]]] = {}
    ranked = table.sort_values("evidence", key=lambda kinds: kinds != UNSEEN_SPEAKERS, kind="stable")
    for (attribute, value), some in ranked.groupby(["attribute", "value"], sort=False):
        is_chosen = (attribute, value) == chosen
        cells = [_cell(some, n, is_open=is_chosen and n == size) for n in sizes]
        words = value_words(str(attribute), str(value))
        words += "" if some["evidence"].iloc[0] == UNSEEN_SPEAKERS else " (seen)"
        drawn.setdefault(str(attribute), []).append((words, cells + ([_probe(some)] if has_probe else [])))
    heads = [*(str(n) for n in sizes), *(["probe"] if has_probe else [])]
    return [
        CellTable(column_words(name), "latents", heads, drawn[name], is_wide=True)
        for name in view.workspace.corpus.attributes
        if name in drawn
    ]


def _cell(some: pd.DataFrame, size: int, *, is_open: bool) -> Cell:
    line = some[(some["kind"] == GROUP) & (some["n_latents"] == size)]
    if line.empty:
        return Cell()
    found = line.iloc[0]
    is_needed = int(found["n_needed"]) == size
    return Cell(
        text=f"{found['f1']:.2f}" + (" ✓" if is_needed else ""),
        detail=bounds(found["f1_low"], found["f1_high"]),
        filled=float(found["f1"]),
        opens=f"{found['attribute']}={found['value']}|{size}",
        is_marked=is_open,
        help="The smallest group within 0.02 of the best." if is_needed else "",
    )


def _probe(some: pd.DataFrame) -> Cell:
    line = some[some["kind"] == PROBE]
    if line.empty:
        return Cell()
    found = line.iloc[0]
    return Cell(
        text=f"{found['f1']:.2f}", detail=bounds(found["f1_low"], found["f1_high"]), help="Linear probe"
    )
