"""Chapters on latents: the values that held-out speakers confirm, with clips to hear; and one latent by itself."""

import pandas as pd

from sae_core.analysis.hints import hint
from sae_core.analysis.latent_names import latent_name
from sae_core.corpus.words import counted, percent, value_words, with_interval
from sae_core.files.errors import VoxScopeError
from sae_core.measures.attributes import UNSEEN_SPEAKERS
from sae_core.measures.listening import ClipGroup
from sae_core.report.figures import activation_figure
from sae_core.report.markup import Child, Markup, element, markup, paragraphs, said, table
from sae_core.report.sounds import Sounds
from sae_core.workspace.workspace import SaeView

N_HEARD = 5
N_NEAR = 1
MAX_CONFIRMED = 12
MAX_VALUES = 60
N_SHARES = 15
LEAST_LIFT = 1.05
VERDICTS = ("confirmed", "tested, not confirmed", "not testable: too few speakers")
RULE = (
    "Each value's best latent and its threshold were chosen on selection speakers; F1, precision and recall are of "
    "held-out speakers, with 95 % intervals from resampling speakers. Confirmed means that the precision is above the "
    "base rate even at the lower bound, and that Matthews' correlation is at least 0.3."
)


def confirmed_chapter(view: SaeView, sounds: Sounds) -> Markup:
    """The confirmed values with their latents and clips to hear, and what became of all values."""
    values = view.predominant_latents().sort_values("f1", ascending=False, kind="stable")
    confirmed = values[values["is_confirmed"]]
    parts: list[Child] = [paragraphs(RULE if len(values) else None, _count_words(values))]
    parts += [_card(view, sounds, line) for _, line in confirmed.head(MAX_CONFIRMED).iterrows()]
    if len(confirmed) > MAX_CONFIRMED:
        parts.append(paragraphs(f"{len(confirmed) - MAX_CONFIRMED} more are in the table below."))
    if len(values):
        parts.append(_all_values(view, values))
    return markup(parts)


def _count_words(values: pd.DataFrame) -> str:
    if values.empty:
        return "No attribute value has enough labelled clips to be tested."
    n = int(values["is_confirmed"].sum())
    n_tested = int((values["evidence"] == UNSEEN_SPEAKERS).sum())
    return (
        f"{n} of {counted(n_tested, 'value')} that could be tested {'is' if n == 1 else 'are'} confirmed; "
        f"{len(values) - n_tested} more have too few speakers to be tested."
    )


def _card(view: SaeView, sounds: Sounds, line: pd.Series) -> Markup:
    """One confirmed value: how well it is detected, what sets the latent apart, and clips."""
    latent, value = int(line["latent"]), value_words(str(line["attribute"]), str(line["value"]))
    examples = view.examples(latent, n=N_HEARD)
    return element(
        "article",
        element("h3", said(value), element("small", said(line["attribute"]))),
        element(
            "p", element("b", said(latent_name(view, latent))),
            f" has F1 {with_interval(line['f1'], line['f1_low'], line['f1_high'])} on "
            f"{counted(int(line['n_reported']), 'clip')} of held-out speakers, {int(line['n_reported_positive']):,} of "
            f"them with the value ({counted(int(line['n_reported_speakers']), 'speaker')}): precision "
            f"{percent(line['precision'])}, recall {percent(line['recall'])}.",
        ),
        element("p", _hint(view, latent)),
        _group(view, sounds, examples.strongest, "Highest activations"),
        _group(view, sounds, _first(examples.hard_negatives), "Near miss: silent, though its embedding is close"),
    )  # fmt: skip


def _hint(view: SaeView, latent: int) -> Child:
    try:
        words = hint(view, latent, say=value_words)
    except VoxScopeError:
        return None
    return said(f"{words[:1].upper()}{words[1:]}.")


def _first(group: ClipGroup) -> ClipGroup:
    return ClipGroup(group.rows[:N_NEAR], group.activations[:N_NEAR])


