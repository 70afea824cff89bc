"""The trials of a page: which subset they are drawn from, and what is worked out from them, kept for everyone."""

from collections.abc import Sequence

import pandas as pd

from pages.shared import links
from pages.shared.caching import cached
from pages.shared.choices import choose_one
from pages.shared.wording import counted, value_words
from sae_core.analysis.erasure import erasable_values
from sae_core.analysis.steering_experiment import SteeringExperiment, SteeringOutcome
from sae_core.analysis.trial_sets import TrialSet, draw_trials, open_trial_list, read_trial_list, usual_among
from sae_core.analysis.verification_forms import Comparison, compare_forms, rank_latents
from sae_core.corpus.texts import decode
from sae_core.corpus.trial_lists import kept_trial_lists
from sae_core.corpus.values import AttributeValue
from sae_core.measures.steering import Change
from sae_core.workspace.workspace import SaeView

AMONG, STEERED, EVERYONE = "among", "who", "all"
LIST, DRAWN = "trials", "drawn"
HIDDEN_ATTRIBUTES = {"source"}
MAX_LIST_MIB = 8


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
    options = {DRAWN: "a draw", **{name: f"{name} ({found.n_kept:,})" for name, found in lists.items()}}
    choice = choose_one(
        LIST,
        options,
        usual=DRAWN,
        noun="the list of trials",
        label="Trials from",
        width=230,
        help="Lists that were published with the corpus, so that results can be compared with others'; or pairs of "
        "clips drawn here.",
    )
    return choice if choice in lists else None


def choose_among(view: SaeView) -> AttributeValue | None:
    """Let people choose the clips that trials are drawn from; all pages that ask share the choice."""
    usual = usual_among(view.workspace.corpus)
    return _choose_value(
        view,
        AMONG,
        label="Trial subset",
        everyone="every clip",
        usual="=".join(usual) if usual else "",
        help_text="Trials are pairs of clips of selection and held-out speakers, none of whom the SAE was trained on. "
        "As "
        "many pairs of one speaker as of two are drawn, evenly over speakers, from a fixed seed; repeats are dropped.",
    )


def choose_steered(view: SaeView) -> AttributeValue | None:
    """Let people choose which clips are changed."""
    return _choose_value(
        view,
        STEERED,
        label="Apply to",
        everyone="every clip",
        usual="",
        help_text="Only clips that carry this value are changed; the others stay as they are.",
    )


def chosen_steered(view: SaeView) -> AttributeValue | None:
    """Which clips were last chosen to be changed; the address says so too from now on."""
    wanted = links.chosen(STEERED)
    choice = wanted if wanted in value_options(view) else EVERYONE
    links.choose(STEERED, choice)
    return as_value(choice)


def _choose_value(
    view: SaeView, name: str, *, label: str, everyone: str, usual: str, help_text: str
) -> AttributeValue | None:
    """A selection of an attribute value, or of everyone, that stands in the address and survives a change of page."""
    options = {EVERYONE: everyone} | value_options(view)
    usual = usual if usual in options else EVERYONE
    return as_value(
        choose_one(name, options, usual=usual, noun="clips of", label=label, width=210, help=help_text)
    )


def describe_trials(trial_set: TrialSet) -> str:
    """One sentence on which trials these are."""
    n_targets = int(trial_set.trials.is_target.sum())
    n = len(trial_set.trials)
    where = _where_from(trial_set)
    heard = (
        f"; **{trial_set.n_training:,} of them include speakers that the SAE was trained on**"
        if trial_set.n_training
        else "; the SAE was trained on none of these speakers"
    )
    return (
        f"{n:,} pairs of clips ({n_targets:,} by one speaker, {n - n_targets:,} by two) of "
        f"{counted(trial_set.n_speakers, 'speaker')}, {where}{heard}."
    )


def _where_from(trial_set: TrialSet) -> str:
    published_list = trial_set.published_list
    if published_list is None:
        left_out = f" ({trial_set.left_out})" if trial_set.left_out else ""
        return (
            f"from your list{left_out}"
            if trial_set.is_listed
            else "drawn among selection and held-out speakers"
        )
    n_missing = published_list.n_listed - len(trial_set.trials) - trial_set.n_not_drawn
    drawn = f"; drawn at random, {trial_set.n_not_drawn:,} more were not" if trial_set.n_not_drawn else ""
    n_listed = published_list.n_listed
    missing = f"; {n_missing:,} of its {n_listed:,} need a clip that is missing here" if n_missing else ""
    return f"from {published_list.name}, which came with the corpus{missing}{drawn}"


@cached(keep=8, spinner="Drawing trials …")
def drawn_trials(view: SaeView, among: AttributeValue | None, *, seed: int = 0) -> TrialSet:
    """The trial set of these settings, drawn once for everyone."""
    return draw_trials(view, among=among, seed=seed)


@cached(keep=4, spinner="Reading the list …")
def kept_trials(view: SaeView, name: str) -> TrialSet:
    """The trial set of a list that came with the corpus."""
    return open_trial_list(view, name)


@cached(keep=4, spinner="Reading the list …")
def listed_trials(view: SaeView, content: bytes, *, name: str) -> TrialSet:
    """The trial set of an uploaded list."""
    return read_trial_list(view, decode(content) or "", name=name)


Settings = tuple[tuple[int, ...], AttributeValue | None, bool]


@cached(keep=32)
def steering_experiment(view: SaeView, trial_set: TrialSet, settings: Settings) -> SteeringExperiment:
    """The experiment with these latents, on these clips, with or without the reconstruction error."""
    latents, steered, keeps_error = settings
    return SteeringExperiment(view, trial_set, latents, steered=steered, keeps_error=keeps_error)


@cached(keep=256)
def steering_outcome(
    experiment: SteeringExperiment, changes: Sequence[Change], *, operating_point: str
) -> SteeringOutcome:
    """All numbers of one steering, worked out once."""
    return experiment.outcome(changes, operating_point=operating_point)


@cached(keep=32, spinner="Comparing representations …")
def form_comparison(
    view: SaeView,
    trial_set: TrialSet,
    experiment: SteeringExperiment | None = None,
    changes: Sequence[Change] = (),
) -> Comparison:
    """How well each representation verifies, the steered one among them where there is an experiment."""
    return compare_forms(view, trial_set, experiment=experiment, changes=changes)


@cached(keep=16, spinner="Ablating one latent after another …")
def latent_ranking(view: SaeView, trial_set: TrialSet) -> pd.DataFrame:
    """Latents by what verification is without them; shared, so not to be changed."""
    return rank_latents(view, trial_set)


@cached(keep=16)
def erasable(view: SaeView) -> list[AttributeValue]:
    """The attribute values of which it can be measured what is left."""
    return erasable_values(view)
