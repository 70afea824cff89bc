"""Chapters on what a report rests on: the clips, the method, the quality of the SAE, limits, settings and credits."""

import json
import re
from collections.abc import Iterable

from sae_core import __version__
from sae_core.analysis.first_value import first_value
from sae_core.analysis.model_card import DEMO_LIMITS, VARIANTS, limits
from sae_core.corpus.clips import SPLITS
from sae_core.corpus.words import counted, percent, value_words
from sae_core.measures.attributes import UNSEEN_SPEAKERS
from sae_core.report.figures import method_figure
from sae_core.report.markup import Child, Markup, element, facts, markup, paragraphs, said, table
from sae_core.report.sounds import Sounds
from sae_core.sae.config import THRESHOLD_VARIANTS, variant_name
from sae_core.workspace.workspace import SaeView

MAX_CREDITS_CHARS = 60_000
MAX_LINES = 30
CREDIT_FACTS = ("Credit", "Licence", "From")


def at_a_glance(view: SaeView) -> Markup:
    """The numbers to begin with."""
    summary, best = view.workspace.summary(), view.predominant_latents()
    is_tested = best["evidence"] == UNSEEN_SPEAKERS
    held_out = view.metrics.get("held-out") or {}
    explained = percent(held_out["explained_variance"]) if held_out else "not measured"
    numbers = [
        ("clips", f"{summary.n_clips:,}"),
        ("speakers", f"{summary.n_speakers:,}"),
        ("latents", f"{view.n_latents:,}"),
        ("active on a clip", f"{held_out['l0']:.0f}" if held_out else f"{view.codes.k}"),
        ("variance explained on held-out speakers", explained),
        (
            "values confirmed, of those testable",
            f"{int(best['is_confirmed'].sum())} of {int(is_tested.sum())}",
        ),
    ]
    return element(
        "ul", [element("li", element("b", number), words) for words, number in numbers], class_="numbers"
    )


def data_chapter(view: SaeView) -> Markup:
    """Who and what was recorded, and how speakers are divided."""
    corpus, summary = view.workspace.corpus, view.workspace.summary()
    length = f"{summary.hours:.1f} hours of sound" if corpus.has_sound else "no recordings, vectors only"
    n_embedded = len(view.embeddings.valid_rows)
    about = (
        f"{counted(summary.n_clips, 'clip')}, {length}, {counted(summary.n_speakers, 'speaker')}; "
        f"{n_embedded:,} clips have an embedding. No speaker is in two splits: the SAE is trained on the first, "
        "latents and thresholds are chosen on the second, and numbers are reported on the third."
    )
    splits = summary.splits.set_index("split").reindex(list(SPLITS)).fillna(0).astype(int)
    rows = [(name, f"{line.n_clips:,}", f"{line.n_speakers:,}") for name, line in splits.iterrows()]
    parts = [
        paragraphs(about),
        table(("split", "clips", "speakers"), rows, caption="Clips and speakers by split"),
    ]
    if corpus.attributes:
        parts.append(_values_table(view))
    return markup(parts)


def _values_table(view: SaeView) -> Markup:
    corpus = view.workspace.corpus
    rows: list[tuple[Child, ...]] = []
    for name in corpus.attributes:
        counts = corpus.table[name].value_counts()
        shown = [
            markup(said(value_words(name, str(value))), f" {n:,}") for value, n in counts.head(12).items()
        ]
        listed = markup(part for place, one in enumerate(shown) for part in ((", " if place else ""), one))
        more = f" and {len(counts) - 12} more" if len(counts) > 12 else ""
        rows.append((said(name), markup(listed, more), f"{int(corpus.table[name].isna().sum()):,}"))
    heads = ("attribute", "values, with clips", "unknown")
    return table(heads, rows[:MAX_LINES], caption="What the clips are labelled with", n_words=2)


def method_chapter(view: SaeView, sounds: Sounds) -> Markup:
    """The method in three steps with the numbers of this SAE, and one clip on its way through it."""
    found = view.embeddings
    variant = str(view.config["variant"])
    k = f"at most {view.codes.k}" if variant in THRESHOLD_VARIANTS else f"{view.codes.k}"
    steps = [
        f"A speaker encoder ({found.embedder}) turns each clip into an embedding e of {found.dim} numbers, of norm 1.",
        f"A sparse autoencoder (SAE) writes e as {k} active latents out of {view.n_latents:,} (v), and rebuilds e from "
        "these alone (ê). It was trained to rebuild embeddings and knows no label.",
        "Afterwards each latent is compared with what the clips are labelled with: its best threshold for a value is "
        "chosen on selection speakers, and its F1 is measured on speakers whom neither the SAE nor the choice has met.",
    ]
    example = view.method_example(_example_row(view))
    return markup(
        element("ol", [element("li", step) for step in steps]),
        paragraphs("After arXiv 2502.00127; TopK SAEs: arXiv 2406.04093; Matryoshka SAEs: arXiv 2503.17547."),
        element("h3", "One clip through the autoencoder"),
        method_figure(view, example),
        sounds.clips([example.row], ["the clip of the figure"]),
    )


