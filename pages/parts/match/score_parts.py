"""The score of two clips: what it decides, and how it is built up, part by part."""

from html import escape

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from pages.parts.match.choice import OperatingPoint
from pages.shared import charts
from pages.shared.wording import counted, latent_name
from sae_core.analysis.match import MatchExplanation, is_accepted
from sae_core.workspace.workspace import SaeView

N_BARS, MAX_LABEL = 9, 30
GUIDE = "#8a90a5"
LINE_PX = 25
PART_WORDS = {
    "bias": (
        "What all clips share",
        "The centre of all embeddings, the bias of the SAE. It says next to nothing about these two.",
    ),
    "both": (
        "Latents active in both",
        "What the SAE hears in both clips. The strongest stand one by one in the figure.",
    ),
    "first": (
        "Latents of the first clip only",
        "They add where they resemble something in the other clip, and take away where they point against it.",
    ),
    "second": ("Latents of the second clip only", "The same the other way round."),
    "error": (
        "Not explained",
        "What the SAE could not rebuild of either clip: part of the score for which no latent can answer.",
    ),
}
METHOD = (
    "An embedding is the sum of its parts: the bias, each active latent times its decoder direction, and what the SAE "
    "could not rebuild. The cosine multiplies every part of one clip with every part of the other. A part is credited "
    "with all terms that it is in; a term between two different parts goes half to each. So a part adds half of what "
    "it brings to the first clip that the second has too, and half of what it brings to the second that the first has "
    "too. The parts sum to the score exactly, and it does not matter which clip comes first."
)


def draw_verdict(
    view: SaeView, match: MatchExplanation, rows: tuple[int, int], point: OperatingPoint | None
) -> None:
    """Score, threshold, decision, and how much of it no latent explains."""
    score, error = match.score, float(match.parts["error"])
    first, second, third, fourth = st.columns(4)
    first.metric(
        "Score", signed(score, plus=""), help="Cosine of the two embeddings: 1 is the same, 0 is unrelated."
    )
    second.metric(
        "Threshold",
        "–" if point is None else f"{point.threshold:.3f}",
        help=None if point is None else point.words,
    )
    third.metric("Not explained", signed(error), help=PART_WORDS["error"][1])
    fourth.metric(
        "Rebuilt alone", signed(match.rebuilt_score, plus=""),
        help="The score of the two reconstructions: what it would be if only what the SAE explains counted.",
    )  # fmt: skip
    share = f" ({100 * abs(error) / abs(score):.1f} % of its size)" if abs(score) > 1e-3 else ""
    st.markdown(
        f"{_decision(view, score, rows, point)} What the SAE cannot rebuild {'adds' if error >= 0 else 'takes'} "
        f"**{abs(error):.3f}**{share}: nothing below can answer for that part."
    )


def _decision(view: SaeView, score: float, rows: tuple[int, int], point: OperatingPoint | None) -> str:
    truth = _same_voice(view, rows)
    labelled = {
        True: "By their labels they are one voice",
        False: "By their labels they are two voices",
        None: "",
    }
    if point is None:
        return f"{labelled[truth]}." if truth is not None else ""
    accepted = is_accepted(score, point.threshold)
    side = "above" if accepted else "below"
    words = (
        f"**{'Accepted' if accepted else 'Rejected'} as one voice**: {abs(score - point.threshold):.3f} {side} the "
        f"threshold ({point.words})."
    )
    if truth is None:
        return f"{words} Who speaks is not labelled in both."
    outcome = {
        (True, True): ":green-badge[right]",
        (False, False): ":green-badge[right]",
        (True, False): ":orange-badge[false alarm]",
        (False, True): ":orange-badge[miss]",
    }
    return f"{words} {labelled[truth]}: {outcome[accepted, truth]}."


def _same_voice(view: SaeView, rows: tuple[int, int]) -> bool | None:
    one, other = view.workspace.corpus.table["speaker_id"].iloc[list(rows)]
    return None if pd.isna(one) or pd.isna(other) else bool(one == other)


def signed(value: float, *, plus: str = "+") -> str:
    """A score or a part of one, with its sign."""
    return f"{'−' if value < -5e-4 else plus}{abs(value):.3f}"


