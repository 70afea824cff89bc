"""How a latent's clips sound: the line that distinguishes it, and its correlation with each acoustic measure."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from pages.figures.ranking.ranking import RankedBar, ranking
from pages.shared import charts, wording
from pages.shared.heading import Heading
from pages.shared.problems import say_remedy
from sae_core.analysis.hints import ACOUSTIC_MEASURES, hint, say_limit
from sae_core.analysis.latent_acoustics import LatentAcoustics, relate_to_sound
from sae_core.files.errors import VoxScopeError
from sae_core.workspace.workspace import SaeView

HELP = (
    "Spearman's rank correlation between this latent's activation and each measure: 1 where the more it is active the "
    "higher the measure, −1 where the lower, 0 where they have nothing to do with each other. Clips on which it is "
    "silent count as activation 0. Bars: 95 % interval, speakers resampled."
)
NO_INTERVAL = "Too few speakers for an interval: what their clips have in common may be chance."
TITLE = "Acoustic correlates"
RANGES = Heading(
    "90 % range of its clips",
    "tick: fraction of all other clips; grey where the difference may be chance",
    "Too few clips or speakers to say.",
    level=3,
)
LINE_PX, AROUND_PX = 27, 44


def draw_hint(view: SaeView, latent: int) -> None:
    """One line on what distinguishes it, from measured facts only."""
    line = hint(view, latent, say=wording.value_words)
    st.markdown(f":material/lightbulb: :gray[{wording.plain(line[:1].upper() + line[1:])}.]")


def draw_sound(view: SaeView, latent: int) -> None:
    """Its correlation with pitch, noise, bandwidth, …, and where most of its clips lie; or what to run where clips are
    not measured."""
    try:
        found = relate_to_sound(view, latent)
    except VoxScopeError as error:
        with st.container(border=True, key="latent_sound"):
            st.subheader(TITLE, anchor=False, help=HELP)
            st.caption(f"Not known: this workspace {wording.plain(error.what)}.")
            say_remedy(error.remedy)
        return
    left, right = st.columns([6, 5], gap="medium")
    with left.container(border=True, height="stretch", key="latent_sound"):
        st.subheader(TITLE, anchor=False, help=HELP)
        if len(found.correlations):
            figure = correlation_figure(found.correlations)
            charts.show(figure, key="sound_figure", alt="Correlation with acoustic measures")
        st.caption(_beneath(found))
    with right.container(border=True, height="stretch"):
        bars = [range_bar(line) for line in found.ranges.itertuples()]
        ranking(bars, key="sound_ranges", heading=RANGES)


def range_bar(line: Any) -> RankedBar:
    """On which side of a limit most of the latent's clips lie, and how many of the others."""
    measure = ACOUSTIC_MEASURES[line.measure]
    difference = f"{wording.percent(max(line.excess_low, 0))} to {wording.percent(line.excess_high)}"
    return RankedBar(
        label=f"{measure.words} {'<' if line.is_below else '>'} {measure.say(line.limit)}",
        filled=line.share,
        marker=line.other_fraction,
        value_text=wording.percent(line.share),
        tone="" if line.excess_low > 0 else "below",
        help=f"{wording.percent(line.share)} of its clips lie {say_limit(line.measure, line.is_below, line.limit)}, "
        f"{wording.percent(line.other_fraction)} of all others"
        + (
            f"; 95 % interval: {difference} more. "
            if line.excess_low > 0
            else "; the difference may be chance. "
        )
        + measure.help,
    )


def _beneath(found: LatentAcoustics) -> str:
    drawn = " of speakers drawn from all" if found.is_sample else ""
    if not len(found.correlations):
        return "No measure varies among these clips."
    words = f"Rank correlation of its activation with each measure, over {found.n_clips:,} clips{drawn}."
    return f"{words} {NO_INTERVAL}" if found.correlations["low"].isna().all() else words


def _in_words(line: Any) -> tuple[str, str, str]:
    """A correlation with its interval, what the measure is, and how many clips have it."""
    number = wording.with_interval(line.correlation, line.low, line.high)
    return number, ACOUSTIC_MEASURES[line.measure].help, wording.counted(int(line.n_clips), "clip")


def correlation_figure(correlations: pd.DataFrame) -> go.Figure:
    """A dot with its interval for each measure, about a line at 0; what the interval keeps off 0 is drawn strongly."""
    names = [ACOUSTIC_MEASURES[measure].words for measure in correlations["measure"]]
    values = correlations["correlation"].to_numpy(dtype=float)
    low, high = (correlations[side].astype(float).fillna(0).to_numpy() for side in ("low", "high"))
    is_known = correlations["low"].notna().to_numpy()
    is_sure = is_known & ((low > 0) | (high < 0))
    figure = go.Figure(
        go.Scatter(
            x=values,
            y=names,
            mode="markers",
            marker={"size": 9, "opacity": [1.0 if sure else 0.4 for sure in is_sure]},
            error_x={
                "type": "data",
                "array": (high - values).clip(min=0) * is_known,
                "arrayminus": (values - low).clip(min=0) * is_known,
                "thickness": 1.5,
                "width": 4,
            },
            customdata=[_in_words(line) for line in correlations.itertuples()],
            hovertemplate="<b>%{y}</b> %{customdata[0]}<br>%{customdata[1]}<br>%{customdata[2]}<extra></extra>",
        )
    )
    figure.add_vline(x=0, line_dash="dot", line_width=1.5, line_color="gray")
    figure = charts.dress(figure, height_px=AROUND_PX + LINE_PX * len(names))
    reach = max(0.5, *abs(values), *abs(low), *abs(high))
    figure.update_xaxes(range=[-1.08 * reach, 1.08 * reach])
    return figure.update_yaxes(autorange="reversed", showgrid=True)
