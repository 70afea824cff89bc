"""The figure of the method, e → v → ê, drawn from one real clip and the SAE that is open."""

from pages.figures.mount import mount
from pages.shared import links, wording
from sae_core.measures.profiles import MethodExample
from sae_core.workspace.workspace import SaeView

_draw = mount(__file__, host="method")


def method_figure(view: SaeView, example: MethodExample, *, key: str) -> int | None:
    """Draw one clip on its way through the SAE and return the latent whose stem was just clicked, if any."""
    stems = [
        {
            "latent": int(latent),
            "activation": float(activation),
            "label": view.label_of(int(latent))
            or wording.short_meaning(view, int(latent))
            or f"#{int(latent)}",
            "number": f"#{int(latent)}" if _has_name(view, int(latent)) else "no name yet",
            "is_named": _has_name(view, int(latent)),
            "help": wording.latent_name(view, int(latent)),
            "href": links.latent_address(view, int(latent)),
        }
        for latent, activation in zip(example.latents, example.activations, strict=True)
    ]
    data = {
        "embedding": example.embedding.round(4).tolist(),
        "reconstruction": example.reconstruction.round(4).tolist(),
        "stems": stems,
        "n_latents": view.n_latents,
        "label": "A clip's embedding, its active latents and the rebuilt embedding",
        "embedding_caption": f"{len(example.embedding)} numbers",
        "code_caption": f"{len(stems)} of {view.n_latents:,} latents active",
        "reconstruction_caption": f"cosine {example.cosine:.2f} to e",
    }
    opened = _draw(data, key=key)
    return None if opened is None else int(opened)


def _has_name(view: SaeView, latent: int) -> bool:
    return bool(view.label_of(latent) or view.latents["is_named"].iloc[latent])
