"""The latents that are active on a clip, as a ranked list."""

from pages.figures.ranking.ranking import RankedBar
from pages.shared import links, wording
from sae_core.workspace.workspace import SaeView


def active_latents(view: SaeView, row: int, *, most: int | None = None) -> list[RankedBar]:
    """A bar for each latent that is active on a clip, strongest first: its activation against the strongest."""
    latents, activations = view.codes.active(row)
    rates = view.latents["firing_rate"]
    return [
        RankedBar(
            label=wording.latent_name(view, int(latent)),
            detail=f"active on {wording.percent(float(rates.iloc[int(latent)]), 1)}",
            filled=float(activation) / float(activations[0]),
            value_text=f"{activation:.2f}",
            help=f"{wording.TERMS['activation']} {wording.measured(view, int(latent))}",
            opens=int(latent),
            href=links.latent_address(view, int(latent)),
        )
        for latent, activation in zip(latents[:most], activations[:most], strict=True)
    ]
