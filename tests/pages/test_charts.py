"""Ink of figures can be read: ticks and annotations on the ground of both themes, numbers on their marks."""

import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


def theme_of(kind):
    return tomllib.loads((REPOSITORY / ".streamlit" / "config.toml").read_text("utf-8"))["theme"][kind]


def contrast(one, other):
    """The contrast ratio of two `#rrggbb` colours, as WCAG 2 defines it."""

    def luminance(colour):
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("kind", ["light", "dark"])
def test_ticks_and_annotations_stand_out_from_the_ground(kind):
    from pages.shared.charts import MUTED

    assert contrast(MUTED[kind], theme_of(kind)["backgroundColor"]) >= 4.5


@pytest.mark.parametrize("kind", ["light", "dark"])
def test_numbers_on_marks_stand_out_in_every_colour_of_the_theme(kind):
    from pages.parts.sweep.charts import ink_on

    colours = theme_of(kind)["chartCategoricalColors"]
    assert min(contrast(ink_on(colour), colour) for colour in colours) >= 4.5
