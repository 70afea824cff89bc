"""One line on what sets a latent apart, put together from measured facts and nothing else."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from sae_core.analysis.latent_acoustics import relate_to_sound
from sae_core.files.errors import ArtifactError
from sae_core.workspace.workspace import SaeView

LEAST_FRACTION = 0.7
"""Lower bound of the share of the latent's clips within a range that may be said of it."""
LEAST_EXCESS = 0.25
"""Lower bound of how much larger that share is than among all other clips."""
MOST_RANGES = 2
HOW_CUT = {"duration_s"}
"""Measures that say how clips were cut, not what is heard in them: no range of theirs is said."""
OF_SPEECH = {"snr_db"}
"""Measures against the pauses of speech: none is said of a latent for a kind of sound, which may have no pauses."""
NOTHING = "no measured fact sets it apart"
SILENT = "is silent on every clip"
WITHOUT_SOUND = "no attribute value sets it apart, and there is no sound to measure"
NOT_MEASURED = "no attribute value sets it apart, and how its clips sound is not measured yet"


@dataclass(frozen=True)
class AcousticMeasure:
    """What people call one of `ACOUSTIC_COLUMNS`.

    words: its name. help: what it is. noun: in a sentence, after a number. factor, unit, digits: how a number is said.
    """

    words: str
    help: str
    noun: str
    unit: str
    factor: float = 1.0
    digits: int = 0

    def say(self, value: float) -> str:
        """A value with its unit."""
        return f"{value * self.factor:.{self.digits}f} {self.unit}".replace("-", "−")


ACOUSTIC_MEASURES = {
    "f0_median_hz": AcousticMeasure(
        "Pitch (F0)", "Median fundamental frequency of the voiced parts.", "pitch", "Hz"
    ),
    "f0_range_semitones": AcousticMeasure(
        "Pitch movement",
        "From the 10th to the 90th percentile of the pitch within a clip.",
        "of pitch movement",
        "semitones",
        digits=1,
    ),
    "snr_db": AcousticMeasure(
        "Signal to noise", "Level of the clip over its quietest moments.", "signal to noise", "dB"
    ),
    "bandwidth_hz": AcousticMeasure(
        "Bandwidth",
        "Up to which frequency the sound reaches: about 3.4 kHz on a telephone line.",
        "bandwidth",
        "kHz",
        factor=1e-3,
        digits=1,
    ),
    "loudness_lufs": AcousticMeasure(
        "Loudness", "Integrated loudness after ITU-R BS.1770.", "loudness", "LUFS", digits=1
    ),
    "syllables_per_s": AcousticMeasure(
        "Rate of speech",
        "Syllable-like swells of the voice a second, pauses included.",
        "",
        "syllables/s",
        digits=1,
    ),
    "duration_s": AcousticMeasure("Length", "Length of the clip.", "length", "s", digits=1),
}

Say = Callable[[str, str], str]


def hint(view: SaeView, latent: int, *, say: Say | None = None) -> str:
    """One line like "is active on female voices (F1 0.91) below 3.4 kHz bandwidth".

    The value is the latent's best on unseen speakers, where they confirm it. A range holds about nine in ten of its
    clips and is said where the bounds over speakers keep to `LEAST_FRACTION` there and `LEAST_EXCESS` over all other
    clips. Of a latent that is mostly one speaker or one source no range is said: it would be that one's. say: words for
    a value.
    """
    if not 0 <= latent < view.n_latents:
        raise ValueError(f"latent {latent} is not in 0…{view.n_latents - 1}")
    facts = view.latents.iloc[latent]
    if facts["n_active"] == 0:
        return SILENT
    detected = _detected(facts, say or _as_labelled) if facts["is_named"] else ""
    warning = "" if pd.isna(facts["warning"]) else str(facts["warning"])
    unsaid = HOW_CUT | (OF_SPEECH if detected and facts["best_attribute"] == "kind" else set())
    ranges = None if warning else _ranges(view, latent, unsaid)
    if not detected and not ranges:
        unknown = NOT_MEASURED if view.workspace.corpus.has_sound else WITHOUT_SOUND
        return warning or (unknown if ranges is None else NOTHING)
    line = f"is active on {detected or 'clips'}" + (f" {' and '.join(ranges)}" if ranges else "")
    return f"{line}; {warning}" if warning else line


def _detected(facts: pd.Series, say: Say) -> str:
    attribute, value = str(facts["best_attribute"]), str(facts["best_value"])
    words = say(attribute, value)
    nouns = {"gender": f"{words} voices", "language": f"{words} speech", "kind": words}
    noun = nouns.get(attribute, f"{words} ({attribute})")
    return f"{noun} (F1 {facts['best_f1']:.2f})"


def _as_labelled(attribute: str, value: str) -> str:  # noqa: ARG001 - as every Say
    return value


def _ranges(view: SaeView, latent: int, unsaid: set[str]) -> list[str] | None:
    """The ranges that may be said, surest first; None where clips are not measured."""
    try:
        found = relate_to_sound(view, latent).ranges
    except ArtifactError:
        return None
    return _in_words(found[~found["measure"].isin(unsaid)])


def _in_words(ranges: pd.DataFrame) -> list[str]:
    confirmed = ranges[(ranges["share_low"] >= LEAST_FRACTION) & (ranges["excess_low"] >= LEAST_EXCESS)]
    surest = confirmed.sort_values("excess_low", ascending=False, kind="stable").head(MOST_RANGES)
    lines = zip(surest["measure"], surest["is_below"], surest["limit"], strict=True)
    return [f"{say_limit(*line)} {ACOUSTIC_MEASURES[line[0]].noun}".rstrip() for line in lines]


def say_limit(measure: str, is_below: bool, limit: float) -> str:
    """One side of a limit in words: "below 3.4 kHz"."""
    return f"{'below' if is_below else 'above'} {ACOUSTIC_MEASURES[measure].say(limit)}"
