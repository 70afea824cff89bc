"""Can this latent be trusted? Four short answers: confirmed, stable, universal, enough; each with its number."""

from dataclasses import dataclass

import pandas as pd
import streamlit as st

from pages.shared import links
from pages.shared.wording import TERMS, best_value, counted, distinct_words, plain, with_interval
from sae_core.analysis.verdict import (
    Counterpart,
    counterparts_of,
    is_quick_to_match,
    one_or_group,
    other_encoders,
    seeds_with,
)
from sae_core.sae.config import variant_name
from sae_core.workspace.trust import seed_family
from sae_core.workspace.workspace import SaeView

HELP = {
    "confirmed": "Held-out speakers show that it detects this value: even the lower bound of its precision is above "
    "the fraction of clips with the value, and its correlation with the value (MCC) is at least 0.3.",
    "stable": f"Whether SAEs that differ in the seed alone have it, too. {TERMS['stability']} Correlation: the same by "
    "activations, on clips of unseen speakers; from 0.7 on it is active on the same clips there.",
    "universal": "Whether SAEs of other encoders have a latent that is active on the same clips: its correlation, over "
    "unseen speakers, is beyond what 1 % of latents reach by chance.",
    "enough": "Whether this latent alone detects its value as well as the best group of up to 16 latents, to within "
    "0.02 of F1.",
}
ICONS = {links.ACROSS_SAES: ":material/public:", links.GROUPS: ":material/group_work:"}
SAME_CLIPS = 0.7
"""From this correlation on, a latent of another seed is said to be active on the same clips."""
NO_SEEDS = (
    "python -m sae_core sweep --workspace {path} --embedder {embedder} --variants {variant} --latents {n_latents} "
    "--k {k} --seeds 0,1,2"
)
NO_TRUST = "python -m sae_core trust --workspace {path}"


@dataclass(frozen=True)
class Answer:
    """One of the four: which, in a word (the badge), its colour, and the number behind it, both Markdown."""

    name: str
    badge: str
    colour: str
    number: str

    @property
    def markdown(self) -> str:
        """Badge and number, one above the other."""
        return f":{self.colour}-badge[{self.badge}]  \n:small[{self.number}]"


def draw_verdict(view: SaeView, latent: int) -> None:
    """The four answers side by side, and once what to run for those that were not measured."""
    answers = [
        _confirmed(view, latent),
        _stable(view, latent),
        _universal(view, latent),
        _enough(view, latent),
    ]
    for column, answer in zip(st.columns(len(answers), gap="small"), answers, strict=True):
        column.markdown(answer.markdown, help=HELP[answer.name])
    _draw_links(view, latent)
    if commands := _missing(view):
        st.caption(f"Not measured yet: run `{'` and `'.join(commands)}`, then reload.")


def _draw_links(view: SaeView, latent: int) -> None:
    """Where more of it stands: its counterparts to hear, the group that does better."""
    ways = {}
    if other_encoders(view):
        ways["Hear its counterparts"] = {
            links.LATENT: str(latent),
            links.LOOK: links.ACROSS_SAES,
            "found": "Any",
        }
    if (found := one_or_group(view, latent)) is not None:
        value = f"{found.attribute}={found.value}"
        ways["Open the group"] = {links.LOOK: links.GROUPS, "value": value, "size": str(found.n_latents)}
    if not ways:
        return
    with st.container(horizontal=True, key="verdict_links"):
        for words, more in ways.items():
            st.page_link(
                "pages/universality.py",
                label=words,
                icon=ICONS[more[links.LOOK]],
                query_params=links.query(view, more),
            )


def _confirmed(view: SaeView, latent: int) -> Answer:
    facts = view.latents.iloc[latent]
    if pd.isna(facts["best_f1"]):
        return Answer("confirmed", "no value measured", "gray", "nothing on unseen speakers")
    f1 = with_interval(*facts[["best_f1", "best_f1_low", "best_f1_high"]])
    words = f"{plain(best_value(facts))}, F1 {f1}"
    if facts["is_named"]:
        return Answer("confirmed", ":material/check: confirmed", "green", words)
    return Answer("confirmed", "not confirmed", "gray", f"at best {words}")


def _stable(view: SaeView, latent: int) -> Answer:
    found = seeds_with(view, latent)
    if found is None:
        return Answer("stable", "stability not measured", "gray", "needs SAEs of other seeds")
    words = f"in {found.n_found} of {counted(found.n_seeds, 'other seed')} · cosine {found.cosine:.2f}"
    words += f", correlation {found.correlation:.2f}"
    if found.n_found == found.n_seeds:
        return Answer("stable", ":material/check: stable", "green", words)
    if found.n_found:
        return Answer("stable", "stable in part", "orange", words)
    if found.correlation >= SAME_CLIPS:
        return Answer("stable", "other direction, same clips", "blue", words)
    return Answer("stable", "not stable", "orange", words)


def _universal(view: SaeView, latent: int) -> Answer:
    others = other_encoders(view)
    if not others:
        return Answer("universal", "universality not measured", "gray", "needs SAEs of another encoder")
    if not is_quick_to_match(view, others):
        return Answer("universal", "universality", "gray", "takes a while: see the page Universality")
    words = distinct_words((view, *others))
    lines = counterparts_of(view, latent, others)
    n_found = sum(line.is_found for line in lines)
    said = f"in {n_found} of {counted(len(lines), 'other encoder')}: "
    said += ", ".join(f"{plain(words[line.sae])} {_correlation(line)}" for line in lines)
    if n_found == len(lines):
        return Answer("universal", ":material/check: universal", "green", said)
    return Answer("universal", "universal in part" if n_found else "this encoder only", "orange", said)


def _correlation(line: Counterpart) -> str:
    return f"{line.correlation:.2f}" if line.is_found else f"{line.correlation:.2f} (chance)"


def _enough(view: SaeView, latent: int) -> Answer:
    if view.groups() is None:
        return Answer("enough", "groups not measured", "gray", "is one latent enough?")
    found = one_or_group(view, latent)
    if found is None:
        return Answer("enough", "no value measured", "gray", "nothing to be enough for")
    group = f"{counted(found.n_latents, 'latent')}: F1 {found.group_f1:.2f}, this one {found.f1:.2f}"
    if found.is_enough:
        return Answer("enough", ":material/check: enough", "green", group)
    better = "another latent does better" if found.n_latents == 1 else f"{found.n_latents} do better"
    return Answer("enough", better, "orange", group)


def _missing(view: SaeView) -> list[str]:
    """The commands that measure what is not measured yet: seeds to train, stability and groups."""
    path, commands = view.workspace.path, []
    if view.stability() is None:
        has_seeds = bool(view.kept("has seeds", lambda: seed_family(view.workspace, view.name)))
        commands.append(NO_TRUST.format(path=path) if has_seeds else _command_for_seeds(view))
    if view.groups() is None:
        commands.append(NO_TRUST.format(path=path))
    return list(dict.fromkeys(commands))


def _command_for_seeds(view: SaeView) -> str:
    config = view.config
    return NO_SEEDS.format(
        path=view.workspace.path,
        embedder=view.embeddings.name,
        variant=variant_name(str(config["variant"]), config["prefixes"]),
        n_latents=config["n_latents"],
        k=config["k"],
    )