def _example_row(view: SaeView) -> int | None:
    """The strongest clip of the confirmed latent for the value that pages open on; None where none is confirmed."""
    values, first = view.predominant_latents(), first_value(view)
    if first is None or values.empty:
        return None
    is_it = (values["attribute"] == first[0]) & (values["value"] == first[1]) & values["is_confirmed"]
    rows = [int(row) for latent in values["latent"][is_it] for row in view.index.top(int(latent), 1)[0]]
    return rows[0] if rows and view.embeddings.is_valid[rows[0]] else None


def quality_chapter(view: SaeView) -> Markup:
    """How well the SAE rebuilds embeddings."""
    rows = []
    for split in ("train", "held-out"):
        measured = view.metrics.get(split) or {}
        numbers = [
            measured.get(name) for name in ("explained_variance", "cosine_mean", "l0", "dead_fraction")
        ]
        rows.append((split, *("–" if number is None else f"{number:.3f}" for number in numbers)))
    heads = ("split", "explained variance", "mean cosine", "L0", "dead fraction")
    held_out = view.metrics.get("held-out")
    words = (
        f"On held-out speakers the reconstruction keeps {percent(max(0.0, held_out['explained_variance']))} of the "
        "variance of the embeddings. What it loses is not in the latents."
        if held_out
        else "No speakers were held out, so nothing here is tested on unseen speakers."
    )
    return markup(paragraphs(words), table(heads, rows, caption="Reconstruction"))


def limits_chapter(view: SaeView) -> Markup:
    """What all this cannot show."""
    lines = [*limits(view), *([DEMO_LIMITS] if view.workspace.is_demo else [])]
    return element("ul", [element("li", line) for line in lines])


def settings_chapter(view: SaeView, sounds: Sounds, *, made_at: str) -> Markup:
    """Settings and fingerprints, by which the same numbers can be had again, and what is inside this file."""
    corpus, found, config = view.workspace.corpus, view.embeddings, view.config
    prefixes = config.get("prefixes") or ()
    trained = view.settings.get("training")
    rows: list[tuple[str, Child]] = [
        ("Made", f"{made_at} by VoxScope {__version__}"),
        ("Workspace", said(view.workspace.name)),
        ("SAE", said(view.name)),
        ("Variant", VARIANTS.get(variant_name(str(config["variant"]), prefixes), str(config["variant"]))),
        ("Settings of the SAE", _as_json(config)),
        ("Training", _as_json(trained) if isinstance(trained, dict) else "imported"),
        (
            "Encoder",
            markup(
                said(found.embedder), ", revision ", said(found.revision), f", {found.sample_rate_hz:,} Hz"
            ),
        ),
        ("Fingerprint of the sound", corpus.audio_fingerprint),
        ("Fingerprint of the labels", corpus.labels_fingerprint),
        ("Fingerprint of the splits", corpus.split_fingerprint),
        ("Fingerprint of the embeddings", found.fingerprint),
        ("Fingerprint of the weights", view.weights_fingerprint),
        ("Fingerprint of the index", view.fingerprint),
        ("Sounds", sounds.sentence()),
    ]
    return facts(rows)


def _as_json(value: object) -> Markup:
    return element("code", json.dumps(value, ensure_ascii=False, default=str, sort_keys=True))


def credits_chapter(view: SaeView) -> Markup | None:
    """Who made the recordings, as CREDITS.md beside the clips says it; None where there is no such file."""
    text = _credits(view)
    if text is None:
        return None
    sources = [(name, dict(lines)) for name, lines in _sections(text)]
    known = [(name, lines) for name, lines in sources if "Credit" in lines]
    if not known:
        return element("pre", text[:MAX_CREDITS_CHARS])
    rows = [
        (said(name), *(said(lines.get(fact, "–").replace("`", "")) for fact in CREDIT_FACTS))
        for name, lines in known
    ]
    opening = text.split("\n## ", maxsplit=1)[0].partition("\n")[2]
    return markup(
        paragraphs(" ".join(opening.replace("*", "").replace("`", "").split())),
        table(
            ("source", "credit", "licence", "from"), rows, caption="Where the recordings come from", n_words=4
        ),
    )


def _credits(view: SaeView) -> str | None:
    for folder in (view.workspace.path, view.workspace.corpus.audio_root):
        file = folder / "CREDITS.md"
        if file.is_file():
            with file.open(encoding="utf-8", errors="replace") as stream:
                return stream.read(MAX_CREDITS_CHARS)
    return None


def _sections(text: str) -> Iterable[tuple[str, list[tuple[str, str]]]]:
    """The headings of a file of credits, each with its lines `- Name: words`."""
    for part in text.split("\n## ")[1:]:
        name, _, body = part.partition("\n")
        yield name.strip(), re.findall(r"^- (\w+): (.+)$", body.replace("`", ""), re.MULTILINE)
