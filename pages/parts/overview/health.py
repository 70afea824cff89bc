"""How well an SAE does its work, in words that claim no more than its numbers."""

from typing import Any

import streamlit as st

from pages.shared.wording import TERMS, embeddings_words, percent
from sae_core.analysis.model_card import VARIANTS
from sae_core.sae.config import THRESHOLD_VARIANTS
from sae_core.workspace.workspace import SaeView

MANY_DEAD = 0.1
WIDE_GAP = 0.1
LOW_EXPLAINED = 0.6
HIGH_GAMMA = 1.0
GOOD, CAUTION, NOTE = (
    ":green[:material/check_circle:]",
    ":orange[:material/warning:]",
    ":gray[:material/info:]",
)


def health_panel(view: SaeView) -> None:
    """Draw explained variance, L0, dead share and γ of one SAE, and what they mean."""
    held_out, train = _metrics_of(view, "held-out"), _metrics_of(view, "train")
    st.header("Model quality", anchor=False, help=TERMS["sae"])
    st.caption(_description(view))
    first, second = st.columns(2)
    first.metric("Variance explained, held-out", _share(held_out), help=TERMS["explained variance"])
    second.metric("Variance explained, train", _share(train), help=TERMS["training"])
    third, fourth, fifth = st.columns(3)
    third.metric("L0", f"{held_out['l0']:.1f}" if held_out else "–", help=TERMS["l0"])
    fourth.metric("Dead", percent(_dead_fraction(view)), help=TERMS["dead"])
    gamma = view.metrics.get("gamma")
    fifth.metric("γ", "–" if gamma is None else f"{gamma:.2f}", help=TERMS["gamma"])
    st.markdown("  \n".join(f":small[{remark}]" for remark in remarks(view)))


def _description(view: SaeView) -> str:
    prefixes = view.config.get("prefixes") or ()
    groups = " ⊂ ".join(f"{n:,}" for n in prefixes)
    variant = str(view.config["variant"])
    kind = f"Matryoshka, groups {groups} (arXiv 2503.17547)" if prefixes else VARIANTS.get(variant, variant)
    n_train = view.metrics.get("n_train")
    trained = (
        f", trained on {n_train:,} clips" if n_train else ", imported" if "imported" in view.settings else ""
    )
    active = f"up to {view.codes.k}" if variant in THRESHOLD_VARIANTS else f"k = {view.codes.k}"
    size = f"{view.n_latents:,} latents, {active} active per clip, {kind}"
    return (
        f"{size}{trained}; on {embeddings_words(view.embeddings.name)}, {view.embeddings.dim} numbers a clip"
    )


def remarks(view: SaeView) -> list[str]:
    """Plain sentences on the numbers: what is kept, then cautions, then γ."""
    found = [_on_held_out_speakers(view)]
    held_out, train = _metrics_of(view, "held-out"), _metrics_of(view, "train")
    if held_out and train:
        gap = train["explained_variance"] - held_out["explained_variance"]
        if gap > WIDE_GAP:
            found.append(
                f"{CAUTION} Train–held-out gap {100 * gap:.0f} points: overfitted. Use more clips or fewer latents."
            )
    dead = _dead_fraction(view)
    if dead > MANY_DEAD:
        found.append(
            f"{CAUTION} {percent(dead)} of its {view.n_latents:,} latents are dead (active on no clip)."
        )
    gamma = view.metrics.get("gamma")
    if gamma is not None:
        far = "(high)" if gamma > HIGH_GAMMA else "(low)"
        centred = "" if "imported" in view.settings else "; embeddings are centred before encoding"
        found.append(f"{NOTE} Mean offset γ = {gamma:.2f} {far}{centred}.")
    return found


def _on_held_out_speakers(view: SaeView) -> str:
    held_out = _metrics_of(view, "held-out")
    if not held_out:
        return f"{CAUTION} No speakers were held out, so nothing here is tested on unseen speakers."
    explained = held_out["explained_variance"]
    if explained <= 0:
        return f"{CAUTION} On held-out speakers the reconstruction is no better than the mean embedding."
    if explained < LOW_EXPLAINED:
        return (
            f"{CAUTION} Reconstruction loses {percent(1 - explained)} of the variance on held-out speakers; that "
            "information is not in the latents."
        )
    return f"{GOOD} Reconstruction keeps {percent(explained)} of the variance on held-out speakers."


def _metrics_of(view: SaeView, split: str) -> dict[str, Any]:
    return view.metrics.get(split) or {}


def _dead_fraction(view: SaeView) -> float:
    return float((view.latents["n_active"] == 0).mean())


def _share(metrics: dict[str, Any]) -> str:
    return f"{100 * metrics['explained_variance']:.1f} %" if metrics else "–"