def draw_parts(view: SaeView, match: MatchExplanation, point: OperatingPoint | None) -> None:
    """The figure from 0 to the score, beside what each part is."""
    figure, words = st.columns([7, 4], gap="medium")
    with figure.container(border=True, height="stretch", key="match_waterfall"):
        st.subheader("From 0 to the score", anchor=False, help=METHOD)
        steps = waterfall_steps(view, match)
        charts.show(
            waterfall_figure(steps, match.score, None if point is None else point.threshold),
            key="waterfall",
            alt="What each part adds to the score: "
            + "; ".join(f"{step.words} {signed(step.adds)}" for step in steps.itertuples()),
        )
    with words.container(border=True, height="stretch", key="match_parts"):
        st.subheader("What the parts are", anchor=False)
        counts = match.latent_table["active_on"].value_counts()
        for part, (name, what) in PART_WORDS.items():
            n = f" · {counts.get(part, 0)}" if part not in ("bias", "error") else ""
            st.markdown(f"**{signed(match.parts[part])}** {name}{n}  \n:small[:gray[{what}]]")
        total = f"{match.parts.sum():.6f}".replace("-", "−")
        st.markdown(
            f"**= {total}** the score  \n:small[:gray[Terms between two parts are shared half and half.]]"
        )


def waterfall_steps(view: SaeView, match: MatchExplanation) -> pd.DataFrame:
    """The bars from 0 to the score, in order: words, adds, kind (a part), latent (or −1), what."""
    table = match.latent_table
    shared = table[table["active_on"] == "both"]
    lines: list[tuple[str, float, str, int]] = [(PART_WORDS["bias"][0], match.parts["bias"], "bias", -1)]
    for line in shared.head(N_BARS).itertuples():
        lines.append((latent_name(view, line.latent), line.contribution, "both", line.latent))
    rest = shared.iloc[N_BARS:]
    if len(rest):
        lines.append((f"{counted(len(rest), 'more latent')} of both", rest["contribution"].sum(), "both", -1))
    for part, clip in (("first", "first"), ("second", "second")):
        n = int((table["active_on"] == part).sum())
        if n:
            lines.append((f"{counted(n, 'latent')} of the {clip} only", match.parts[part], part, -1))
    lines.append((PART_WORDS["error"][0], match.parts["error"], "error", -1))
    return pd.DataFrame(lines, columns=["words", "adds", "kind", "latent"])


def waterfall_figure(steps: pd.DataFrame, score: float, threshold: float | None) -> go.Figure:
    """Each bar begins where the one above it ends; the last is the score itself."""
    ends = steps["adds"].cumsum().to_numpy()
    starts = ends - steps["adds"].to_numpy()
    labels = [*(escape(_short(words)) for words in steps["words"]), "Score"]
    adds, colours = (
        [*steps["adds"], score],
        [*map(_colour, steps["kind"], steps["adds"]), _colour("score", 0)],
    )
    places = list(range(len(labels)))
    figure = go.Figure(
        go.Bar(
            x=adds,
            base=[*starts, 0.0],
            y=places,
            orientation="h",
            marker={"color": colours, "line": {"width": 0}},
            text=[*(signed(value) for value in steps["adds"]), signed(score, plus="")],
            textposition="outside",
            cliponaxis=False,
            customdata=[*map(escape, steps["words"]), "Score"],
            hovertemplate="%{customdata}: %{text}<extra></extra>",
        )
    )
    _add_guides(figure, ends, threshold)
    figure = charts.dress(figure, height_px=60 + LINE_PX * len(labels), x="cosine")
    reach = [0.0, *ends, threshold or 0.0]
    low, high = min(reach), max(reach)
    figure.update_xaxes(
        range=[low - 0.14 * (high - low), high + 0.14 * (high - low)], zeroline=True, showgrid=True
    )
    return figure.update_yaxes(
        tickvals=places, ticktext=labels, range=[len(labels) - 0.4, -0.6], showgrid=False
    ).update_layout(bargap=0.28, margin_t=26)


def _add_guides(figure: go.Figure, ends: np.ndarray, threshold: float | None) -> None:
    """Thin lines from the end of each bar to the next, and the threshold."""
    for place, end in enumerate(ends):
        figure.add_shape(
            type="line", x0=end, x1=end, y0=place - 0.4, y1=place + 1.4, line={"width": 1, "color": GUIDE}
        )
    if threshold is not None:
        figure.add_vline(x=threshold, line_dash="dot", line_width=1.5, line_color=GUIDE)
        figure.add_annotation(
            x=threshold, y=1, yref="paper", yanchor="bottom", showarrow=False, text=f"threshold {threshold:.3f}",
            font_size=11,
        )  # fmt: skip


def _short(words: str) -> str:
    return words if len(words) <= MAX_LABEL else f"{words[: MAX_LABEL - 1]}…"


def _colour(kind: str, adds: float) -> str:
    """What adds and what takes away in the theme's colours; bias and error, which no latent owns, in grey."""
    colours = st.get_option(f"theme.{st.context.theme.type or 'light'}.chartCategoricalColors")
    place = {"bias": 7, "error": 7, "score": 1}.get(kind, 0 if adds >= 0 else 2)
    return str(colours[place])
