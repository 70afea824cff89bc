"""The figures of a report: a clip on its way through the SAE, sweeps, movements, similarities, DET curves, erasure."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from sae_core.analysis.latent_names import latent_name
from sae_core.analysis.movement import ActiveSet
from sae_core.analysis.steering_experiment import GroupHistogram, Histograms
from sae_core.corpus.words import counted
from sae_core.measures.movement import ELSEWHERE, IN_INDEX, NO_LATENT, Movement
from sae_core.measures.profiles import MethodExample
from sae_core.measures.verification import VerificationResult
from sae_core.report.drawing import HEIGHT, WIDTH, Frame, figure, letters, mark, picture, short
from sae_core.report.markup import Child, Markup, element, markup
from sae_core.workspace.workspace import SaeView

FRACTIONS = {0.0: "0", 0.25: "0.25", 0.5: "0.5", 0.75: "0.75", 1.0: "1"}
DET_TICKS = {
    -3.0902: "0.1 %",
    -2.3263: "1 %",
    -1.6449: "5 %",
    -1.2816: "10 %",
    -0.8416: "20 %",
    -0.2533: "40 %",
}
DET_RANGE = (-3.3, 0.0)
N_STRIPES = 64
N_BARS = 10
N_PLACES = 6
MAX_KS = 4
N_COLOURS = 8


def method_figure(view: SaeView, example: MethodExample) -> Markup:
    """One clip: its embedding e, its active latents v, and the embedding ê that these rebuild."""
    top = float(example.activations.max(initial=0.0)) or 1.0
    lines = []
    for place, (latent, activation) in enumerate(
        list(zip(example.latents, example.activations, strict=True))[:N_BARS]
    ):
        y = 16.0 + 21 * place
        lines += [
            letters(short(latent_name(view, int(latent)), 22), 140, y + 11, anchor="end"),
            mark("rect", "bar c0", x=146, y=y, width=max(1.0, 150 * float(activation) / top), height=14.0),
            letters(f"{activation:.2f}", 302 + 4, y + 11),
        ]
    shown = np.concatenate([example.embedding[:N_STRIPES], example.reconstruction[:N_STRIPES]])
    most = float(np.abs(shown).max()) or 1.0
    left = [
        _stripes(example.embedding, most, "e, its embedding"),
        _stripes(example.reconstruction, most, "ê, rebuilt from these latents"),
    ]
    height = 30.0 + 21 * max(1, min(N_BARS, len(example.latents)))
    more = len(example.latents) - N_BARS
    return figure(
        [
            picture(*left[0], alt="The embedding of the clip", height=120.0),
            picture(*lines, alt="The latents that are active on the clip, strongest first", height=height),
            picture(*left[1], alt="The embedding rebuilt from these latents", height=120.0),
        ],
        f"e has {len(example.embedding)} numbers; {len(example.latents)} of {view.n_latents:,} latents are active"
        f"{f', {more} more than are drawn' if more > 0 else ''}; the cosine of e and ê is {example.cosine:.2f}. "
        f"Of e and ê the first {min(N_STRIPES, len(example.embedding))} numbers are drawn.",
    )


def _stripes(vector: np.ndarray, most: float, words: str) -> tuple[Markup, ...]:
    """A vector as bars up and down from a line."""
    shown = vector[:N_STRIPES]
    step = (WIDTH - 20) / len(shown)
    bars = [
        mark(
            "rect", "bar c1", x=10 + step * place, width=0.7 * step, height=max(0.5, 40 * abs(value) / most),
            y=62 - max(0.0, 40 * value / most),
        )
        for place, value in enumerate(map(float, shown))
    ]  # fmt: skip
    return letters(words, 10, 14), *bars, mark("line", "grid", x1=10, x2=WIDTH - 10, y1=62, y2=62)


def sweep_figure(
    points: pd.DataFrame, *, variants: Mapping[str, str], ceiling: float | None, caption: Child
) -> Markup:
    """F1 over the number of latents, a line for each k, a picture for each variant, with intervals."""
    sizes = sorted(points["n_latents"].unique().tolist())
    ks = sorted(points["k"].unique().tolist())[:MAX_KS]
    pictures = []
    for variant, part in points.groupby("variant", sort=True):
        frame = Frame((-0.5, len(sizes) - 0.5), (0.0, 1.0), top=26.0)
        words = variants.get(str(variant), str(variant))
        inner: list[Child] = [letters(words, frame.left, 14, kind="head")]
        inner.append(frame.axes({i: f"{n:,}" for i, n in enumerate(sizes)}, FRACTIONS, x="latents L", y="F1"))
        inner.append(
            frame.level(ceiling, f"linear probe on e {ceiling:.2f}") if ceiling is not None else None
        )
        inner += [
            _line_of(frame, part[part["k"] == k], sizes, place=(place, len(ks))) for place, k in enumerate(ks)
        ]
        pictures.append(picture(*inner, alt=f"F1 over the number of latents, {words}"))
    return figure(pictures, caption, names=[f"k = {k}" for k in ks])


def _line_of(frame: Frame, part: pd.DataFrame, sizes: list[int], *, place: tuple[int, int]) -> Markup:
    """One k: moved aside a little, so that its intervals stand beside those of others."""
    colour, n = place
    part = part.sort_values("n_latents")
    xs = [sizes.index(size) + 0.09 * (colour - (n - 1) / 2) for size in part["n_latents"]]
    dots = []
    for x, line in zip(xs, part.itertuples(), strict=True):
        ends = None if pd.isna(line.low) or pd.isna(line.high) else (float(line.low), float(line.high))
        dots.append(frame.dot(x, float(line.value), colour=colour, ends=ends))
    return markup(frame.line(xs, part["value"].tolist(), colour=colour), dots)


def flow_figure(stations: Sequence[ActiveSet], movement: Movement, caption: Child) -> Markup:
    """Two stations side by side, with a ribbon for the clips that go from one place to another."""
    gathered = movement.gather(N_PLACES)
    flows = gathered.flows()
    height, columns = 300.0, []
    for station in (0, 1):
        sizes = pd.Series(gathered.places[:, station]).value_counts()
        order = sorted(sizes.index.tolist(), key=lambda place: (_rank(place), -sizes[place]))
        columns.append(_stack(sizes, order, height))
    inner: list[Child] = [
        letters(
            short(stop.view.name.removeprefix(f"{stop.view.embeddings.name}-")),
            x,
            14,
            anchor=end,
            kind="head",
        )
        for stop, x, end in ((stations[0], 0.0, "start"), (stations[1], WIDTH, "end"))
    ]
    inner += _ribbons(flows, columns)
    for station, x in ((0, 84.0), (1, 266.0)):
        for place, (low, high) in columns[station].items():
            kind = "bar c0" if place == IN_INDEX else "bar quiet"
            inner.append(mark("rect", kind, x=x, y=low, width=10, height=max(1.0, high - low)))
            if high - low >= 9:
                at, end = (x - 4, "end") if station == 0 else (x + 14, "start")
                words = short(_place_words(stations[station], place), 13)
                inner.append(letters(words, at, (low + high) / 2 + 4, anchor=end))
    return figure([picture(*inner, alt="How clips move from one SAE to the other", height=height)], caption)


def _rank(place: int) -> int:
    return {IN_INDEX: 0, ELSEWHERE: 2, NO_LATENT: 3}.get(int(place), 1)


def _stack(sizes: pd.Series, order: list[int], height: float) -> dict[int, tuple[float, float]]:
    """Where each place stands in its column: top and bottom."""
    gap, top = 5.0, 24.0
    scale = (height - top - 8 - gap * (len(order) - 1)) / max(int(sizes.sum()), 1)
    found = {}
    for place in order:
        bottom = top + float(sizes[place]) * scale
        found[int(place)] = (top, bottom)
        top = bottom + gap
    return found


def _ribbons(flows: pd.DataFrame, columns: Sequence[dict[int, tuple[float, float]]]) -> list[Markup]:
    """Each flow as a band between its two places, as thick as it has clips."""
    used = [{place: ends[0] for place, ends in column.items()} for column in columns]
    total = sum(high - low for low, high in columns[0].values()) / max(int(flows["n"].sum()), 1)
    ranked = flows.assign(a=flows["source"].map(_rank), b=flows["target"].map(_rank)).sort_values(["a", "b"])
    other = sum(high - low for low, high in columns[1].values()) / max(int(flows["n"].sum()), 1)
    bands = []
    for flow in ranked.itertuples():
        left, right = used[0][int(flow.source)], used[1][int(flow.target)]
        thick, thick_right = flow.n * total, flow.n * other
        used[0][int(flow.source)] += thick
        used[1][int(flow.target)] += thick_right
        d = (
            f"M94 {left:.1f}C180 {left:.1f} 180 {right:.1f} 266 {right:.1f}V{right + thick_right:.1f}"
            f"C180 {right + thick_right:.1f} 180 {left + thick:.1f} 94 {left + thick:.1f}Z"
        )
        is_kept = flow.source == IN_INDEX and flow.target == IN_INDEX
        kind = "c0" if is_kept else "c2" if flow.source == IN_INDEX else "c1"
        bands.append(element("path", d=d, class_=f"ribbon {kind}"))
    return bands


def _place_words(stop: ActiveSet, place: int) -> str:
    if place == IN_INDEX:
        return latent_name(stop.view, stop.latent)
    return {ELSEWHERE: "other latents", NO_LATENT: "no latent"}.get(place) or latent_name(stop.view, place)


def similarities_figure(histograms: Histograms, caption: Child) -> Markup:
    """Similarities before and after steering, a picture for each group of pairs."""
    pictures = [
        _similarities(name, group, (histograms.low, histograms.high))
        for name, group in histograms.groups.items()
        if group.n_pairs
    ]
    return figure(pictures, caption, names=["before", "after"])


def _similarities(name: str, group: GroupHistogram, span: tuple[float, float]) -> Markup:
    top = float(max(group.before.max(), group.after.max())) or 1.0
    frame = Frame(span, (0.0, 1.1 * top), height=170.0, top=34.0, left=14.0)
    edges = np.linspace(*span, len(group.before) + 1)
    inner: list[Child] = [
        letters(short(name, 40), 14, 13, kind="head"),
        letters(
            f"{counted(group.n_pairs, 'pair')}, mean {group.mean_before:.3f} → {group.mean_after:.3f}", 14, 28
        ),
        frame.axes({at: f"{at:g}" for at in _round_ticks(span)}, {0.0: ""}, x="cosine similarity"),
    ]
    for colour, (shares, mean) in enumerate(
        ((group.before, group.mean_before), (group.after, group.mean_after))
    ):
        xs, ys = np.repeat(edges, 2)[1:-1], np.repeat(shares, 2)
        inner.append(frame.line(xs, ys, colour=colour, is_dashed=colour == 1))
        at = frame.across(mean)
        inner.append(mark("line", f"mean c{colour}", x1=at, x2=at, y1=frame.top, y2=170 - frame.bottom))
    return picture(*inner, alt=f"Similarities of pairs: {name}", height=170.0)


def _round_ticks(span: tuple[float, float]) -> list[float]:
    step = 0.25 if span[1] - span[0] > 0.9 else 0.1
    first = np.ceil(span[0] / step - 1e-9) * step
    return [round(float(at), 4) for at in np.arange(first, span[1] + 1e-9, step)]


def det_figure(results: Mapping[str, VerificationResult], caption: Child) -> Markup:
    """DET curves on axes of normal deviates; the dotted line marks equal error rates."""
    height = 330.0
    frame = Frame(DET_RANGE, DET_RANGE, height=height, left=52.0)
    ticks = {at: words for at, words in DET_TICKS.items() if DET_RANGE[0] < at < DET_RANGE[1]}
    inner: list[Child] = [frame.axes(ticks, ticks, x="false acceptance rate", y="false rejection rate")]
    low, high = DET_RANGE
    inner.append(
        mark(
            "line",
            "level",
            x1=frame.across(low),
            y1=frame.down(low),
            x2=frame.across(high),
            y2=frame.down(high),
        )
    )
    for place, result in enumerate(list(results.values())[:N_COLOURS]):
        far, frr = result.det_probits()
        is_in = (far >= low) & (far <= high) & (frr >= low) & (frr <= high)
        inner.append(frame.line(far[is_in], frr[is_in], colour=place, is_dashed=place > 2))
    names = [f"{name}, EER {100 * result.eer:.1f} %" for name, result in results.items()]
    return figure([picture(*inner, alt="DET curves", height=height)], caption, names=names[:N_COLOURS])


def activation_figure(histogram: pd.DataFrame, threshold: float) -> Markup:
    """How many clips have which activation, with the threshold of the latent."""
    top, most = float(histogram["high"].max()), max(int(histogram["n"].max()), 1)
    frame = Frame((0.0, top), (0.0, 1.05 * most), left=52.0, top=24.0)
    bars = [
        mark(
            "rect", "bar c0", x=frame.across(line.low), y=frame.down(line.n),
            width=max(0.5, frame.across(line.high) - frame.across(line.low) - 1),
            height=frame.down(0) - frame.down(line.n),
        )
        for line in histogram.itertuples()
    ]  # fmt: skip
    ticks = {at: f"{at:.3g}" for at in np.linspace(0, top, 5)}
    inner: list[Child] = [
        frame.axes(ticks, {0: "0", most: f"{most:,}"}, x="activation", y="clips"),
        *bars,
    ]
    if 0 < threshold < top:
        at = frame.across(threshold)
        inner.append(mark("line", "mean c2", x1=at, x2=at, y1=frame.top, y2=frame.down(0)))
        inner.append(letters(f"threshold {threshold:.2f}", at, frame.top - 6, anchor="middle"))
    return figure([picture(*inner, alt="Clips by activation")], "Clips by the activation of the latent.")


def erasure_figure(points: pd.DataFrame, caption: Child) -> Markup:
    """What a probe still tells, and the EER, as latents are removed in several orders."""
    orders = [name for name, part in points.groupby("method", sort=False) if len(part) > 1][:N_COLOURS]
    removed = points[points["method"].isin(orders)]
    most, eers = max(int(removed["n_latents"].max()), 1), removed["eer"].astype(float)
    top = min(1.0, 1.25 * float(eers.max()))
    ticks = {float(at): f"{at:.0f}" for at in np.unique(np.linspace(0, most, 5).round())}
    pictures = []
    for column, words, high, marks in (
        ("balanced_accuracy", "balanced accuracy of a probe", 1.0, FRACTIONS),
        ("eer", "EER", top, {float(at): f"{100 * at:.0f} %" for at in np.linspace(0, top, 5)}),
    ):
        frame = Frame((0.0, float(most)), (0.0, high), top=26.0)
        inner: list[Child] = [letters(words, frame.left, 14, kind="head")]
        inner.append(frame.axes(ticks, marks, x="latents removed"))
        inner.append(frame.level(0.5, "chance") if column == "balanced_accuracy" else None)
        for place, name in enumerate(orders):
            part = points[points["method"] == name].sort_values("n_latents")
            inner.append(
                frame.line(part["n_latents"].tolist(), part[column].astype(float).tolist(), colour=place)
            )
        pictures.append(picture(*inner, alt=f"{words} over the number of latents removed", height=HEIGHT))
    return figure(pictures, caption, names=orders)
