"""A steering of a workspace's SAE as a recipe, with what it was measured to do on unseen speakers."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from sae_core.analysis.steering_experiment import steering_presets
from sae_core.analysis.trial_sets import TrialSet
from sae_core.corpus.values import AttributeValue
from sae_core.embedding.embeddings import OWN_VECTORS, Embeddings
from sae_core.files.errors import ArtifactError
from sae_core.measures.recipes import EncoderMark, Recipe
from sae_core.measures.steering import MAX_LATENTS, Change, Mode, Steering
from sae_core.measures.verification import verify
from sae_core.sae.config import THRESHOLD_VARIANTS
from sae_core.sae.quality import firing_counts
from sae_core.workspace.workspace import SaeView

_MARKED = 20_000
_CHANGE = re.compile(r"(\d{1,7})(?:([x=])(\d{1,4}(?:\.\d{1,6})?))?")
_MODE_OF: dict[str | None, Mode] = {"x": "scale", "=": "set", None: "ablate"}


def read_changes(text: str) -> list[Change]:
    """The changes in a text such as `12,40x0.5,7=3`: ablate #12, scale #40 by 0.5, set #7 to 3.

    Raises ValueError for anything else, and where a latent is named twice.
    """
    found = [_CHANGE.fullmatch(part.strip()) for part in text.split(",")]
    if not all(found):
        raise ValueError(f"{text!r} names no changes: write 12,40x0.5,7=3 to ablate, scale and set latents")
    changes = [
        Change(int(match[1]), _MODE_OF[match[2]], float(match[3] or 0))
        for match in found
        if match is not None
    ]
    if len({change.latent for change in changes}) < len(changes):
        raise ValueError(f"{text!r} names a latent twice")
    return changes


def ablation_of(view: SaeView, value: AttributeValue) -> list[Change]:
    """The latents that detect a value on unseen speakers, ablated (see `steering_presets`).

    Raises ArtifactError where none is measured for it.
    """
    presets = steering_presets(view, n=len(view.predominant_latents()))
    found = next((preset for preset in presets if (preset.attribute, preset.value) == value), None)
    if found is None:
        raise ArtifactError(
            f"has no latent that was measured for {value[0]} {value[1]} on unseen speakers",
            where=view.folder,
            remedy="name latents instead: --latents 12,40x0.5",
        )
    return [Change(latent, "ablate") for latent in found.latents]


def make_recipe(view: SaeView, changes: Sequence[Change], *, trial_set: TrialSet | None = None) -> Recipe:
    """Return the recipe of a steering, which keeps the reconstruction error.

    trial_set: what its effect is measured on; without it, none is. Raises ValueError for no changes, more than
    `MAX_LATENTS`, one latent twice, or latents that are not there.
    """
    chosen = [change.latent for change in changes]
    if not 1 <= len(chosen) <= MAX_LATENTS or len(set(chosen)) < len(chosen):
        raise ValueError(f"a recipe changes from 1 to {MAX_LATENTS} latents, each once, not {len(chosen)}")
    if odd := [latent for latent in chosen if not 0 <= latent < view.n_latents]:
        raise ValueError(f"{view.name} has latents 0 to {view.n_latents - 1}, not {odd[0]}")
    model, config = view.model(), view.model().config
    weight, bias = (part.cpu().numpy().astype(np.float32) for part in model.plain_encoder())
    by_frequency = np.argsort(-firing_counts(view.codes), kind="stable")
    order = np.concatenate([chosen, by_frequency[~np.isin(by_frequency, chosen)]])
    is_bounded = config.variant not in THRESHOLD_VARIANTS
    floor = np.zeros(len(bias), np.float32)
    if hasattr(model, "threshold"):
        floor = np.maximum(model.threshold.detach().cpu().numpy(), 0).astype(np.float32)
    return Recipe(
        mark=_mark(view.embeddings),
        changes=tuple(changes),
        encoder=weight[order],
        bias=bias[order],
        directions=np.asarray(view.decoder().steps[chosen], dtype=np.float32),
        floor=floor[order],
        k=config.k if is_bounded else None,
        input_norm=config.input_norm,
        sae={"name": view.name, "fingerprint": view.weights_fingerprint, "variant": config.variant},
        effect={} if trial_set is None else expected_effect(view, changes, trial_set),
    )


def encoder_name(embeddings: Embeddings) -> str:
    """What the encoder of embeddings is called: vectors that people brought are known by their own name."""
    return embeddings.name if embeddings.embedder == OWN_VECTORS else embeddings.embedder


def _mark(embeddings: Embeddings) -> EncoderMark:
    rows = embeddings.valid_rows
    if len(rows) > _MARKED:
        rows = rows[np.linspace(0, len(rows) - 1, _MARKED).astype(np.int64)]
    name = encoder_name(embeddings)
    return EncoderMark.of(np.asarray(embeddings.vectors[rows]), name=name, revision=embeddings.revision)


def expected_effect(view: SaeView, changes: Sequence[Change], trial_set: TrialSet) -> dict[str, Any]:
    """What a steering does to verification, as JSON: EER before, after and their difference, each with its 95 % bounds
    (speakers resampled), and how many clips it changes."""
    latents = tuple(change.latent for change in changes)
    steering = Steering.prepare(
        trial_set.vectors, view.decoder().steps, view.codes.take(trial_set.rows), latents
    )
    delta = steering.deltas(list(changes))
    scores = steering.similarities(trial_set.scores, trial_set.trials, delta)
    before = trial_set.verified
    after = verify(scores, trial_set.trials, trial_set.speaker_groups, drawn=trial_set.draws)
    return {
        "n_trials": len(trial_set.trials),
        "n_speakers": before.n_speakers,
        "has_intervals": trial_set.has_intervals,
        "fraction_of_clips_changed": float(delta.any(axis=1).mean()),
        "eer_before": [before.eer, before.eer_low, before.eer_high],
        "eer_after": [after.eer, after.eer_low, after.eer_high],
        "eer_change": list(after.eer_change_from(before)),
    }
