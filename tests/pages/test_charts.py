"""Ink of figures can be read: ticks and annotations on the ground of both themes, numbers on their marks."""

import tomllib
from pathlib import Path

import numpy as np
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


# Machado, Oliveira, Fernandes 2009 (doi 10.1109/TVCG.2009.113), for people without one of the three kinds of cones
VISION = {
    "normal": np.eye(3),
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritan": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
N_TOLD_APART = 8  # HUES in pages/figures/point_map/palette.js
D65 = np.array([0.95047, 1.0, 1.08883])
XYZ = np.array([[0.41246, 0.35758, 0.18044], [0.21267, 0.71515, 0.07218], [0.01933, 0.11919, 0.95030]])


def lab(colours, vision):
    """CIELAB of `#rrggbb` colours as people of some vision see them."""
    parts = np.array(
        [[int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)] for colour in colours]
    )
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(VISION[vision]).T, 0, 1) @ XYZ.T / D65
    f = np.where(seen > 216 / 24389, np.cbrt(seen), (24389 / 27 * seen + 16) / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("kind", ["light", "dark"])
def test_categories_are_told_apart_by_people_with_any_colour_vision(kind, vision):
    colours = theme_of(kind)["chartCategoricalColors"][:N_TOLD_APART]
    seen = lab(colours, vision)
    apart = np.linalg.norm(seen[:, None] - seen, axis=2)[np.triu_indices(len(colours), 1)]
    assert apart.min() >= 20
    assert min(contrast(colour, theme_of(kind)["backgroundColor"]) for colour in colours) >= 3


@pytest.mark.parametrize("kind", ["light", "dark"])
def test_captions_stand_out_from_the_ground(kind):
    theme = theme_of(kind)
    pairs = [
        (int(theme["textColor"][place : place + 2], 16), int(theme["backgroundColor"][place : place + 2], 16))
        for place in (1, 3, 5)
    ]
    caption = "#" + "".join(f"{round(0.6 * ink + 0.4 * ground):02x}" for ink, ground in pairs)
    assert contrast(caption, theme["backgroundColor"]) >= 4.5
