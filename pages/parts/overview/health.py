"""How well an SAE does its work, in words that claim no more than its numbers."""

from typing import Any

import streamlit as st

from pages.shared.wording import TERMS, percent
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
    st.subheader("Is this SAE any good?", anchor=False, help=TERMS["sae"])
    st.caption(_description(view))
    first, second = st.columns(2)
    first.metric("Explained, unseen speakers", _share(held_out), help=TERMS["explained variance"])
    second.metric("Explained, training", _share(train), help=TERMS["training"])
    third, fourth, fifth = st.columns(3)
    third.metric("L0", f"{held_out['l0']:.1f}" if held_out else "–", help=TERMS["l0"])
    fourth.metric("Dead", percent(_dead_fraction(view)), help=TERMS["dead"])
    fifth.metric("γ", f"{view.metrics.get('gamma', float('nan')):.2f}", help=TERMS["gamma"])
    st.markdown("  \n".join(f":small[{remark}]" for remark in remarks(view)))


def _description(view: SaeView) -> str:
    prefixes = view.config.get("prefixes") or ()
    kind = f"nested ({' ⊂ '.join(f'{n:,}' for n in prefixes)})" if prefixes else "plain TopK"
    n_train = view.metrics.get("n_train")
    trained = f", trained on {n_train:,} clips" if n_train else ""
    size = f"{view.n_latents:,} latents, {view.codes.k} at once, {kind}"
    return f"{size}{trained}; embeddings by {view.embeddings.embedder}"


def remarks(view: SaeView) -> list[str]:
    """Plain sentences on the numbers: what is kept, then cautions, then γ."""
    found = [_on_new_voices(view)]
    held_out, train = _metrics_of(view, "held-out"), _metrics_of(view, "train")
    if held_out and train:
        gap = train["explained_variance"] - held_out["explained_variance"]
        if gap > WIDE_GAP:
            found.append(
                f"{CAUTION} {100 * gap:.0f} points better on training voices: they are partly learnt by heart."
            )
    dead = _dead_fraction(view)
    if dead > MANY_DEAD:
        found.append(f"{CAUTION} {percent(dead)} of its {view.n_latents:,} latents do nothing.")
    gamma = view.metrics.get("gamma")
    if gamma is not None:
        far = "lies far from zero; it is taken off before encoding" if gamma > HIGH_GAMMA else "is no trouble"
        found.append(f"{NOTE} γ = {gamma:.2f}: the common centre of the embeddings {far}.")
    return found


def _on_new_voices(view: SaeView) -> str:
    held_out = _metrics_of(view, "held-out")
    if not held_out:
        return f"{CAUTION} No voices were kept aside, so nothing here is tested on new people."
    explained = held_out["explained_variance"]
    if explained < LOW_EXPLAINED:
        return f"{CAUTION} It loses {percent(1 - explained)} of what sets unseen speakers apart: more may hide there."
    return f"{GOOD} It keeps {percent(explained)} of what sets voices apart that it never heard."


def _metrics_of(view: SaeView, split: str) -> dict[str, Any]:
    return view.metrics.get(split) or {}


def _dead_fraction(view: SaeView) -> float:
    return float((view.latents["n_active"] == 0).mean())


def _share(metrics: dict[str, Any]) -> str:
    return f"{100 * metrics['explained_variance']:.1f} %" if metrics else "–"
