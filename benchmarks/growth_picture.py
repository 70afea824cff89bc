"""The picture of how cost grows: two log-log panels as SVG."""

import math

WIDTH, HEIGHT, LEFT, TOP, PLOT, LABELS = 1230, 560, 60, 50, 330, 190
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#e377c2", "#7f7f7f")


Seconds = dict[str, dict[int, float]]


def draw(stages: Seconds, pages: Seconds) -> str:
    """Two log-log panels as SVG: stages, and the data behind pages; a grey line shows what in proportion would be."""
    panels = [
        _panel("Stages", stages, LEFT),
        _panel("Data behind a page", pages, LEFT + PLOT + LABELS + 70),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="11">\n<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>\n'
        + "\n".join(panels)
        + "\n</svg>\n"
    )


def _panel(title: str, found: Seconds, left: int) -> str:
    sizes = sorted({n for seconds in found.values() for n in seconds})
    times = [value for seconds in found.values() for value in seconds.values()]
    low, high = (math.floor(math.log10(min(times))), math.ceil(math.log10(max(times))))
    first, last = math.floor(math.log10(sizes[0])), math.ceil(math.log10(sizes[-1]))
    bottom, tall = HEIGHT - 40, HEIGHT - 40 - TOP

    def x(n: float) -> float:
        return left + PLOT * (math.log10(n) - first) / (last - first)

    def y(seconds: float) -> float:
        return bottom - tall * (math.log10(seconds) - low) / (high - low)

    parts = [f'<text x="{left}" y="{TOP - 20}" font-size="15" font-weight="bold">{title}</text>']
    for power in range(low, high + 1):
        at = y(10.0**power)
        parts.append(f'<line x1="{left}" x2="{left + PLOT}" y1="{at:.1f}" y2="{at:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 6}" y="{at + 4:.1f}" text-anchor="end">{_tick(power)}</text>')
    for power in range(first, last + 1):
        parts.append(
            f'<text x="{x(10.0**power):.1f}" y="{bottom + 18}" text-anchor="middle">{10**power:,}</text>'
        )
    parts.append(f'<text x="{left + PLOT / 2}" y="{bottom + 34}" text-anchor="middle">clips</text>')
    rise = min(last - first, high - low)
    parts.append(
        f'<line x1="{x(10.0**first):.1f}" y1="{y(10.0**low):.1f}" x2="{x(10.0 ** (first + rise)):.1f}" '
        f'y2="{y(10.0 ** (low + rise)):.1f}" stroke="#999" stroke-dasharray="4 4"/>'
    )
    ends = sorted(found, key=lambda name: -found[name][max(found[name])])
    for place, name in enumerate(ends):
        colour, seconds = COLOURS[place % len(COLOURS)], sorted(found[name].items())
        points = " ".join(f"{x(n):.1f},{y(value):.1f}" for n, value in seconds)
        at, label = y(seconds[-1][1]), TOP + 8 + place * min(34.0, tall / len(ends))
        end = x(seconds[-1][0])
        text = f"{name}, {last_exponent(found[name]):.2f}"
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(
            f'<line x1="{end:.1f}" y1="{at:.1f}" x2="{left + PLOT + 14}" y2="{label - 4:.1f}" stroke="{colour}" '
            f'stroke-width="0.6"/><text x="{left + PLOT + 17}" y="{label:.1f}" fill="{colour}">{text}</text>'
        )
    return "\n".join(parts)


def _tick(power: int) -> str:
    return (
        f"{10**power} s"
        if power >= 0
        else f"{10 ** (power + 3)} ms"
        if power >= -3
        else f"{10 ** (power + 6)} µs"
    )


def last_exponent(seconds: dict[int, float]) -> float:
    """The slope of log seconds over log clips between the two largest sizes."""
    (small, little), (large, much) = sorted(seconds.items())[-2:]
    return math.log(much / little) / math.log(large / small)
