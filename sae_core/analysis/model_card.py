"""The model card of an SAE: what it was made from, how good it is, what it detects, and what it cannot say.

After Mitchell et al. 2019, "Model Cards for Model Reporting" (arXiv 1810.03993), kept to what is measured here.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sae_core.corpus.clips import SPLITS, Corpus
from sae_core.sae.config import variant_name
from sae_core.workspace.workspace import SaeView

VARIANTS = {
    "topk": "TopK (arXiv 2406.04093)",
    "matryoshka": "Matryoshka TopK (arXiv 2503.17547)",
    "relu": "ReLU",
    "jumprelu": "JumpReLU (arXiv 2407.14435)",
    "batchtopk": "BatchTopK (arXiv 2412.06410)",
    "matryoshka-batchtopk": "Matryoshka BatchTopK (arXiv 2503.17547)",
}
LIBRARIES = {"saelens": "SAELens", "openai": "OpenAI's sparse_autoencoder"}
DEMO_LIMITS = (
    "The demo holds open-licence prompts, games and hold music: enough to explore and to check the method, too few "
    "speakers to publish claims. Each of its languages comes from few speakers and sources, so language, speaker and "
    "recording are confounded. For claims, open recordings of your own."
)
_LICENCE_COLUMNS = ("licence", "license")
_LICENCE_FILES = ("LICENSE", "LICENSE.txt", "LICENCE", "LICENSE.md", "CREDITS.md")
_MAX_NAMED = 200


def model_card(view: SaeView) -> str:
    """Return the card of an indexed SAE as Markdown; the same SAE and clips always give the same text."""
    sections = {
        "Data": _data(view),
        "Encoder": _encoder(view),
        "Autoencoder": _autoencoder(view),
        "Reconstruction": _reconstruction(view),
        "Values confirmed on held-out speakers": _confirmed(view),
        "Named latents": _named(view),
        "Licence": _licence(view),
        "Limits": "\n".join(f"- {line}" for line in limits(view)),
    }
    parts = [f"## {title}\n\n{text}" for title, text in sections.items()]
    return "\n\n".join([f"# {_plain(view.name)}", *parts]) + "\n"


def _data(view: SaeView) -> str:
    corpus, summary = view.workspace.corpus, view.workspace.summary()
    rows = [
        (split, f"{len(rows := corpus.rows_in(split)):,}", f"{len(np.unique(corpus.speaker_groups[rows])):,}")
        for split in SPLITS
    ]
    length = f"{summary.hours:.1f} hours" if corpus.has_sound else "without recordings"
    about = (
        f"Workspace {_plain(view.workspace.name)}: {summary.n_clips:,} clips, {length}, "
        f"{summary.n_speakers:,} speakers, {len(view.embeddings.valid_rows):,} clips embedded. "
        "No speaker is in two splits."
    )
    attributes = ", ".join(
        f"{_plain(name)} ({len(corpus.values_of(name)):,} values)" for name in corpus.attributes
    )
    return f"{about}\n\n{_table(('split', 'clips', 'speakers'), rows)}\n\nAttributes: {attributes or 'none'}."


def _encoder(view: SaeView) -> str:
    found = view.embeddings
    called = "" if found.name == found.embedder else f", called {_plain(found.name)} here"
    return (
        f"{_plain(found.embedder)}{called}, revision {_plain(found.revision)}: {found.dim} numbers a clip, of norm 1, "
        f"from sound at {found.sample_rate_hz:,} Hz."
    )


def _autoencoder(view: SaeView) -> str:
    config = view.config
    lines = [
        ("variant", VARIANTS[variant_name(str(config["variant"]), config.get("prefixes") or ())]),
        ("latents L", f"{view.n_latents:,}"),
        ("active latents a clip, at most", f"{view.codes.k:,}"),
    ]
    if config.get("prefixes"):
        lines.append(("groups", " ⊂ ".join(f"{end:,}" for end in config["prefixes"])))
    if config.get("input_norm", "none") != "none":
        lines.append(("input", "each embedding brought to mean 0 and standard deviation 1 over its numbers"))
    lines.append(("made", _origin(view)))
    lines.append(("weights", view.weights_fingerprint))
    return _table(("", ""), lines)


def _origin(view: SaeView) -> str:
    imported, training = view.settings.get("imported"), view.settings.get("training")
    if isinstance(imported, dict):
        layout = str(imported.get("layout"))
        library = LIBRARIES.get(layout, layout)
        return (
            f"imported from {_plain(library)} ({_plain(str(imported.get('architecture')))}), "
            f"file {_plain(str(imported.get('file')))}, digest {_plain(str(imported.get('digest')))}"
        )
    epochs = training.get("n_epochs") if isinstance(training, dict) else None
    n_train = view.metrics.get("n_train")
    return (
        "trained here"
        + (f" on {n_train:,} clips of the train split" if n_train else "")
        + (f", {epochs} epochs" if epochs else "")
        + f", seed {view.config['seed']}"
    )


def _reconstruction(view: SaeView) -> str:
    rows = []
    for split in ("train", "held-out"):
        found: dict[str, Any] = view.metrics.get(split) or {}
        numbers = [found.get(name) for name in ("explained_variance", "cosine_mean", "l0", "dead_fraction")]
        rows.append((split, *("–" if number is None else f"{number:.3f}" for number in numbers)))
    heads = ("split", "explained variance", "mean cosine", "L0", "dead fraction")
    gamma = view.metrics.get("gamma")
    return _table(heads, rows) + (
        f"\n\nMean offset γ {gamma:.2f} (arXiv 2605.31518)." if gamma is not None else ""
    )


def _confirmed(view: SaeView) -> str:
    values = view.predominant_latents()
    found = values[values["is_confirmed"]].sort_values(["attribute", "value"])
    said = (
        f"{len(found):,} of {len(values):,} values. Each one's best latent and its threshold were chosen on selection "
        "speakers; the numbers are of held-out speakers, with 95 % intervals over speakers."
    )
    rows = [
        (
            _plain(line["attribute"]),
            _plain(line["value"]),
            f"#{line['latent']}",
            _with_interval(line, ""),
            f"{line['precision']:.2f}",
            f"{line['recall']:.2f}",
        )
        for _, line in found.iterrows()
    ]
    heads = ("attribute", "value", "latent", "F1", "precision", "recall")
    return said + (f"\n\n{_table(heads, rows)}" if rows else "")


def _named(view: SaeView) -> str:
    labels = view.workspace.notes.latent_labels(view.weights_fingerprint)
    table = view.latents
    shown = table[table["is_named"] | table["latent"].isin(list(labels))]
    if not len(shown):
        return (
            "None: no latent detects a value on held-out speakers well enough, and nobody has labelled one."
        )
    rows = [
        (
            f"#{line['latent']}",
            _plain(labels.get(int(line["latent"]), "")),
            _plain(line["best_attribute"]) if line["is_named"] else "",
            _plain(line["best_value"]) if line["is_named"] else "",
            _with_interval(line, "best_") if line["is_named"] else "",
        )
        for _, line in shown.head(_MAX_NAMED).iterrows()
    ]
    more = f"\n\n{len(shown) - _MAX_NAMED:,} more are in latents.parquet." if len(shown) > _MAX_NAMED else ""
    return _table(("latent", "label by people", "attribute", "value", "F1, held-out speakers"), rows) + more


def _licence(view: SaeView) -> str:
    """What the clips table or a file beside the clips says of it."""
    corpus = view.workspace.corpus
    column = next((name for name in _LICENCE_COLUMNS if name in corpus.table.columns), None)
    if column is not None:
        said = sorted({str(value) for value in corpus.table[column].dropna().unique()})[:20]
        return (
            f"Of the recordings: {', '.join(map(_plain, said)) or 'not stated'}. Of the weights: not stated."
        )
    file = _licence_file(corpus, view.workspace.path)
    said_in = f"see {file} beside them" if file else "not stated"
    return f"Of the recordings: {said_in}. Of the weights: not stated."


def _licence_file(corpus: Corpus, path: Path) -> str | None:
    return next(
        (
            name
            for name in _LICENCE_FILES
            for folder in (path, corpus.audio_root)
            if (folder / name).is_file()
        ),
        None,
    )


def limits(view: SaeView) -> list[str]:
    """What the numbers of an SAE cannot show, a sentence each."""
    held_out = view.metrics.get("held-out") or {}
    found = [
        "A latent detects a value with errors, on clips like these; it is no proof of what a speaker is.",
        "Numbers are of this corpus. Other channels, languages and ways of recording need their own test.",
        "Values that are not in the table above were not confirmed, which does not show that they are not encoded.",
    ]
    if held_out:
        lost = 1 - held_out["explained_variance"]
        found.append(f"Reconstruction loses {lost:.0%} of the variance on held-out speakers.")
    else:
        found.append("No speakers were held out: nothing here is tested on unseen speakers.")
    if "imported" in view.settings:
        found.append(
            "Which clips it was trained on is not known: held-out speakers of this workspace may have been among them."
        )
    if view.config.get("input_norm", "none") != "none":
        found.append(
            "Codes do not hold mean and standard deviation of their embedding: reconstructions use the averages."
        )
    return found


def _with_interval(line: pd.Series, prefix: str) -> str:
    value, low, high = (line[f"{prefix}{name}"] for name in ("f1", "f1_low", "f1_high"))
    return f"{value:.2f}" + ("" if pd.isna(low) or pd.isna(high) else f" ({low:.2f}–{high:.2f})")


def _table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _plain(text: object) -> str:
    """What people wrote, as text of one line that Markdown takes for nothing else."""
    line = " ".join(str(text).split())
    for sign in "\\`*_[]<>|#":
        line = line.replace(sign, f"\\{sign}")
    return line
