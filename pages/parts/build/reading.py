"""How a folder or a zip is read: what an import would understand of it, and what people choose instead."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from pages.shared.facts import fact_list, noticed, understood
from pages.shared.wording import counted, plain
from sae_core.corpus.importing import NOBODY, PLAIN, ImportSettings
from sae_core.corpus.layouts import IMPORTERS
from sae_core.corpus.reading import LABELLING
from sae_core.corpus.surveys import Survey

MIB = 1024 * 1024
AUTO = ""
TABLE, LAYOUT = "table ", "layout "
MAX_PREVIEWED, MAX_OFFERED = 60, 200
READ_AS = "Read as "
"""How a summary begins, which the layout says already."""
ONE_SPEAKER = (
    "There is only one speaker here, so nothing can be verified and no speaker is left for held-out clips."
)
NO_SPEAKER = (
    "No speaker is known here: each recording counts as a speaker of its own, so that one person may stand in training "
    "and held-out clips alike. If folders or a column say who speaks, choose that under “Speakers from”."
)


@dataclass(frozen=True)
class Reading:
    """What is there, and what people chose: None for what names and values say.

    labels: a table, relative to `survey.source`. layout, speakers, splits: see `ImportSettings`.
    """

    survey: Survey
    labels: str | None = None
    layout: str | None = None
    speakers: str | None = None
    splits: str | None = None

    @property
    def settings(self) -> ImportSettings:
        """As an import takes it."""
        labels = None if self.labels is None else Path(self.labels)
        return ImportSettings(labels, layout=self.layout, speakers=self.speakers, splits=self.splits)


def choose_reading(place: str, look: Callable[[ImportSettings], Survey]) -> Reading:
    """Show what an import would understand of a folder or zip, let people choose otherwise, and return both.

    place: what tells it from others. look: a look at it with some settings.
    """
    reading = Reading(look(ImportSettings()))
    if not reading.survey.n_recordings and not reading.survey.is_partial:
        return reading
    says, who, parts = st.columns(3, gap="medium")
    with says:
        labels, layout = _choose_labels(place, reading.survey)
    if labels is not None or layout is not None:
        reading = Reading(look(Reading(reading.survey, labels, layout).settings), labels, layout)
    with who:
        speakers = _choose_column(
            "Speakers from", f"{place} {labels} {layout}", _speaker_words(reading.survey)
        )
    with parts:
        splits = _choose_column("Splits from", f"{place} {labels} {layout}", _split_words(reading.survey))
    if speakers is not None or splits is not None:
        chosen = Reading(reading.survey, labels, layout, speakers, splits)
        reading = Reading(look(chosen.settings), labels, layout, speakers, splits)
    show_survey(reading.survey)
    return reading


def _choose_labels(place: str, survey: Survey) -> tuple[str | None, str | None]:
    """The table or the layout that people choose to say what is what."""
    found = survey.labels or (
        "the names of folders" if survey.layout == PLAIN else f"laid out as {survey.layout}"
    )
    n_more = sum(words == LABELLING for words in survey.tables.values()) - 1
    if survey.labels and n_more > 0:
        found += f" and {n_more} more"
    tables = list(survey.tables)[:MAX_OFFERED]
    options = {AUTO: f"{found} (as found)"}
    options |= {TABLE + name: name for name in tables}
    options[LAYOUT + PLAIN] = "no table: the names of folders"
    options |= {LAYOUT + name: f"laid out as {name}" for name in IMPORTERS if name != PLAIN}
    choice = _select(
        "Labels from",
        options,
        key=f"build_labels {place}",
        help="What says what the clips are: a table that lies beside the recordings, the names of folders, or the "
        "layout of a published corpus.",
    )
    if choice.startswith(TABLE):
        return choice.removeprefix(TABLE), None
    return None, choice.removeprefix(LAYOUT) or None


def _choose_column(label: str, place: str, options: Mapping[str, str]) -> str | None:
    return _select(label, options, key=f"build_{label} {place}") or None


def _select(label: str, options: Mapping[str, str], *, key: str, **how: Any) -> str:
    return str(st.selectbox(label, list(options), format_func=lambda value: options[value], key=key, **how))


def _speaker_words(survey: Survey) -> dict[str, str]:
    """What may say who speaks, in words; first what does by itself."""
    told = survey.summary.speakers_from if survey.summary is not None else ""
    found = told.partition(" (")[0] or ("nobody is known" if survey.summary is not None else "what is found")
    if survey.summary is not None and survey.summary.n_speakers and not told:
        found = f"as {survey.layout} says"
    options = {AUTO: f"{found} (as found)"}
    if survey.layout == PLAIN:
        options |= {name: f"column {name}" for name in survey.columns[:MAX_OFFERED]}
        options |= {
            f"folder {level}": f"folders, level {level}: {names}" for level, names in survey.levels.items()
        }
    return options | {NOBODY: "none: each recording counts as a speaker"}


def _split_words(survey: Survey) -> dict[str, str]:
    options = {AUTO: f"{survey.splits_from or 'drawn by speaker'} (as found)"}
    if survey.layout == PLAIN:
        options |= {name: f"column {name}" for name in survey.columns[:MAX_OFFERED]}
    return options | {NOBODY: "none: drawn by speaker"}


def show_survey(survey: Survey) -> None:
    """What was found, before anything is built of it."""
    kinds = ", ".join(f"{n:,} {suffix}" for suffix, n in list(survey.kinds.items())[:6])
    more = "over " if survey.is_partial else ""
    facts = {"Recordings": f"{more}{survey.n_recordings:,}" + (f" ({kinds})" if kinds else "")}
    facts["Size"] = f"{more}{survey.n_bytes / MIB:,.1f} MiB"
    if survey.layout:
        facts["Layout"] = f"{survey.layout}: {survey.evidence}"
    if survey.examples:
        facts["Examples"] = ", ".join(survey.examples[:3])
    summary = survey.summary
    told = noticed(survey.notices) if summary is None else understood(summary, *survey.notices)
    fact_list(facts | {name: words for name, words in told.items() if not name.startswith(READ_AS)})
    if survey.problem:
        st.warning(f"This cannot be imported as it is. {plain(survey.problem)}", icon=":material/report:")
    _show_preview(survey)
    _warn_early(survey)


def _show_preview(survey: Survey) -> None:
    """The first rows of the table, a column a line, with what each was taken for."""
    if survey.preview is None:
        return
    preview = survey.preview
    names = list(preview.columns)[:MAX_PREVIEWED]
    n_rows = max((len(preview.columns[name]) for name in names), default=0)
    grid: dict[str, list[str]] = {
        "Column": names,
        "Taken for": [preview.taken.get(name, "") for name in names],
    }
    for row in range(n_rows):
        grid[f"Row {row + 1}"] = [
            preview.columns[name][row] if row < len(preview.columns[name]) else "" for name in names
        ]
    more = len(preview.columns) - len(names)
    st.markdown(
        (
            f"**First rows of {plain(preview.name)}**"
            if preview.name
            else "**First recordings, as they would be read**"
        )
        + (f" · {counted(more, 'more column')}" if more else "")
    )
    st.dataframe(
        grid,
        hide_index=True,
        key="build_preview",
        column_config={"Taken for": st.column_config.TextColumn(width="medium")},
    )


def _warn_early(survey: Survey) -> None:
    """What is known to mean little later on, said while it can be changed."""
    if survey.summary is None:
        return
    if survey.summary.n_speakers == 1 and not survey.summary.n_unknown:
        st.warning(ONE_SPEAKER, icon=":material/person:")
    elif not survey.summary.n_speakers and survey.layout == PLAIN:
        st.info(NO_SPEAKER, icon=":material/person_off:")