def _group(
    view: SaeView, sounds: Sounds, group: ClipGroup, title: str, *, level: str = "h4"
) -> Markup | None:
    if not len(group.rows):
        return None
    splits = view.workspace.corpus.table["split"].iloc[group.rows]
    notes = [
        f"{f'activation {activation:.2f}' if activation > 0 else 'silent'} · {split}"
        for activation, split in zip(group.activations, splits, strict=True)
    ]
    return markup(element(level, title), sounds.clips([int(row) for row in group.rows], notes))


def _all_values(view: SaeView, values: pd.DataFrame) -> Markup:
    rows = [
        (
            said(value_words(str(line["attribute"]), str(line["value"]))),
            said(line["attribute"]),
            said(latent_name(view, int(line["latent"]))),
            _verdict(line),
            with_interval(line["f1"], line["f1_low"], line["f1_high"]),
            f"{line['precision']:.2f}",
            f"{line['recall']:.2f}",
        )
        for _, line in values.iterrows()
    ]
    rows.sort(key=lambda row: VERDICTS.index(row[3]))
    heads = ("value", "attribute", "best latent", "verdict", "F1", "precision", "recall")
    more = f" ({len(rows) - MAX_VALUES} more are not listed)" if len(rows) > MAX_VALUES else ""
    return table(heads, rows[:MAX_VALUES], caption=f"All values{more}", n_words=4)


def _verdict(line: pd.Series) -> str:
    if line["is_confirmed"]:
        return VERDICTS[0]
    return VERDICTS[1] if line["evidence"] == UNSEEN_SPEAKERS else VERDICTS[2]


def latent_chapter(view: SaeView, latent: int, sounds: Sounds) -> Markup:
    """What is known of one latent, and clips of four kinds."""
    facts = view.latents.iloc[latent]
    if facts["n_active"] == 0:
        return paragraphs("It is active on no clip.")
    examples = view.examples(latent, n=6)
    groups = (
        (examples.strongest, "Highest activations"),
        (examples.middle, "Middling activations"),
        (examples.near_threshold, "Just above its threshold"),
        (examples.hard_negatives, "Near misses: silent, though their embeddings are close"),
    )
    return markup(
        element("p", _hint(view, latent)),
        paragraphs(_measured_words(view, latent)),
        activation_figure(view.histogram(latent), view.threshold_of(latent)),
        [_group(view, sounds, group, title, level="h3") for group, title in groups],
        element("h3", "Who fires it"),
        _shares_table(view, latent),
    )


def _measured_words(view: SaeView, latent: int) -> str:
    facts = view.latents.iloc[latent]
    active = f"It is active on {counted(int(facts['n_active']), 'clip')}."
    if pd.isna(facts["best_f1"]):
        return f"{active} Nothing was measured for it on unseen speakers."
    value = value_words(str(facts["best_attribute"]), str(facts["best_value"]))
    f1 = with_interval(facts["best_f1"], facts["best_f1_low"], facts["best_f1_high"])
    judged = "confirmed there" if facts["is_named"] else "not confirmed, so it carries no name"
    return f"{active} Best value on unseen speakers: {value}, F1 {f1}, {judged}."


def _shares_table(view: SaeView, latent: int) -> Markup:
    shares = view.shares(latent).sort_values("lift", ascending=False)
    shares = shares[(shares["n"] > 0) & (shares["lift"] > LEAST_LIFT)].head(N_SHARES)
    rows = [
        (
            said(value_words(line.attribute, str(line.value))), said(line.attribute), f"{line.n:,}",
            percent(line.share), percent(line.base_rate), f"×{line.lift:.1f}",
        )
        for line in shares.itertuples()
    ]  # fmt: skip
    heads = ("value", "attribute", "clips", "of its clips", "of all clips", "lift")
    return table(heads, rows, caption="Values that are commoner among its clips", n_words=2)
