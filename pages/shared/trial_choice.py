"""Which trials pages ask about: among whom they are drawn, and all that is worked out from them, kept for everyone."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from pages.shared import links
from pages.shared.wording import counted, value_words
from sae_core.analysis.steering_experiment import SteeringExperiment, SteeringOutcome
from sae_core.analysis.trial_sets import TrialSet, draw_trials, open_trial_list, read_trial_list, usual_among
from sae_core.analysis.verification_forms import Comparison, compare_forms, rank_latents
from sae_core.corpus.trial_lists import kept_trial_lists
from sae_core.measures.steering import Change
from sae_core.workspace.workspace import SaeView

AMONG, STEERED, EVERYONE = "among", "who", "all"
LIST, DRAWN = "trials", "drawn"
HIDDEN_ATTRIBUTES = {"source"}
MAX_LIST_MIB = 8

AttributeValue = tuple[str, str]


def value_options(view: SaeView) -> dict[str, str]:
    """`attribute=value` → words, for choosing clips by what they are labelled."""
    corpus = view.workspace.corpus
    return {
        f"{name}={value}": f"{name}: {value_words(name, value)}"
        for name in corpus.attributes
        if name not in HIDDEN_ATTRIBUTES
        for value in corpus.values_of(name)
    }


def as_value(choice: str | None) -> AttributeValue | None:
    """`attribute=value` taken apart; None for everyone."""
    if choice is None or "=" not in choice:
        return None
    name, _, value = choice.partition("=")
    return name, value


def choose_list(view: SaeView) -> str | None:
    """Let people choose a list of trials that came with the corpus, where there is any; None to draw some instead."""
    lists = {found.name: found for found in kept_trial_lists(view.workspace.path)}
    if not lists:
        return None
    wanted, key = links.chosen(LIST), "trials_choice"
    st.session_state[key] = wanted if wanted in lists else DRAWN
    choice = st.selectbox(
        "Trials from",
        [DRAWN, *lists],
        format_func=lambda name: f"{name} ({lists[name].n_kept:,})" if name in lists else "a draw",
        key=key,
        width=230,
        on_change=lambda: links.choose(LIST, st.session_state[key]),
        help="Lists that were published with the corpus, so that results can be compared with others'; or pairs of "
        "clips drawn here.",
    )
    links.choose(LIST, choice)
    return str(choice) if choice in lists else None


def choose_among(view: SaeView) -> AttributeValue | None:
    """Let people choose among which clips trials are drawn; both pages that ask share the choice."""
    usual = usual_among(view.workspace.corpus)
    return _choose_value(
        view,
        AMONG,
        label="Trials among",
        everyone="every clip",
        usual="=".join(usual) if usual else "",
        help_text="Pairs of clips are drawn among selection and held-out voices: the SAE learnt from none of them. "
        "As many pairs by one speaker as by two are asked for, drawn evenly over speakers, from a fixed seed.",
    )


def choose_steered(view: SaeView) -> AttributeValue | None:
    """Let people choose whose clips are changed."""
    return _choose_value(
        view,
        STEERED,
        label="Who is steered",
        everyone="everyone",
        usual="",
        help_text="Only clips that carry this value are changed; the others stay as they are.",
    )


def chosen_steered(view: SaeView) -> AttributeValue | None:
    """Whose clips were last chosen to be changed; the address says so too from now on."""
    wanted = links.chosen(STEERED)
    choice = wanted if wanted in value_options(view) else EVERYONE
    links.choose(STEERED, choice)
    return as_value(choice)


def _choose_value(
    view: SaeView, name: str, *, label: str, everyone: str, usual: str, help_text: str
) -> AttributeValue | None:
    """A selection of an attribute value, or of everyone, that stands in the address and survives a change of page."""
    options = {EVERYONE: everyone} | value_options(view)
    wanted, key = links.chosen(name) or usual, f"{name}_choice"
    st.session_state[key] = wanted if wanted in options else EVERYONE
    choice = st.selectbox(
        label,
        list(options),
        format_func=lambda option: options.get(option, option),
        key=key,
        width=210,
        on_change=lambda: links.choose(name, st.session_state[key]),
        help=help_text,
    )
    links.choose(name, choice)
    return as_value(choice)


def describe_trials(trial_set: TrialSet) -> str:
    """One sentence on which trials these are."""
    n_targets = int(trial_set.trials.is_target.sum())
    n = len(trial_set.trials)
    where = _where_from(trial_set)
    heard = (
        f"; **{trial_set.n_training:,} of them include voices that the SAE learnt from**"
        if trial_set.n_training
        else "; the SAE learnt from none of these voices"
    )
    return (
        f"{n:,} pairs of clips ({n_targets:,} by one speaker, {n - n_targets:,} by two) of "
        f"{counted(trial_set.n_speakers, 'voice')}, {where}{heard}."
    )


def _where_from(trial_set: TrialSet) -> str:
    came_as = trial_set.came_as
    if came_as is None:
        return "from your list" if trial_set.is_listed else "drawn among selection and held-out voices"
    n_missing = came_as.n_listed - len(trial_set.trials) - trial_set.n_passed_over
    drawn = f"; drawn at random, {trial_set.n_passed_over:,} more were not" if trial_set.n_passed_over else ""
    missing = f"; {n_missing:,} of its {came_as.n_listed:,} want a clip" if n_missing else ""
    return f"from {came_as.name}, which came with the corpus{missing}{drawn}"


def _key(view: SaeView) -> str:
    return f"{view.workspace.path} {view.workspace.fingerprint} {view.name} {view.fingerprint}"


def drawn_trials(view: SaeView, among: AttributeValue | None, *, seed: int = 0) -> TrialSet:
    """The trial set of these settings, drawn once for everyone."""
    return _drawn_trials(_key(view), among, seed, view)


@st.cache_resource(max_entries=8, show_spinner="Drawing trials …")
def _drawn_trials(key: str, among: AttributeValue | None, seed: int, _view: SaeView) -> TrialSet:  # noqa: ARG001
    return draw_trials(_view, among=among, seed=seed)


def kept_trials(view: SaeView, name: str) -> TrialSet:
    """The trial set of a list that came with the corpus."""
    return _kept_trials(_key(view), name, view)


@st.cache_resource(max_entries=4, show_spinner="Reading the list …")
def _kept_trials(key: str, name: str, _view: SaeView) -> TrialSet:  # noqa: ARG001
    return open_trial_list(_view, name)


def listed_trials(view: SaeView, content: bytes, *, name: str) -> TrialSet:
    """The trial set of an uploaded list."""
    return _listed_trials(_key(view), content, name, view)


@st.cache_resource(max_entries=4, show_spinner="Reading the list …")
def _listed_trials(key: str, content: bytes, name: str, _view: SaeView) -> TrialSet:  # noqa: ARG001
    return read_trial_list(_view, content.decode("utf-8", errors="replace"), name=name)


def trial_set_key(trial_set: TrialSet) -> str:
    """Tells trial sets of one SAE apart in caches, by what they hold."""
    hashes = pd.util.hash_array(
        trial_set.trials.enrol_rows * len(trial_set.rows) + trial_set.trials.test_rows
    )
    return f"{len(trial_set.trials)} {trial_set.rows.sum()} {hashes.sum()}"


Settings = tuple[tuple[int, ...], AttributeValue | None, bool]


def steering_experiment(view: SaeView, trial_set: TrialSet, settings: Settings) -> SteeringExperiment:
    """The experiment with these latents, on these clips, with or without the reconstruction error."""
    return _experiment(f"{_key(view)} {trial_set_key(trial_set)}", settings, view, trial_set)


@st.cache_resource(max_entries=32, show_spinner=False)
def _experiment(key: str, settings: Settings, _view: SaeView, _trial_set: TrialSet) -> SteeringExperiment:  # noqa: ARG001
    latents, steered, keeps_error = settings
    return SteeringExperiment(_view, _trial_set, latents, steered=steered, keeps_error=keeps_error)


def steering_outcome(
    experiment: SteeringExperiment, changes: Sequence[Change], *, operating_point: str, settings: Settings
) -> SteeringOutcome:
    """All numbers of one steering, worked out once."""
    key = f"{_key(experiment.view)} {trial_set_key(experiment.trial_set)}"
    return _outcome(key, settings, tuple(changes), operating_point, experiment)


@st.cache_resource(max_entries=256, show_spinner=False)
def _outcome(
    key: str,  # noqa: ARG001
    settings: Settings,  # noqa: ARG001
    changes: tuple[Change, ...],
    operating_point: str,
    _experiment: SteeringExperiment,
) -> SteeringOutcome:
    return _experiment.outcome(changes, operating_point=operating_point)


def form_comparison(
    view: SaeView,
    trial_set: TrialSet,
    steering: tuple[SteeringExperiment, Sequence[Change]] | None,
    steered: str,
) -> Comparison:
    """How well each form of the voices verifies; `steered` names the steering in the cache's key."""
    return _comparison(f"{_key(view)} {trial_set_key(trial_set)}", steered, view, trial_set, steering)


@st.cache_resource(max_entries=32, show_spinner="Comparing forms …")
def _comparison(key: str, steered: str, _view: SaeView, _trial_set: TrialSet, _steering: Any) -> Comparison:  # noqa: ARG001
    experiment, changes = _steering or (None, ())
    return compare_forms(_view, _trial_set, experiment=experiment, changes=changes)


def latent_ranking(view: SaeView, trial_set: TrialSet) -> pd.DataFrame:
    """Latents by what verification is without them; shared, so not to be changed."""
    return _ranking(f"{_key(view)} {trial_set_key(trial_set)}", view, trial_set)


@st.cache_resource(max_entries=16, show_spinner="Taking out one latent after another …")
def _ranking(key: str, _view: SaeView, _trial_set: TrialSet) -> pd.DataFrame:  # noqa: ARG001
    return rank_latents(_view, _trial_set)
