"""The steering as a recipe to take away: a zip as `steering export` writes it, an ONNX network, and how to use it."""

import io
import tempfile
import zipfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import streamlit as st

from pages.parts.steering.export import file_name
from pages.shared.wording import plain
from sae_core.analysis.recipes import encoder_name, make_recipe
from sae_core.analysis.steering_experiment import SteeringExperiment
from sae_core.measures.recipe_network import write_network
from sae_core.measures.recipes import Recipe, save_recipe
from sae_core.measures.steering import Change

MAX_NUMBERS = 50_000_000
"""Of an SAE's encoder, L · d: more are no download but a file for the command line."""
USE = """import sae_core
recipe = sae_core.load_recipe("{folder}")  # the zip, unpacked
steered = recipe.apply(embeddings)  # f32[n, {dim}] of any norm, by {encoder}"""


def draw_recipe(experiment: SteeringExperiment, changes: Sequence[Change]) -> None:
    """Buttons that give the recipe, and three lines that use it."""
    if not changes:
        return
    view, folder = experiment.view, file_name(experiment.view, changes, "recipe")
    encoder = encoder_name(view.embeddings)
    with st.container(border=True, key="steering_recipe"):
        st.header(
            "Recipe", anchor=False, help="Holds the SAE's encoder and the directions of the steered latents."
        )
        subset = " It steers every embedding, whatever is set above." if _is_partial(experiment) else ""
        st.markdown(
            f"This steering as a file that needs no workspace. It applies to embeddings by **{plain(encoder)}** and "
            f"refuses those of others.{subset}"
        )
        n_latents, dim = view.n_latents, view.embeddings.vectors.shape[1]
        if n_latents * dim > MAX_NUMBERS:
            st.caption("This SAE is too large to download here: use `steering export` on the command line.")
            return
        _draw_buttons(experiment, changes, folder)
        st.code(USE.format(folder=folder, dim=dim, encoder=encoder), language="python", wrap_lines=True)
        st.caption(f"For files of embeddings: `python -m sae_core steer IN OUT --recipe {folder}`")


def _is_partial(experiment: SteeringExperiment) -> bool:
    return experiment.steered is not None or not experiment.keeps_error


def _draw_buttons(experiment: SteeringExperiment, changes: Sequence[Change], folder: str) -> None:
    def recipe() -> Recipe:
        return make_recipe(experiment.view, changes, trial_set=experiment.trial_set)

    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            "Recipe", data=lambda: zipped(recipe(), folder), file_name=f"{folder}.zip", mime="application/zip",
            icon=":material/download:", on_click="ignore", key="recipe_zip",
        )  # fmt: skip
        if find_spec("onnx") is None:
            st.caption("As an ONNX network: install the extra, `pip install voxscope[onnx]`.")
            return
        st.download_button(
            "ONNX network", data=lambda: network(recipe()), file_name=f"{folder}.onnx",
            mime="application/octet-stream", icon=":material/download:", type="tertiary", on_click="ignore",
            key="recipe_onnx",
        )  # fmt: skip


def zipped(recipe: Recipe, folder: str) -> bytes:
    """The files of a recipe in one folder of a zip."""
    stream = io.BytesIO()
    with tempfile.TemporaryDirectory() as place, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as made:
        for file in sorted(save_recipe(recipe, Path(place) / "recipe").iterdir()):
            made.write(file, f"{folder}/{file.name}")
    return stream.getvalue()


def network(recipe: Recipe) -> bytes:
    """The recipe as an ONNX file."""
    with tempfile.TemporaryDirectory() as place:
        return write_network(recipe, Path(place) / "recipe.onnx").read_bytes()
