"""What latents named on the demo guess of a clip that nobody labelled, as words."""

from pages.shared.wording import column_words, value_words
from sae_core.workspace.workspace import Workspace


def guessed_facts(workspace: Workspace, row: int) -> dict[str, str]:
    """Attribute in words, marked as guessed → its value with the F1 that its latent had on unseen speakers."""
    guesses = workspace.guesses()
    if guesses is None:
        return {}
    reached = {(named.attribute, named.value): named.f1 for named in guesses.named}
    return {
        f"{column_words(attribute)} (guessed)": (
            f"{value_words(attribute, value)}, by a latent of F1 {reached[attribute, value]:.2f} on the demo"
        )
        for attribute, value in guesses.of_clip(row).items()
    }
