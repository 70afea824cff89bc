"""What latents are called, on pages and in reports: by number, label or the value that they are named for."""

from sae_core.corpus.words import value_words
from sae_core.workspace.workspace import SaeView


def latent_name(view: SaeView, latent: int) -> str:
    """The name of a latent: `#9 “hold music”`, `#9 Spanish` or `#9`."""
    if label := view.label_of(latent):
        return f"#{latent} “{label}”"
    facts = view.latents.iloc[latent]
    if not facts["is_named"]:
        return f"#{latent}"
    return f"#{latent} {value_words(str(facts['best_attribute']), str(facts['best_value']))}"
