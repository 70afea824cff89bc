"""The score of two clips: what it decides, and its decomposition."""

from html import escape

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from pages.parts.match.choice import OperatingPoint
from pages.shared import charts
from pages.shared.announce import announce
from pages.shared.wording import counted, known_value, latent_name, plain, value_words
from sae_core.analysis.match import MatchExplanation, is_accepted
from sae_core.workspace.workspace import SaeView

N_BARS, MAX_LABEL = 9, 30
GUIDE = "#8a90a5"
LINE_PX = 25
PART_WORDS = {
    "bias": (
        "Common (bias) term",
        "The mean of all embeddings and the bias of the SAE. It says next to nothing about these two clips.",
    ),
    "both": (
        "Latents active on both",
        "The largest stand one by one in the figure.",
    ),
    "first": (
        "Latents active on the first only",
        "Positive where their directions resemble something in the other clip, negative where they oppose it.",
    ),
    "second": ("Latents active on the second only", "Likewise."),
    "error": (
        "Residual",
        "What the SAE could not reconstruct of either clip: no latent explains this part of the score.",
    ),
}
METHOD = (
    "An embedding is the sum of its parts: the bias, each activation times its decoder direction, and the residual. "
    "The "
    "cosine multiplies every part of one clip with every part of the other. A part is credited with its own term and "
    "with "
    "half of each term between it and another part (its Shapley value). The contributions sum to the score exactly "
    "and do "
    "not depend on the order of the clips."
)


def draw_verdict(
    view: SaeView, match: MatchExplanation, rows: tuple[int, int], point: OperatingPoint | None
) -> None:
    """Score, threshold, decision, and how much of the score no latent explains."""
    score, error = match.score, float(match.parts["error"])
    first, second, third, fourth = st.columns(4)
    first.metric(
        "Score",
        signed(score, plus=""),
        help="Cosine similarity of the two embeddings: 1 is identical, 0 is unrelated.",
    )
    second.metric(
        "Threshold",
        "–" if point is None else f"{point.threshold:.3f}",
        help=None if point is None else point.words,
    )
    third.metric("Residual", signed(error), help=PART_WORDS["error"][1])
    fourth.metric(
        "Reconstruction score", signed(match.rebuilt_score, plus=""),
        help="The score of the two reconstructions: what it would be without the residual.",
    )  # fmt: skip
    fraction = f", {100 * abs(error) / abs(score):.1f} % of its size" if abs(score) > 1e-3 else ""
    decision = _decision(view, score, rows, point)
    announce(f"Score {signed(score, plus='')}. {decision}", key="match")
    st.markdown(
        f"{decision} The residual contributes **{signed(error)}** to the score{fraction}; "
        "no "
        "latent below explains it."
    )


def _decision(view: SaeView, score: float, rows: tuple[int, int], point: OperatingPoint | None) -> str:
    truth = _same_speaker(view, rows)
    labelled = {
        True: "Labelled as one speaker",
        False: "Labelled as two speakers",
        None: "",
    }
    if point is None:
        return f"{labelled[truth]}." if truth is not None else ""
    accepted = is_accepted(score, point.threshold)
    side = "above" if accepted else "below"
    words = (
        f"**{'Accepted' if accepted else 'Rejected'} as one speaker**: {abs(score - point.threshold):.3f} {side} the "
        f"threshold ({point.words})."
    )
    if truth is None:
        return f"{words} The speakers are not labelled in both."
    if outside := _outside(view, rows, point):
        return f"{words} {labelled[truth]}. {outside}"
    outcome = {
        (True, True): ":green-badge[correct acceptance]",
        (False, False): ":green-badge[correct rejection]",
        (True, False): ":orange-badge[false acceptance]",
        (False, True): ":orange-badge[false rejection]",
    }
    return f"{words} {labelled[truth]}: {outcome[accepted, truth]}."


def _outside(view: SaeView, rows: tuple[int, int], point: OperatingPoint) -> str:
    """Why this pair is no verification trial, where a clip is not of the kind that trials are drawn among."""
    if point.among is None:
        return ""
    attribute, value = point.among
    corpus = view.workspace.corpus
    carries = corpus.has_value(attribute, value)
    others = [known_value(attribute, corpus.table[attribute].iloc[row]) for row in rows if not carries[row]]
    if not others:
        return ""
    return (
        f":gray-badge[no verification trial] A clip is *{plain(' and '.join(dict.fromkeys(others)))}*, the threshold "
        "is set "
        f"on trials of {attribute} *{plain(value_words(attribute, value))}*, so the decision is neither right nor "
        "wrong."
    )


def _same_speaker(view: SaeView, rows: tuple[int, int]) -> bool | None:
    one, other = view.workspace.corpus.table["speaker_id"].iloc[list(rows)]
    return None if pd.isna(one) or pd.isna(other) else bool(one == other)


def signed(value: float, *, plus: str = "+") -> str:
    """A score or a part of one, with its sign."""
    return f"{'−' if value < -5e-4 else plus}{abs(value):.3f}"


