"""What the tables of the page Steering say of themselves once they are saved: what was steered, and on which clips."""

from collections.abc import Callable, Sequence

import pandas as pd

from sae_core.analysis.steering_experiment import SteeringExperiment
from sae_core.measures.steering import Change
from sae_core.workspace.workspace import SaeView

EVERY_CLIP = "every clip"
N_NAMED = 8
"""Latents in the name of a file, which may not be longer than 255 bytes."""


def export_of(
    experiment: SteeringExperiment, changes: Sequence[Change], make: Callable[[], pd.DataFrame]
) -> pd.DataFrame:
    """A table with what was steered in front of every line: sae, steered, applied_to, keeps_error, n_clips_changed."""
    applied_to = EVERY_CLIP if experiment.steered is None else "=".join(experiment.steered)
    about = {
        "sae": experiment.view.name,
        "steered": "; ".join(map(as_words, changes)) or "nothing",
        "applied_to": applied_to,
        "keeps_error": experiment.keeps_error,
        "n_clips_changed": experiment.count_steered(changes),
    }
    table = make()
    return pd.concat([pd.DataFrame(about, index=table.index), table], axis=1)


def as_words(change: Change) -> str:
    """One change for people: `#12 ablated`, `#40 × 0.5`, `#7 set to 3`."""
    done = {"ablate": "ablated", "scale": f"× {change.amount:g}", "set": f"set to {change.amount:g}"}
    return f"#{change.latent} {done[change.mode]}"


def file_name(view: SaeView, changes: Sequence[Change], what: str) -> str:
    """The name of a saved table: the SAE, the steered latents and what it holds."""
    latents = "-".join(str(change.latent) for change in changes[:N_NAMED])
    latents += f"-and-{len(changes) - N_NAMED}-more" if len(changes) > N_NAMED else ""
    return f"steering-{view.name}-{f'latents-{latents}' if latents else 'nothing'}-{what}"
