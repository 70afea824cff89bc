"""How growth is told: exponents, extrapolation, the table and the picture; the timing itself is a benchmark."""

import math
import xml.etree.ElementTree as ET

import pytest

from benchmarks import growth
from benchmarks.growth_picture import draw, last_exponent
from benchmarks.growth_report import Timings, extrapolate, fitted_exponent, report

MACHINE = {"processor": "P", "threads": "2", "memory": "8 GiB", "versions": "V"}


def grown(power: float, scale: float = 1e-6) -> dict[int, float]:
    return {n: scale * n**power for n in (10**4, 10**5, 10**6)}


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0, 2.0])
def test_exponents_are_slopes(power):
    assert last_exponent(grown(power)) == pytest.approx(power)
    assert fitted_exponent(grown(power)) == pytest.approx(power)


def test_n_log_n_passes_and_a_square_falls_short():
    n_log_n = {n: 1e-6 * n * math.log(n) for n in (10**4, 10**5, 10**6)}
    verdicts = [
        growth.growth_row("x", "n log n", found, growth.MOST_STAGE).verdict for found in (n_log_n, grown(2.0))
    ]
    assert verdicts == ["PASS", "short"]
    assert growth.growth_row("x", "no growth", grown(1.0), growth.MOST_PAGE).verdict == "short"


def test_nothing_is_extrapolated_below_proportion():
    assert extrapolate(grown(1.0), 10**6) == pytest.approx(1.0)
    assert extrapolate(grown(0.2), 10**8) == pytest.approx(100 * grown(0.2)[10**6])
    assert extrapolate(grown(2.0), 10**8) == pytest.approx(10**4 * grown(2.0)[10**6])
    assert extrapolate({300: 3.0, 1000: 10.0}, 10**6) == pytest.approx(10_000)


def test_table_and_picture_show_everything_measured(monkeypatch, tmp_path):
    timings = Timings(
        {"encode": grown(1.0)}, {"Clips": grown(0.1, 1e-3)}, {"codes (k 32)": 256.0}, {10**6: 900.0}
    )
    told = report(timings, MACHINE)
    for words in ("| encode |", "| Clips |", "| codes (k 32) | 256 | 25.6 GB |", "1,000,000 clips: 900 MB"):
        assert words in told
    shown = ET.fromstring(draw(timings.stages, timings.pages))
    texts = [element.text for element in shown.iter("{http://www.w3.org/2000/svg}text")]
    assert "encode, 1.00" in texts and "Clips, 0.10" in texts
    document = tmp_path / "scale.md"
    document.write_text(f"before\n{growth.BEGIN}\nold\n{growth.END}\nafter\n", encoding="utf-8")
    for name, path in (("DOCUMENT", document), ("RESULTS", tmp_path), ("PICTURE", tmp_path / "growth.svg")):
        monkeypatch.setattr(growth, name, path)
    for _ in range(2):
        growth.keep(timings, MACHINE)
    text = document.read_text("utf-8")
    assert text.startswith("before\n") and text.endswith("after\n")
    assert text.count("| encode |") == 1 and "old" not in text
