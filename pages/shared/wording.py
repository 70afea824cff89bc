"""Words for people: what values, latents and numbers are called, and what the terms of the field mean."""

import re
from collections.abc import Sequence

import pandas as pd

from sae_core.analysis import latent_names
from sae_core.corpus import words
from sae_core.embedding.embedders import ABOUT
from sae_core.measures.attributes import SEEN_SPEAKERS, UNSEEN_SPEAKERS
from sae_core.workspace.workspace import SaeView, Workspace

EVIDENCE = {
    UNSEEN_SPEAKERS: "Unseen speakers: measured on speakers on whom neither the SAE nor the threshold was fitted. "
    "This can show an attribute.",
    SEEN_SPEAKERS: "Seen speakers: too few speakers have this value to hold some out, so other clips of the same "
    "speakers stand in. The number may reflect a speaker or a source rather than the attribute.",
}

CANDIDATE_F1 = 0.2
"""Below this F1 a value is not offered as what a latent may detect."""
TERMS = {
    "latent": "One unit of the sparse autoencoder: 0 on most clips, above 0 on those on which it is active.",
    "activation": "How strongly the latent is active on a clip; 0 means inactive.",
    "firing rate": "Fraction of all clips on which the latent is active.",
    "precision": "Of the clips predicted positive (activation above its threshold), the fraction that have the value.",
    "recall": "Of the clips that have the value, the fraction predicted positive.",
    "f1": "Precision and recall in one number (their harmonic mean): 1 is perfect, 0 is useless.",
    "interval": "95 % interval: where the number would likely fall with other speakers of the same kind.",
    "lift": "× says how many times more often the value occurs among its clips than among all clips.",
    "explained variance": "Fraction of the variance of the embeddings that the reconstruction keeps: 100 % is exact.",
    "training": "The same on the training speakers. Much higher means that the SAE is overfitted.",
    "l0": "Mean number of active latents per clip.",
    "dead": "Latents that are active on no clip. AuxK (arXiv 2406.04093) is there to keep them few.",
    "gamma": "Mean offset: the norm of the mean embedding over their standard deviation (arXiv 2605.31518). Above "
    "about 1, latents die unless embeddings are centred first, as VoxScope does.",
    "cosine": "Similarity of two directions: 1 is the same, 0 is unrelated.",
    "jaccard": "Clips on which both latents are active, as a fraction of those on which either is.",
    "correlation": "Correlation of the activations of two latents over the same clips: 1 is the same, 0 is unrelated.",
    "stability": "Mean cosine of its decoder direction with the most similar one of each SAE that differs in the seed "
    "alone: 1 is found again exactly. It counts as found in a seed from 0.7 on.",
    "sae": "The sparse autoencoder (SAE) to look through. L is its number of latents, k how many are active at once.",
}


VARIANT_WORDS = {
    "topk": "TopK",
    "matryoshka": "Matryoshka",
    "batchtopk": "BatchTopK",
    "matryoshka-batchtopk": "Matryoshka BatchTopK",
    "jumprelu": "JumpReLU",
    "relu": "ReLU",
}

value_words = words.value_words
latent_name = latent_names.latent_name
percent = words.percent
bounds = words.bounds
with_interval = words.with_interval
counted = words.counted


def short_meaning(view: SaeView, latent: int) -> str:
    """The attribute value that a latent may be called by: shown on unseen speakers, and well enough; else nothing."""
    facts = view.latents.iloc[latent]
    return best_value(facts) if facts["is_named"] else ""


def best_value(facts: pd.Series, prefix: str = "best_") -> str:
    """The value that a row of the latents table detects best, by one kind of evidence; nothing where there is none."""
    value = facts[f"{prefix}value"]
    return "" if pd.isna(value) else value_words(str(facts[f"{prefix}attribute"]), str(value))


def detected_in_words(facts: pd.Series, prefix: str = "best_") -> str:
    """What precision and recall of its best value mean, in one sentence; its precision must be above 0."""
    precision, recall, lift = (float(facts[f"{prefix}{name}"]) for name in ("precision", "recall", "lift"))
    return f"Precision **{percent(precision)}** (base rate {percent(precision / lift)}), recall **{percent(recall)}**."


def candidate(facts: pd.Series) -> str:
    """The value that a latent without a name may detect, with its F1 on unseen speakers; nothing where there is none
    worth a look."""
    f1 = facts["best_f1"]
    if facts["is_named"] or pd.isna(f1) or float(f1) < CANDIDATE_F1:
        return ""
    return f"candidate: {best_value(facts)} (F1 {f1:.2f})"


def embeddings_words(name: str) -> str:
    """What embeddings of this name are called: as their embedder where they go by its name."""
    return ABOUT[name][0] if name in ABOUT else name


def sae_words(workspace: Workspace, name: str) -> str:
    """What an SAE is called in a list: the embeddings it reads, then its variant and size."""
    embeddings = workspace.embeddings_of(name)
    return f"{embeddings_words(embeddings)} · {name.removeprefix(f'{embeddings}-')}" if embeddings else name


def distinct_words(views: Sequence[SaeView]) -> dict[str, str]:
    """What some SAEs are called beside each other, by name: by their embeddings where those differ, else in full."""
    embeddings = [view.embeddings.name for view in views]
    is_apart = len(set(embeddings)) == len(views)
    return {
        view.name: embeddings_words(name) if is_apart else sae_words(view.workspace, view.name)
        for view, name in zip(views, embeddings, strict=True)
    }


def latent_words(view: SaeView, latent: int) -> str:
    """The name of a latent for a place that reads Markdown."""
    number, _, rest = latent_name(view, latent).partition(" ")
    return f"{number} {plain(rest)}" if rest else number


def plain(text: str) -> str:
    """Text that people wrote, for a place that reads Markdown: it shows as it is, and makes no link, icon or picture.

    A backslash takes the meaning from every sign that has one inside a line; a word joiner, which nobody sees, keeps
    what is left of an address or of an icon's name from being found, and the first sign from beginning a list.
    """
    apart = re.sub(r"(:(?=\S)|@|www(?=\.))", "\\1\u2060", " ".join(text.split()), flags=re.IGNORECASE)
    inert = re.sub(r"([\\`*_\[\]<>$~:&|#!{}^])", r"\\\1", apart)
    return f"\u2060{inert}" if re.match(r"[-+=]|\d+[.)]", inert) else inert


def column_words(name: str) -> str:
    """The name of a clips column as people say it."""
    return {"speaker_id": "Speaker", "audio_path": "Recording", "duration_s": "Length"}.get(
        name, name.capitalize()
    )


def known_value(attribute: str, value: object) -> str:
    """A value for people, or "unknown"."""
    return "unknown" if pd.isna(value) else value_words(attribute, str(value))


def measured(view: SaeView, latent: int) -> str:
    """In one sentence, how well a latent detects its best value on unseen speakers."""
    facts = view.latents.iloc[latent]
    if pd.isna(facts["best_f1"]):
        return "Nothing was measured for it on unseen speakers."
    f1 = with_interval(facts["best_f1"], facts["best_f1_low"], facts["best_f1_high"])
    return f"Best attribute on unseen speakers: {best_value(facts)}, F1 {f1}."
