"""The four lists of clips that show what a latent, or a group of latents, answers to."""

from pages.figures.player.clip_cards import playable_clips
from pages.shared.heading import Heading
from sae_core.measures.listening import ListeningExamples
from sae_core.workspace.workspace import SaeView

N_CLIPS = 6
LISTS = {
    "strongest": Heading("Strongest", "highest activation; at most a third by one speaker", level=3),
    "middle": Heading("Median activation", "around the median of its active clips", level=3),
    "near_threshold": Heading(
        "Near threshold", "the lowest activations that still count as predicted positive", level=3
    ),
    "hard_negatives": Heading(
        "Hard negatives",
        "inactive, though their embeddings resemble the strongest; the same speakers first",
        level=3,
    ),
}


def playable_examples(view: SaeView, examples: ListeningExamples, *, top: float) -> None:
    """List the clips with their activations against `top`, the highest; a click on a title opens that clip."""
    for name, heading in LISTS.items():
        playable_clips(view, getattr(examples, name), key=f"clips_{name}", top=top, heading=heading)
