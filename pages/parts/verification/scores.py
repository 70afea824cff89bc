"""Scores as operations and forensics judge them: cosine, AS-norm, likelihood ratios, and files of another system."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from pages.parts.verification.score_figures import reliability_figure, tippett_figure
from pages.shared import charts, trial_choice
from pages.shared.announce import announce
from pages.shared.caching import cached
from pages.shared.exports import csv_button
from pages.shared.problems import part_of_page, sentence
from pages.shared.steering_state import SteeringState
from pages.shared.wording import counted, embeddings_words, percent, plain
from sae_core.analysis.score_comparison import NORMALISED, ScoreComparison, compare_scores
from sae_core.analysis.trial_sets import TrialSet
from sae_core.corpus.texts import decode
from sae_core.files.errors import VoxScopeError
from sae_core.measures.calibration import reliability, tippett
from sae_core.measures.score_files import ScoredTrials, match_scores, parse_scores
from sae_core.measures.steering import Change
from sae_core.measures.verification import draw_pairs
from sae_core.workspace.workspace import SaeView

MAX_FILES, MAX_FILE_MIB = 3, 16
PRIOR = 0.05
STEERED = "steered"
FILE_HELP = (
    "Scores of the same trials by another system, one per line: `enrol test score`, in any order, with or without a "
    f"label; clips by clip_id or path. At most {MAX_FILES} files of {MAX_FILE_MIB} MB; they are kept for this visit "
    "only."
)
ABOUT = (
    "Calibration turns scores into log-likelihood ratios (LLR) by logistic regression. Cllr is their cost in bits: 0 "
    "is perfect, 1 says nothing; min Cllr is what is left with the best monotone calibration. The actual DCF is the "
    "cost of decisions at the threshold that was fixed beforehand; minDCF that of the best threshold, which nobody "
    "knows in operation. AS-norm: scores against a cohort of training speakers (Matějka et al. 2017)."
)
FIXED = (
    "Calibration and thresholds were fixed on trials of **selection speakers** and applied to **{n:,}** trials of "
    "**held-out speakers**"
)
OWN = (
    "These trials have no targets and non-targets in both splits, so calibration and thresholds were fitted on the "
    "**{n:,}** trials that are judged, which flatters them"
)


@dataclass(frozen=True)
class Judged:
    """A comparison with what its figures need: name → Tippett table, name → reliability table."""

    comparison: ScoreComparison
    tippetts: dict[str, pd.DataFrame]
    reliabilities: dict[str, pd.DataFrame]


@part_of_page
def draw_scores(view: SaeView, trial_set: TrialSet) -> None:
    """Draw the part."""
    with st.container(border=True, key="scores"):
        st.header("Scores", anchor=False, help=ABOUT)
        files = _upload(trial_set)
        judged = _judge(
            view, trial_set, SteeringState.of(view).changes, trial_choice.chosen_steered(view), files
        )
        found = judged.comparison
        said = _verdict(found)
        st.markdown(said)
        announce(said, key="scores")
        _tell_files(view, trial_set, files, found)
        _draw_table(found)
    _draw_figures(judged)


def _upload(trial_set: TrialSet) -> tuple[tuple[str, bytes], ...]:
    """The score files that were brought, by name."""
    with st.container(horizontal=True, vertical_alignment="center"):
        with st.popover("Scores of another system", icon=":material/upload_file:"):
            given = st.file_uploader(
                "Score files",
                accept_multiple_files=True,
                key="score_files",
                max_upload_size=MAX_FILE_MIB,
                help=FILE_HELP,
            )
            st.caption("Score these trials with the other system, then bring its file here.")
            csv_button(
                lambda: _to_score(trial_set), name="trials", key="trials_csv", label="These trials as CSV"
            )
        if len(given) > MAX_FILES:
            st.caption(f":orange[Only the first {MAX_FILES} files are read.]")
    return tuple((file.name, file.getvalue()) for file in given[:MAX_FILES])


def _to_score(trial_set: TrialSet) -> pd.DataFrame:
    ids, trials = trial_set.corpus.table["clip_id"].to_numpy(), trial_set.clip_trials
    return pd.DataFrame(
        {
            "enrol": ids[trials.enrol_rows],
            "test": ids[trials.test_rows],
            "is_target": trials.is_target.astype(int),
        }
    )


@cached(keep=8)
def _read(view: SaeView, name: str, content: bytes) -> ScoredTrials | str:
    """The scores in a file, or in one sentence why it has none."""
    try:
        return parse_scores(decode(content) or "", view.workspace.corpus, where=name)
    except VoxScopeError as error:
        return sentence(error)


@cached(keep=16, spinner="Scoring, normalising and calibrating …")
def _judge(
    view: SaeView,
    trial_set: TrialSet,
    changes: Sequence[Change],
    steered: tuple[str, str] | None,
    files: tuple[tuple[str, bytes], ...],
) -> Judged:
    others = {}
    if changes:
        latents = tuple(change.latent for change in changes)
        experiment = trial_choice.steering_experiment(view, trial_set, (latents, steered, True))
        others[STEERED] = experiment.steered_vectors(np.arange(len(view.embeddings.vectors)), changes)
    listed = {
        name: scores for name, scores in _listed(view, files).items() if isinstance(scores, ScoredTrials)
    }
    found = compare_scores(view, trial_set, others=others, listed=listed)
    groups = trial_set.corpus.speaker_groups
    draws = draw_pairs(found.trials, groups) if trial_set.has_intervals else None
    return Judged(
        found,
        {name: tippett(report.llrs, report.is_target) for name, report in found.reports.items()},
        {
            name: reliability(
                report.llrs, report.is_target, draws=draws if len(report.llrs) == len(found.trials) else None
            )
            for name, report in found.reports.items()
        },
    )


def _listed(view: SaeView, files: tuple[tuple[str, bytes], ...]) -> dict[str, ScoredTrials | str]:
    return {f"file: {name}": _read(view, name, content) for name, content in files}


def _tell_files(
    view: SaeView, trial_set: TrialSet, files: tuple[tuple[str, bytes], ...], found: ScoreComparison
) -> None:
    """What became of each file that was brought."""
    for name, scores in _listed(view, files).items():
        words = plain(name.removeprefix("file: "))
        if isinstance(scores, str):
            st.warning(scores, icon=":material/error:")
            continue
        n = int(match_scores(scores, trial_set.clip_trials)[1].sum())
        left_out = f"; {scores.left_out}" if scores.left_out else ""
        if name in found.reports:
            st.caption(
                f"**{words}** has scores of {n:,} of these {len(trial_set.trials):,} trials{left_out}."
            )
        else:
            st.warning(
                f"**{words}** is not judged: it has scores of {n:,} of these {len(trial_set.trials):,} trials, not of "
                f"targets and non-targets in both splits{left_out}. Take the trials as CSV above and score them.",
                icon=":material/error:",
            )


def score_words(name: str) -> str:
    """What a way to score is called."""
    if name.startswith("file: "):
        return name.removeprefix("file: ")
    plain_name = name.removesuffix(NORMALISED)
    return f"{embeddings_words(plain_name)}{NORMALISED if name != plain_name else ''}"


def _verdict(found: ScoreComparison) -> str:
    """On what the figures rest, and what AS-norm and calibration do."""
    how = (FIXED if found.is_fixed_elsewhere else OWN).format(n=len(found.trials))
    cohort = f"; cohort of {counted(found.n_cohort, 'training speaker')}" if found.n_cohort else ""
    report = found.reports.get("embedding")
    if report is None:
        return f"{how}{cohort}."
    said = (
        f"{how}{cohort}. Embedding: EER {percent(report.verified.eer, 1)}, Cllr **{report.cllr:.3f}** bits, "
        f"{report.cllr - report.min_cllr:.3f} of them lost to calibration"
    )
    normalised = found.reports.get(f"embedding{NORMALISED}")
    if normalised is None:
        return f"{said}."
    return (
        f"{said}; with AS-norm EER {percent(normalised.verified.eer, 1)} and Cllr **{normalised.cllr:.3f}**."
    )


def _draw_table(found: ScoreComparison) -> None:
    table = found.table
    shown = pd.DataFrame(
        {
            "scores": [score_words(name) for name in table["scores"]],
            "n_trials": table["n_trials"],
            "eer": 100 * table["eer"],
            "eer_interval": [
                f"{100 * low:.1f}–{100 * high:.1f}"
                for low, high in zip(table["eer_low"], table["eer_high"], strict=True)
            ],
            "cllr": table["cllr"],
            "cllr_interval": _intervals(table, "cllr"),
            "min_cllr": table["min_cllr"],
            "dcf": table[f"actual_dcf_{PRIOR:g}"],
            "dcf_interval": _intervals(table, f"actual_dcf_{PRIOR:g}"),
            "min_dcf": table[f"min_dcf_{PRIOR:g}"],
        }
    )
    st.dataframe(shown, key="scores_table", hide_index=True, placeholder="", column_config=_columns())
    csv_button(lambda: table, name="scores", key="scores_csv")


def _intervals(table: pd.DataFrame, name: str) -> list[str]:
    pairs = zip(table[f"{name}_low"], table[f"{name}_high"], strict=True)
    return [f"{low:.2f}–{high:.2f}" if np.isfinite(high) else "" for low, high in pairs]


def _columns() -> dict[str, Any]:
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    return {
        "scores": text("Scores", pinned=True, width=170),
        "n_trials": number("Trials", format="localized", width=70),
        "eer": number("EER", format="%.2f %%", width=75),
        "eer_interval": text("95 %", width=90, help="Speakers resampled."),
        "cllr": number("Cllr", format="%.3f", width=70, help="Bits; fixed calibration."),
        "cllr_interval": text("95 %", width=90),
        "min_cllr": number("min Cllr", format="%.3f", width=80),
        "dcf": number("DCF .05", format="%.3f", width=80, help="Actual, at the threshold fixed beforehand."),
        "dcf_interval": text("95 %", width=90),
        "min_dcf": number("minDCF .05", format="%.3f", width=95),
    }  # fmt: skip


@part_of_page
def _draw_figures(judged: Judged) -> None:
    reports = judged.comparison.reports
    names = list(reports)
    usual = [
        name
        for name in names
        if name in ("embedding", f"embedding{NORMALISED}") or name.startswith("file: ") or name == STEERED
    ]
    chosen = st.pills(
        "Figures of", names, selection_mode="multi", default=usual or names[:1], key=f"scores_shown_{len(names)}",
        format_func=lambda name: plain(score_words(name)), label_visibility="collapsed",
    )  # fmt: skip
    shown = {score_words(name): name for name in names if name in (chosen or usual)}
    left, right = st.columns(2, gap="medium")
    with left.container(border=True, height="stretch"):
        st.header(
            "Tippett plot", anchor=False,
            help="How many trials have at least this LLR: of targets (to the right) and of non-targets. What crosses 0 "
            "misleads.",
        )  # fmt: skip
        figure = tippett_figure({words: judged.tippetts[name] for words, name in shown.items()})
        charts.show(figure, key="tippett", alt="Tippett plot of the chosen scores")
    with right.container(border=True, height="stretch"):
        st.header(
            "Reliability", anchor=False,
            help="Of the trials that are said to be targets with this probability (both sides equally likely "
            "beforehand), how many are. On the diagonal, LLRs mean what they say. Bars: 95 %, speakers resampled.",
        )  # fmt: skip
        figure = reliability_figure({words: judged.reliabilities[name] for words, name in shown.items()})
        charts.show(figure, key="reliability", alt="Reliability diagram of the chosen scores")
