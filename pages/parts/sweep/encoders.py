"""Which encoder's embeddings hold a value: the best latent on each, side by side with a linear probe."""

import pandas as pd
import streamlit as st

from pages.parts.sweep import table as sweep_table
from pages.parts.sweep.table import MEASURE_WORDS
from pages.shared import links
from pages.shared.exports import csv_button
from pages.shared.wording import embeddings_words, latent_words, plain, value_words, with_interval
from sae_core.build.sweep import best_of_each, probe_ceiling
from sae_core.workspace.workspace import Workspace

HELP = (
    "For each encoder the SAE and latent that were best on the selection clips, with their numbers on the evaluated "
    "clips. The linear probe reads the raw embedding: where it is high and the latent is low, the encoder holds the "
    "value and no single latent does."
)


def compare_encoders(workspace: Workspace, attribute: str, value: str, measure: str) -> pd.DataFrame:
    """One line for each of a workspace's embeddings with an SAE: embeddings, sae, latent, is_confirmed, the measure and
    its bounds, and those of the linear probe, NaN where none is kept; the highest measure first."""
    lines = []
    for embeddings in workspace.embedder_names():
        table = sweep_table.of_value(workspace, embeddings, attribute, value)
        if table.empty:
            continue
        best = best_of_each(table).iloc[0]
        line = {"embeddings": embeddings, **{name: best[name] for name in ("sae", "latent", "is_confirmed")}}
        probe = probe_ceiling(workspace, embeddings, attribute, value)
        for end in ("", "_low", "_high"):
            line[f"{measure}{end}"] = best[f"{measure}{end}"]
            line[f"probe_{measure}{end}"] = float("nan") if probe is None else probe[f"{measure}{end}"]
        lines.append(line)
    found = pd.DataFrame(lines)
    return found.sort_values(measure, ascending=False, kind="stable") if lines else found


def draw_encoders(workspace: Workspace, chosen: tuple[str, str], measure: str) -> None:
    """The comparison as a table, where there is more than one encoder to compare."""
    found = compare_encoders(workspace, *chosen, measure)
    if len(found) < 2:
        return
    words = MEASURE_WORDS[measure]
    with st.container(border=True, key="sweep_encoders"):
        st.header(f"{plain(value_words(*chosen))} by encoder", anchor=False, help=HELP)
        rows = [f"| Encoder | Best latent | {words} | Linear probe | Verdict |", "|---|---|---|---|---|"]
        for _, line in found.iterrows():
            view = workspace.sae(str(line["sae"]))
            latent = int(line["latent"])
            name = f"[{plain(view.name)}, {latent_words(view, latent)}]({links.latent_address(view, latent)})"
            cells = [plain(embeddings_words(str(line["embeddings"]))), name]
            cells += [_reached(line, measure), _reached(line, f"probe_{measure}")]
            cells.append("confirmed on held-out speakers" if line["is_confirmed"] else "not confirmed")
            rows.append("| " + " | ".join(cells) + " |")
        st.markdown("\n".join(rows))
        csv_button(lambda: found, name=f"encoders-{chosen[0]}-{chosen[1]}", key="encoders_csv")


def _reached(line: pd.Series, measure: str) -> str:
    if pd.isna(line[measure]):
        return "–"
    return with_interval(line[measure], line[f"{measure}_low"], line[f"{measure}_high"])