def draw_parts(view: SaeView, match: MatchExplanation, point: OperatingPoint | None) -> None:
    """The contributions from 0 to the score, beside what each part is."""
    figure, words = st.columns([7, 4], gap="medium")
    with figure.container(border=True, height="stretch", key="match_waterfall"):
        st.header("Score decomposition", anchor=False, help=METHOD)
        steps = waterfall_steps(view, match)
        charts.show(
            waterfall_figure(steps, match.score, None if point is None else point.threshold),
            key="waterfall",
            alt="Contribution of each part to the score: "
            + "; ".join(f"{step.words} {signed(step.adds)}" for step in steps.itertuples()),
        )
    with words.container(border=True, height="stretch", key="match_parts"):
        st.header("Components", anchor=False)
        counts = match.latent_table["active_on"].value_counts()
        for part, (name, what) in PART_WORDS.items():
            n = f" · {counts.get(part, 0)}" if part not in ("bias", "error") else ""
            st.markdown(f"**{signed(match.parts[part])}** {name}{n}  \n:small[:gray[{what}]]")
        total = f"{match.parts.sum():.6f}".replace("-", "−")
        st.markdown(f"**= {total}** Score  \n:small[:gray[Terms between two parts are split equally.]]")


def waterfall_steps(view: SaeView, match: MatchExplanation) -> pd.DataFrame:
    """The bars from 0 to the score, in order: words, adds, kind (a part), latent (or −1), what."""
    table = match.latent_table
    shared = table[table["active_on"] == "both"]
    lines: list[tuple[str, float, str, int]] = [(PART_WORDS["bias"][0], match.parts["bias"], "bias", -1)]
    for line in shared.head(N_BARS).itertuples():
        lines.append((latent_name(view, line.latent), line.contribution, "both", line.latent))
    rest = shared.iloc[N_BARS:]
    if len(rest):
        lines.append((f"{counted(len(rest), 'more latent')} on both", rest["contribution"].sum(), "both", -1))
    for part, clip in (("first", "first"), ("second", "second")):
        n = int((table["active_on"] == part).sum())
        if n:
            lines.append((f"{counted(n, 'latent')} on the {clip} only", match.parts[part], part, -1))
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
    numbers = [*(signed(value) for value in steps["adds"]), signed(score, plus="")]
    positions = list(range(len(labels)))
    figure = go.Figure(
        go.Bar(
            x=adds,
            base=[*starts, 0.0],
            y=positions,
            orientation="h",
            marker={"color": colours, "line": {"width": 0}},
            customdata=list(zip([*map(escape, steps["words"]), "Score"], numbers, strict=True)),
            hovertemplate="%{customdata[0]}: %{customdata[1]}<extra></extra>",
        )
    )
    # the numbers stand in a column of their own at the right, where nothing cuts them or lies over them
    figure.add_scatter(x=[None], y=[None], yaxis="y2", hoverinfo="skip", showlegend=False)
    _add_guides(figure, ends, threshold)
    figure = charts.dress(figure, height_px=60 + LINE_PX * len(labels), x="cosine")
    reach = [0.0, *ends, threshold or 0.0]
    low, high = min(reach), max(reach)
    margin = 0.03 * (high - low)
    figure.update_xaxes(range=[low - margin, high + margin], zeroline=True, showgrid=True)
    rows = {"tickvals": positions, "range": [len(labels) - 0.4, -0.6], "showgrid": False}
    figure.update_layout(yaxis={"ticktext": labels, **rows}, bargap=0.28, margin_t=26)
    right = {"overlaying": "y", "side": "right", "automargin": True, "fixedrange": True, "zeroline": False}
    return figure.update_layout(
        yaxis2={**right, "ticktext": numbers, "tickfont_color": charts.muted(), **rows}
    )


def _add_guides(figure: go.Figure, ends: np.ndarray, threshold: float | None) -> None:
    """Thin lines from the end of each bar to the next, and the threshold."""
    for position, end in enumerate(ends):
        figure.add_shape(
            type="line",
            x0=end,
            x1=end,
            y0=position - 0.4,
            y1=position + 1.4,
            line={"width": 1, "color": GUIDE},
        )
    if threshold is not None:
        figure.add_vline(x=threshold, line_dash="dot", line_width=1.5, line_color=GUIDE)
        low, high = min([*ends, threshold, 0.0]), max([*ends, threshold, 0.0])
        figure.add_annotation(
            x=threshold, y=1, yref="paper", yanchor="bottom", showarrow=False, font_size=12,
            xanchor="right" if threshold > (low + high) / 2 else "left", text=f"threshold {threshold:.3f}",
        )  # fmt: skip


def _short(words: str) -> str:
    return words if len(words) <= MAX_LABEL else f"{words[: MAX_LABEL - 1]}…"


def _colour(kind: str, adds: float) -> str:
    """Positive and negative contributions in the theme's colours; bias and residual, which are no latent's, in grey."""
    return charts.palette()[{"bias": 8, "error": 8, "score": 1}.get(kind, 0 if adds >= 0 else 2)]
