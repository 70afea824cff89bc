"""Workspaces of the odd kinds that people really have: hardly any clips, no labels, far too many, dead latents."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tests.plain_maps import lay_out_plainly
from tests.sealing import reseal

DIM, N_LATENTS, K = 24, 12, 3
LONG = "a value that is very long " * 12


def write_odd_workspace(kind: str, folder: Path) -> Path:
    """One of `KINDS`: clips without recordings, planted vectors, an SAE with its index where one can be trained, and
    maps where there are dots enough."""
    from sae_core.build import workspace_maps
    from sae_core.build.steps import index_workspace, train_in_workspace
    from sae_core.corpus.clips import Corpus
    from sae_core.embedding.embeddings import Embeddings
    from sae_core.files.artifacts import write_json
    from sae_core.sae.config import SaeConfig
    from sae_core.sae.training import TrainingConfig
    from sae_core.workspace.workspace import Workspace

    table, attributes = KINDS[kind]()
    is_mute = kind == "no sound"
    table = table.assign(duration_s=0.0, audio_path=table["clip_id"]) if is_mute else table
    corpus = Corpus(table, folder, attributes, has_sound=not is_mute)
    corpus.save(folder)
    embedder = "own vectors" if is_mute else "planted"
    made = Embeddings.make(_vectors(table, kind), embedder=embedder, revision="1", sample_rate_hz=16_000)
    made.save(folder / "embeddings" / "planted", parents={"audio": corpus.audio_fingerprint})
    write_json(folder / "workspace.json", {"format_version": 1, "name": kind})
    if kind in UNTRAINED:
        return folder
    config = SaeConfig(dim=DIM, n_latents=N_LATENTS, k=K, seed=1)
    sae = train_in_workspace(Workspace(folder), config, TrainingConfig(n_epochs=4, batch_size=16))
    if kind == "dead latents":
        _kill(sae)
        reseal(sae / "meta.json")
    index_workspace(folder)
    lay_out, workspace_maps.lay_out = workspace_maps.lay_out, _lay_out
    try:
        workspace_maps.map_workspace(folder)
    finally:
        workspace_maps.lay_out = lay_out
    return folder


def _lay_out(points: Any, is_placed: np.ndarray, settings: Any) -> Any:
    """Plain maps, where there are dots enough to lay out at all."""
    if np.count_nonzero(is_placed) < 3:
        raise ValueError("too few to lay out")
    return lay_out_plainly(points, is_placed, settings)


def _clips(
    n: int, speakers: list[str | None], **labels: list[str | None]
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """`n` clips, speakers and labels by turns; speakers are split by turns too: train, selection, held-out."""
    turns = np.arange(n)
    splits = ["train", "selection", "held-out", "train"]
    table = pd.DataFrame(
        {
            "clip_id": [f"clip-{row:03d}" for row in turns],
            "audio_path": [f"gone/clip-{row:03d}.wav" for row in turns],
            "start_s": 0.0,
            "duration_s": 1.5,
            "audio_channel": -1,
            "speaker_id": pd.Series([speakers[row % len(speakers)] for row in turns], dtype="str"),
            "split": [splits[row % len(speakers) % 4] for row in turns],
            **{
                name: pd.Series([values[row % len(values)] for row in turns], dtype="str")
                for name, values in labels.items()
            },
        }
    )
    return table, tuple(labels)


def _named(n: int) -> list[str | None]:
    return [f"person-{number}" for number in range(n)]


KINDS: dict[str, Callable[[], tuple[pd.DataFrame, tuple[str, ...]]]] = {
    "no labels": lambda: _clips(30, [None]),
    "one speaker": lambda: _clips(12, ["only-one"], language=["en"]),
    "one clip": lambda: _clips(1, ["only-one"]),
    "two clips": lambda: _clips(2, ["only-one"]),
    "five clips": lambda: _clips(5, _named(5), gender=["female", "male"]),
    "same clips": lambda: _clips(30, _named(6), gender=["female", "male"]),
    "forty attributes": lambda: _clips(
        60, _named(12), **{f"column {n}": [f"{n}-{value}" for value in range(2 + n % 5)] for n in range(40)}
    ),
    "other scripts": lambda: _clips(
        60,
        ["متحدث ١", "说话人二", LONG[:300], *_named(9)],
        language=["العربية", "中文", LONG[:300]],
        مدينة=["بيروت", "北京"],
    ),
    "no sound": lambda: _clips(60, _named(12), gender=["female", "male"], language=["en", "de", "fr"]),
    "dead latents": lambda: _clips(40, _named(8), gender=["female", "male"]),
}

# what cannot be trained on: fewer than two different vectors
UNTRAINED = ("one clip", "same clips")


def _vectors(table: pd.DataFrame, kind: str) -> np.ndarray:
    """A direction for each speaker, and noise; no noise and one speaker where all clips are the same."""
    random = np.random.default_rng(5)
    if kind == "same clips":
        return np.tile(random.normal(size=DIM), (len(table), 1))
    places, _ = pd.factorize(table["speaker_id"].fillna("nobody"))
    return random.normal(size=(places.max() + 1, DIM))[places] + 0.6 * random.normal(size=(len(table), DIM))


def _kill(sae: Path) -> None:
    """Weigh every latent down so far that none is ever active."""
    from safetensors.numpy import load_file, save_file

    weights = load_file(sae / "weights.safetensors")
    weights["b_enc"] = np.full_like(weights["b_enc"], -1e6)
    save_file(weights, sae / "weights.safetensors")
