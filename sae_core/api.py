"""What a notebook needs, under the names people expect: `import sae_core` offers all of it.

Every function takes plain arguments (paths, names, row numbers, arrays, tables) and returns arrays, pandas tables or
frozen dataclasses. A *workspace* is a folder or a `Workspace`; a *view* is one trained SAE of a workspace with all
that `index` derived from it. A *clip* is its row number or its `clip_id`.

These are thin doors to the rooms below. Pages and the command line ask the rooms themselves.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from jaxtyping import Float, Float32

from sae_core.files.errors import AudioError
from sae_core.files.progress import Bar
from sae_core.measures.steering import Change, Steering
from sae_core.workspace.workspace import SaeView, Workspace

if TYPE_CHECKING:
    from sae_core.analysis.erasure import ErasureCurve, Leftover
    from sae_core.analysis.fairness import Gap
    from sae_core.analysis.match import MatchExplanation
    from sae_core.analysis.probe import Examination, Examiner
    from sae_core.analysis.score_comparison import ScoreComparison
    from sae_core.analysis.steering_experiment import SteeringOutcome
    from sae_core.analysis.trial_sets import TrialSet
    from sae_core.analysis.verification_forms import Comparison
    from sae_core.build.sweep import SweepReport
    from sae_core.build.vectors import VectorReport
    from sae_core.build.workspace_maps import MapReport
    from sae_core.corpus.acoustics import Acoustics
    from sae_core.corpus.importing import ImportReport
    from sae_core.embedding.embeddings import Embeddings
    from sae_core.embedding.extraction import Engine
    from sae_core.measures.lineage import Lineage
    from sae_core.measures.movement import Movement
    from sae_core.measures.recipes import Recipe
    from sae_core.sae.codes import SparseCodes
    from sae_core.sae.model import SparseAutoencoder

AnyWorkspace = str | Path | Workspace
AnyChanges = Mapping[int, float | int] | Sequence[Change]
AttributeValue = tuple[str, str]

# Open -----------------------------------------------------------------------------------------------------------------


def open_workspace(path: str | Path) -> Workspace:
    """The workspace in a folder, opened: its clips, embeddings, SAEs and notes, each read when first asked for.

    Raises:
        CorpusError: the folder holds no usable corpus; the message says what to run.
        ArtifactError: a file in it is damaged.
    """
    return Workspace(Path(path))


def open_demo(folder: str | Path | None = None, *, progress: bool = True) -> Workspace:
    """The demo of real voices that comes along: 2,696 clips, embedded by GE2E, CAM++ and Whisper, with 12 SAEs on each.

    The first call copies it and indexes its SAEs, some ten seconds of work; later ones only open the copy.

    Args:
        folder: where the copy goes; by default a folder `demo` among your workspaces.
        progress: show a bar.
    """
    from sae_core.demo.bundle import unpack_demo

    with Bar("demo", is_shown=progress) as bar:
        return Workspace(unpack_demo(None if folder is None else Path(folder), progress=bar))


def open_sae(workspace: AnyWorkspace, name: str | None = None) -> SaeView:
    """One indexed SAE of a workspace; by default the one that pages open with.

    Raises:
        ArtifactError: there is no such SAE, or it is not indexed; `StaleArtifactError` where clips, labels or
            embeddings have changed since.
    """
    opened = _opened(workspace)
    names = opened.sae_names()
    return opened.sae(names[0] if name is None and names else str(name))


def clips(workspace: AnyWorkspace) -> pd.DataFrame:
    """The clips table, row i the clip that is row i of every array.

    Columns: `clip_id`, `audio_path`, `start_s`, `duration_s` (seconds), `audio_channel`, `speaker_id`, `split`
    (`train`, `selection`, `held-out`; no speaker is in two of them) and one column for each attribute.
    """
    return _opened(workspace).corpus.table.copy()


def waveform(
    workspace: AnyWorkspace, clip: int | str, *, sample_rate_hz: int = 16_000
) -> Float32[np.ndarray, " t"]:
    """One clip's samples, mono, full scale ±1: what `IPython.display.Audio(samples, rate=16_000)` plays.

    Raises:
        AudioError: the recording is gone or cannot be decoded.
    """
    from sae_core.audio import reading

    corpus = _opened(workspace).corpus
    row = _row_of(corpus.table, clip)
    facts = corpus.table.iloc[row]
    return reading.read(
        corpus.audio_file(row),
        start_s=float(facts["start_s"]),
        duration_s=float(facts["duration_s"]),
        channel=int(facts["audio_channel"]),
        sample_rate_hz=sample_rate_hz,
    )


# Make: what is finished is kept, and only what is left is done --------------------------------------------------------


def import_corpus(
    folder: str | Path,
    workspace: str | Path,
    *,
    labels: str | Path | pd.DataFrame | None = None,
    layout: str | None = None,
    window_s: float | None = None,
    channel: int | None = None,
    progress: bool = True,
) -> "ImportReport":
    """Find the recordings of a folder and make the clips table of a workspace. Nothing is copied or changed.

    Args:
        folder: holds the recordings.
        workspace: the folder to make; it is created.
        labels: a table or the path of one (CSV, Parquet, JSON lines) with one row a clip and a column `audio_path`;
            every further text column becomes an attribute. Without it, the layout of the folder says who speaks.
        layout: how the folder is laid out, such as `voxceleb`; None recognises it.
        window_s: cut recordings into clips of that many seconds.
        channel: take this channel (from 0) instead of the mean of all.
        progress: show a bar.

    Returns:
        The corpus, the layout and why it was chosen, and a table of what could not be used, with reasons.

    Raises:
        CorpusError: the folder or the labels are not usable.
    """
    from sae_core.corpus import importing

    with tempfile.TemporaryDirectory() as scratch, Bar("import", is_shown=progress) as bar:
        file = _label_file(labels, Path(scratch))
        settings = importing.ImportSettings(file, channel, window_s, layout)
        report = importing.import_corpus(Path(folder), Path(workspace), settings, progress=bar)
    if not isinstance(labels, pd.DataFrame):
        return report
    return replace(report, summary=replace(report.summary, evidence="the table says what is where"))


def import_vectors(
    file: str | Path,
    workspace: AnyWorkspace,
    *,
    name: str | None = None,
    ids: str | Path | None = None,
    labels: str | Path | pd.DataFrame | None = None,
    audio_root: str | Path | None = None,
    progress: bool = True,
) -> "VectorReport":
    """Make vectors that were computed elsewhere embeddings of a workspace, which is made where there is none.

    Args:
        file: `.npy`, `.npz`, Parquet, CSV, Kaldi ark or scp, safetensors or HDF5, known by its content; float16 to
            float64, scaled to norm 1. It is read in pieces and never unpickled.
        workspace: its clips are matched by `clip_id` or the path of their recording; a new one gets a clip an id.
        name: what the embeddings are called beside others of the same clips; by default as the file.
        ids: a file with one id a line, a table, or the name of the column, array or dataset of ids.
        labels: of a new workspace, as in `import_corpus`, by id.
        audio_root: of a new workspace, the folder of the recordings that the ids name; without it there is no sound.

    Returns:
        `embeddings`, with its failures (clips without a vector); `ids`, those with something to say of, with reasons.

    Raises:
        CorpusError: the file, its ids or its labels cannot be used, or no id is a clip's.
        ArtifactError: embeddings of this name are there already.
        MissingDependencyError: the format needs a package of the extra `vectors`.
    """
    from sae_core.build import vectors

    with tempfile.TemporaryDirectory() as scratch, Bar("import-vectors", is_shown=progress) as bar:
        root = None if audio_root is None else Path(audio_root)
        choices = vectors.VectorChoices(name, ids, _label_file(labels, Path(scratch)), root)
        return vectors.import_vectors(Path(file), _path_of(workspace), choices=choices, progress=bar)


def measure_acoustics(
    workspace: AnyWorkspace, *, n_processes: int | None = None, progress: bool = True
) -> "Acoustics":
    """Pitch, noise, bandwidth, loudness, rate of speech and length of every clip, measured once and stored.

    Args:
        n_processes: clips measured at once; by default one a core.
    """
    from sae_core.corpus.acoustics import measure_workspace

    with Bar("measure", is_shown=progress) as bar:
        return measure_workspace(_path_of(workspace), n_processes=n_processes, progress=bar)


def embed(
    workspace: AnyWorkspace,
    embedder: str = "titanet",
    *,
    model: str | None = None,
    layer: int | None = None,
    front_end: str | None = None,
    name: str | None = None,
    device: str | None = None,
    engine: "Engine | None" = None,
    progress: bool = True,
) -> "Embeddings":
    """One embedding a clip, f32[n, d] of norm 1, stored in the workspace and made its own.

    Stopped at any moment, the next call goes on where this one was.

    Args:
        embedder: `titanet` (d 192; Koluguri et al. 2022, arXiv 2110.04410; needs NeMo), `campplus` (d 192; Wang et
            al. 2023, arXiv 2303.00332), `whisper` (d 512 in its base size; Radford et al. 2022, arXiv 2212.04356) or
            `ge2e` (d 256; Wan et al. 2018, arXiv 1710.10467), which come along; or `onnx`, a network of your own.
        model: other weights of that embedder, by hub name or path.
        layer: of Whisper, whose output is averaged.
        front_end: of an ONNX network, what it hears: `kaldi-povey`, `kaldi-hamming` or `waveform`.
        name: what the embeddings are called beside others of the same clips; by default as the embedder.
        device: `cpu`, `cuda`, `mps`, …; by default a GPU where there is one.
        engine: who does it; by default this process. `sae_core.embedding.ray_engine.RayEngine` uses a Ray cluster.

    Raises:
        CorpusError: not one clip can be embedded.
        ArtifactError: the model cannot be had.
    """
    from sae_core.build.steps import embed_workspace
    from sae_core.embedding.embedders import EmbedderChoice

    choice = EmbedderChoice(embedder, model, device, layer, front_end)
    with Bar("embed", is_shown=progress) as bar:
        return embed_workspace(_path_of(workspace), choice, name=name, engine=engine, progress=bar)


def train(
    workspace: AnyWorkspace,
    *,
    n_latents: int | None = None,
    k: int | None = None,
    variant: Literal["topk", "matryoshka", "batchtopk", "matryoshka-batchtopk", "jumprelu"] | None = None,
    prefixes: Sequence[int] | None = None,
    seed: int = 0,
    n_epochs: int | None = None,
    embedder: str | None = None,
    device: str | None = None,
    progress: bool = True,
) -> "SparseAutoencoder":
    """Train one sparse autoencoder on the train split and return it; what is left None suits the size of the corpus.

    It is stored as `saes/<embeddings>-<config.name>`; a finished one of the same settings is returned as it is.

    Args:
        n_latents: L.
        k: latents active on one clip at most.
        variant: `topk` (Gao et al. 2024, arXiv 2406.04093), `matryoshka` (Bussmann et al. 2025, arXiv 2503.17547),
            `batchtopk` (2024, arXiv 2412.06410), `matryoshka-batchtopk` or `jumprelu` (Rajamanoharan et al. 2024,
            arXiv 2407.14435); with the last three, k latents are active on average.
        prefixes: ends of the groups of a Matryoshka SAE, the last of them L.
        seed: of first weights and of the order of clips.
        n_epochs: passes over the training clips.
        embedder: whose embeddings to train on; by default the workspace's own.
        device: as in `embed`.

    Raises:
        CorpusError: nothing is embedded, or there are too few training clips.
        ValueError: the settings contradict each other.
    """
    from sae_core.build.steps import choose_config, embedder_of, train_in_workspace
    from sae_core.sae.model import SparseAutoencoder
    from sae_core.sae.training import TrainingConfig

    opened = Workspace(_path_of(workspace))
    embeddings = opened.embeddings(embedder_of(opened, embedder))
    choices: dict[str, Any] = {"variant": variant, "n_latents": n_latents, "k": k, "seed": seed}
    choices["prefixes"] = None if prefixes is None else tuple(prefixes)
    config = choose_config(opened.corpus, embeddings, choices)
    training = TrainingConfig(n_epochs=n_epochs, device=device)
    with Bar(f"train {config.name}", is_shown=progress) as bar:
        folder = train_in_workspace(opened, config, training, embedder=embeddings.name, progress=bar)
    return SparseAutoencoder.load(folder)


def sweep(
    workspace: AnyWorkspace,
    *,
    n_latents: Sequence[int] = (64, 256, 1024, 2048),
    ks: Sequence[int] = (4, 8, 16, 32),
    variants: Sequence[str] = ("topk", "matryoshka"),
    seeds: Sequence[int] = (0,),
    n_epochs: int | None = None,
    n_at_once: int = 1,
    progress: bool = True,
) -> "SweepReport":
    """Train and index a grid of SAEs, and compare what their latents detect; stopped, it goes on where it was.

    Args:
        n_latents: L of the grid, of which every combination with k ≤ L is trained.
        ks: active latents a clip.
        variants: as in `train`.
        seeds: as in `train`; several show how much a result depends on chance.
        n_epochs: passes over the training clips.
        n_at_once: SAEs trained at once, each in a process of its own: above 1, call this from a script's
            `if __name__ == "__main__":`.

    Returns:
        `table`, one row for each SAE and attribute value with the measures of its predominant latent; `failures`.
    """
    from sae_core.build.sweep import SweepGrid, run_sweep
    from sae_core.sae.training import TrainingConfig

    grid = SweepGrid(tuple(variants), tuple(n_latents), tuple(ks), tuple(seeds))
    with Bar("sweep", is_shown=progress) as bar:
        return run_sweep(
            _path_of(workspace), grid, TrainingConfig(n_epochs=n_epochs), n_at_once=n_at_once, progress=bar
        )


def import_sae(
    place: str | Path,
    workspace: AnyWorkspace,
    *,
    embedder: str | None = None,
    name: str | None = None,
    progress: bool = True,
) -> "SparseAutoencoder":
    """Bring an SAE of SAELens, sparsify, dictionary_learning or OpenAI's sparse_autoencoder into a workspace.

    Its activations stay what its own library computes. `index` makes it explorable like one that was trained here.

    Args:
        place: the folder with its weights and settings, or the file of weights; recognised by content.
        embedder: the embeddings it reads; by default those of its dimension.
        name: what it is called; by default `<embeddings>-imported-<config.name>`.

    Raises:
        ArtifactError: the files are damaged, hold more than weights, are of an unknown kind, or fit no embeddings.
    """
    from sae_core.build.foreign_saes import import_foreign
    from sae_core.sae.model import SparseAutoencoder

    with Bar("import-sae", is_shown=progress) as bar:
        folder = import_foreign(_path_of(workspace), Path(place), embedder=embedder, name=name, progress=bar)
    return SparseAutoencoder.load(folder)


def export_sae(
    workspace: AnyWorkspace, name: str, layout: Literal["saelens", "sparsify"], out: str | Path
) -> Path:
    """Write an SAE as another library loads it, with the same activations; return the folder.

    Args:
        layout: `saelens` takes all variants, `sparsify` TopK and Matryoshka.
        out: a folder that is not there yet, or an empty one.

    Raises:
        ArtifactError: there is no such SAE, the layout has none of its variant, or the folder holds something.
    """
    from sae_core.build.foreign_saes import export_foreign

    return export_foreign(_path_of(workspace), name, layout, Path(out))


def _name_of(workspace: Workspace, sae: "SparseAutoencoder") -> str:
    """What the SAE of these very weights is called in a workspace; ArtifactError when it is not there."""
    from sae_core.files.artifacts import ArtifactMeta
    from sae_core.files.errors import ArtifactError

    for name in workspace.sae_names():
        meta = ArtifactMeta.read(
            workspace.path / "saes" / name / "meta.json", kind="sae", remedy="train it again"
        )
        if meta.fingerprint == sae.fingerprint:
            return name
    raise ArtifactError(
        "has no SAE of these weights", where=workspace.path, remedy="train it in this workspace"
    )


def index(
    workspace: AnyWorkspace,
    sae: "str | SparseAutoencoder | None" = None,
    *,
    rebuild: bool = False,
    device: str | None = None,
    progress: bool = True,
) -> SaeView:
    """Encode every clip, index the clips of each latent, measure what each detects, and return the view of the SAE.

    Args:
        sae: its name, or what `train` returned; None indexes all and returns the one that pages open with.
        rebuild: do finished work again.
        device: as in `embed`.
    """
    from sae_core.build.steps import index_workspace

    path = _path_of(workspace)
    name = sae if sae is None or isinstance(sae, str) else _name_of(Workspace(path), sae)
    with Bar("index", is_shown=progress) as bar:
        names = None if name is None else [name]
        index_workspace(path, names=names, rebuild=rebuild, device=device, progress=bar)
    return open_sae(path, name)


def lay_out_maps(
    workspace: AnyWorkspace,
    sae: str | None = None,
    *,
    n_neighbors: int = 60,
    min_dist: float = 0.6,
    max_points: int | None = None,
    seed: int = 0,
    progress: bool = True,
) -> "MapReport":
    """Lay out clips by embedding and by code, and decoder directions, in the plane; `map_points` reads the places.

    By UMAP (McInnes et al. 2018, arXiv 1802.03426), cosine distance. A finished map is kept.

    Args:
        sae: whose codes and directions; None takes the default SAE, "all" every one.
        n_neighbors: more show the whole, fewer the detail.
        min_dist: how close points may lie, 0…1.
        max_points: lay out a sample of that many clips.
        seed: the same one gives the same map.
    """
    from sae_core.build.workspace_maps import map_workspace
    from sae_core.measures.maps import MapSettings

    settings = MapSettings(n_neighbors=n_neighbors, min_dist=min_dist, seed=seed, max_points=max_points)
    with Bar("map", is_shown=progress) as bar:
        names = () if sae is None else (sae,)
        return map_workspace(_path_of(workspace), saes=names, settings=settings, progress=bar)


# Ask ------------------------------------------------------------------------------------------------------------------


def encode(
    sae: "SparseAutoencoder | SaeView", vectors: "Float[np.ndarray, 'n d'] | Embeddings"
) -> "SparseCodes":
    """The codes of embeddings: which at most k latents are active on each, and how strongly.

    Args:
        sae: what `train` returned, or a view.
        vectors: f[n, d]; each row is scaled to norm 1, as a workspace keeps it. A row of zeros gets no active latent.

    Returns:
        `latents` i32[n, k] and `activations` f32[n, k], strongest first; `.dense()` makes f32[n, L] of them.
    """
    model = sae.model() if isinstance(sae, SaeView) else sae
    rows = vectors if isinstance(vectors, np.ndarray) else vectors.vectors
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = np.divide(rows, norms, out=np.zeros(rows.shape, np.float32), where=norms > 0, casting="same_kind")
    return model.encode(unit)


def decode(sae: "SparseAutoencoder | SaeView", codes: "SparseCodes") -> Float32[np.ndarray, "n d"]:
    """The embeddings that codes stand for, not scaled to norm 1: ê = mean + scale · (W_decᵀ v + b_dec)."""
    return (sae.decoder() if isinstance(sae, SaeView) else sae).decode(codes)


def latents(view: SaeView) -> pd.DataFrame:
    """One row a latent: how often it fires, who fires it, and the attribute value it detects best, with intervals.

    Columns that begin with `best_` are of the best value among those with evidence on unseen speakers, those with
    `seen_` of the best one among the others. `is_named`: the value is confirmed on held-out speakers.
    """
    return view.latents.copy()


def predominant_latents(view: SaeView) -> pd.DataFrame:
    """For each attribute value the latent that detects it best, chosen on the selection split, measured on held-out.

    Columns: attribute, value, latent, threshold, precision, recall, f1, … with `_low` and `_high`, 95 % bounds from
    resampling speakers; `evidence` says whether the clips behind them are by unseen speakers, and `is_confirmed`
    whether the value is confirmed on held-out speakers.
    """
    return view.predominant_latents().copy()


def clips_of(view: SaeView, latent: int, *, n: int = 20) -> pd.DataFrame:
    """The n clips on which a latent is strongest: row, activation, then the columns of the clips table."""
    _check_latents(view, [latent])
    rows, activations = view.index.top(latent, n)
    return _described(view, np.asarray(rows), activation=np.asarray(activations))


def listening_examples(view: SaeView, latent: int, *, n: int = 6) -> pd.DataFrame:
    """Clips to hear to understand a latent: group, row, activation, then the columns of the clips table.

    Groups of at most n clips: `strongest`; `middle`, around the median activation; `near_threshold`, just above
    the threshold; `hard_negatives`, on which the latent is silent though they are near the strongest ones.
    """
    _check_latents(view, [latent])
    found = view.examples(latent, n=n)
    groups = ("strongest", "middle", "near_threshold", "hard_negatives")
    parts = [(name, getattr(found, name)) for name in groups]
    return pd.concat(
        [
            _described(view, np.asarray(part.rows), group=name, activation=np.asarray(part.activations))
            for name, part in parts
        ],
        ignore_index=True,
    )


def steer(
    view: SaeView,
    changes: AnyChanges,
    *,
    clips: Sequence[int] | np.ndarray | None = None,
    keep_error: bool = True,
) -> Float32[np.ndarray, "m d"]:
    """Embeddings, of norm 1, once some latents are changed: e' = e + Σ_i (v'_i − v_i) · D_i, scaled to norm 1.

    D_i is the decoder direction of latent i at its true length.

    Args:
        changes: latent → factor for its activation (0 switches it off, 2 doubles it), or `Change` objects, which
            can also set an activation.
        clips: row numbers; None steers every clip. A clip without an embedding stays a row of zeros.
        keep_error: start from the embedding, so that no change is exactly the original; else from its
            reconstruction.
    """
    from sae_core.analysis.steering_experiment import rebuilt

    made = _changes(view, changes)
    n = len(view.workspace.corpus)
    rows = np.arange(n) if clips is None else np.asarray(clips, dtype=np.int64)
    if len(rows) and not 0 <= rows.min() <= rows.max() < n:
        raise ValueError(f"clips are row numbers from 0 to {n - 1}")
    is_valid = view.embeddings.is_valid[rows]
    usable = rows[is_valid]
    vectors = np.asarray(view.embeddings.vectors[usable]) if keep_error else rebuilt(view, usable)
    chosen = tuple(dict.fromkeys(change.latent for change in made))
    prepared = Steering.prepare(vectors, view.decoder().steps, view.codes.take(usable), chosen)
    steered = np.zeros((len(rows), view.embeddings.dim), dtype=np.float32)
    steered[is_valid] = prepared.steer(vectors, prepared.deltas(made))
    return steered


def measure_steering(
    view: SaeView,
    changes: AnyChanges,
    *,
    steered: AttributeValue | None = None,
    among: AttributeValue | None = None,
    trials: str | Path | None = None,
    keep_error: bool = True,
) -> "SteeringOutcome":
    """What steering does to verification: similarities by group of trials, decisions that change, EER before and after.

    Args:
        changes: as in `steer`; at most 64 latents.
        steered: steer only clips with this attribute value, such as `("language", "es")`; None steers all.
        among: as in `verify`.
        trials: as in `verify`.
        keep_error: as in `steer`.

    Returns:
        `shifts`, a table by group of trials; `decisions` at the threshold of equal errors before; `before` and `after`,
        as `verify`; `eer_change` with its 95 % bounds, speakers resampled.
    """
    from sae_core.analysis.steering_experiment import SteeringExperiment
    from sae_core.analysis.trial_sets import OPERATING_POINTS

    made = _changes(view, changes)
    chosen = list(dict.fromkeys(change.latent for change in made))
    trial_set = _trial_set(view, among, trials)
    experiment = SteeringExperiment(view, trial_set, chosen, steered=steered, keeps_error=keep_error)
    return experiment.outcome(made, operating_point=next(iter(OPERATING_POINTS)))


def measure_leftover(
    view: SaeView,
    changes: AnyChanges,
    *,
    erased: Sequence[AttributeValue] = (),
    trials: str | Path | None = None,
    progress: bool = True,
) -> "Leftover":
    """What probes still tell of each attribute value after a steering, on unseen speakers, and what it costs.

    Args:
        changes: as in `steer`; at most 64 latents.
        erased: values that were to be erased, such as `[("language", "es")]`; for them a non-linear probe is fitted
            too. The others say what was hurt.
        trials: as in `verify`.

    Returns:
        `table`, one row a value × probe: balanced accuracy before, after and change, AUROC, each with 95 % bounds
        (speakers resampled); `cost`, EER, minDCF and Cllr before, after and change.

    Raises:
        CorpusError: no value has enough speakers in every split.
    """
    from sae_core.analysis import erasure

    trial_set = _trial_set(view, None, trials)
    with Bar("probes", is_shown=progress) as bar:
        return erasure.measure_leftover(view, _changes(view, changes), trial_set, erased=erased, progress=bar)


def erase_value(
    view: SaeView,
    attribute: str,
    value: str,
    *,
    n_steps: int = 64,
    trials: str | Path | None = None,
    progress: bool = True,
) -> "ErasureCurve":
    """Latents removed one by one until a linear probe no longer tells a value, beside other ways to erase it.

    Args:
        n_steps: how many latents are removed at most.
        trials: what verification is measured on, as in `verify`.

    Returns:
        `points`, one row a point: probe (balanced accuracy with 95 % bounds, speakers resampled) against EER, for
        latents by what they tell, greedily and at random, LEACE (Belrose et al. 2023, arXiv 2306.03819) and two
        projections; `sentence()`, the finding; `changes(method, n)`, the steering of a point.

    Raises:
        CorpusError: too few unseen speakers have the value.
    """
    from sae_core.analysis.erasure import erasure_curve

    trial_set = _trial_set(view, None, trials)
    with Bar("erasure", is_shown=progress) as bar:
        return erasure_curve(view, (attribute, value), trial_set, n_steps=n_steps, progress=bar)


def export_recipe(
    view: SaeView,
    changes: AnyChanges,
    out: str | Path,
    *,
    onnx: str | Path | None = None,
    trials: str | Path | None = None,
) -> "Recipe":
    """Write a steering as a recipe that can be applied without the workspace, and return it.

    Args:
        changes: as in `steer`; at most 64 latents.
        out: the folder of the recipe, a JSON file and a safetensors file.
        onnx: write it as an ONNX network, too, which takes `embeddings` and gives `steered`.
        trials: what its effect on verification is measured on, as in `verify`.

    Raises:
        ArtifactError: the folder holds something else.
        CorpusError: there are too few unseen speakers to measure its effect.
        MissingDependencyError: an ONNX network needs the extra `onnx`.
    """
    from sae_core.analysis.recipes import make_recipe
    from sae_core.measures.recipe_network import write_network
    from sae_core.measures.recipes import save_recipe

    recipe = make_recipe(view, _changes(view, changes), trial_set=_trial_set(view, None, trials))
    save_recipe(recipe, Path(out))
    if onnx is not None:
        write_network(recipe, Path(onnx))
    return recipe


def load_recipe(path: str | Path) -> "Recipe":
    """A recipe that `steering export` or `export_recipe` wrote; `apply` steers embeddings of its encoder.

    `load_recipe("R").apply(vectors)` takes f[n, d] of any norm and returns f32[n, d] of norm 1. `check_encoder(name)`
    and `check_space(vectors)` say whether embeddings are those of its encoder. It needs no workspace.

    Args:
        path: the folder.

    Raises:
        ArtifactError: it is missing, damaged, or holds anything but finite numbers of the right shapes.
    """
    from sae_core.measures.recipes import read_recipe

    return read_recipe(Path(path))


def draw_trials(view: SaeView, *, among: AttributeValue | None = None, seed: int = 0) -> "TrialSet":
    """Verification trials among speakers that no SAE was trained on; copies of one recording are no trial.

    Args:
        view: an SAE of the workspace.
        among: an attribute and a value, such as `("kind", "speech")`, whose clips alone take part; None takes all.
        seed: of the draw; another seed draws other pairs.

    Raises:
        CorpusError: too few unseen speakers carry the value.
    """
    from sae_core.analysis.trial_sets import draw_trials

    return draw_trials(view, among=among, seed=seed)


def verify(
    view: SaeView,
    changes: AnyChanges | None = None,
    *,
    among: AttributeValue | None = None,
    trials: str | Path | None = None,
) -> "Comparison":
    """How well speakers are verified by the embedding, its reconstruction and its sparse codes, on the same trials.

    Args:
        changes: as in `steer`; adds the steered embedding.
        among: draw trials among clips with this attribute value; None takes human speech where clips are labelled
            so, else all. Speakers of the train split take no part.
        trials: a list instead: its name in the workspace, or a file with lines `1 enrol test` as VoxCeleb's.

    Returns:
        `results`, form → EER with 95 % bounds (speakers resampled), minDCF, DET and threshold; `by_value`, the same by
        language and gender.

    Raises:
        CorpusError: there are too few speakers, or the list cannot be read.
    """
    from sae_core.analysis.steering_experiment import SteeringExperiment
    from sae_core.analysis.verification_forms import compare_forms

    trial_set = _trial_set(view, among, trials)
    if not changes:
        return compare_forms(view, trial_set)
    made = _changes(view, changes)
    experiment = SteeringExperiment(view, trial_set, list(dict.fromkeys(change.latent for change in made)))
    return compare_forms(view, trial_set, experiment=experiment, changes=made)


def compare_scores(
    view: SaeView,
    *,
    scores: Mapping[str, str | Path] | None = None,
    changes: AnyChanges | None = None,
    trials: str | Path | None = None,
) -> "ScoreComparison":
    """How good cosine and AS-norm scores are, calibrated on trials of some unseen speakers and judged on others.

    Args:
        scores: name → file of scores by another system, `enrol test score` a line.
        changes: as in `steer`; adds the steered embedding.
        trials: as in `verify`.

    Returns:
        `table`, one row a way to score: EER, minimal and actual DCF, minCllr and Cllr, with 95 % bounds (speakers
        resampled); `reports`, the same with likelihood ratios for Tippett and reliability figures.

    Raises:
        CorpusError: there are too few speakers, or a file cannot be read.
    """
    from sae_core.analysis import score_comparison
    from sae_core.analysis.erasure import steered_vectors
    from sae_core.measures.score_files import read_scores

    trial_set = _trial_set(view, None, trials)
    corpus = view.workspace.corpus
    listed = {name: read_scores(Path(file), corpus) for name, file in (scores or {}).items()}
    others = {"steered": steered_vectors(view, _changes(view, changes))} if changes else {}
    return score_comparison.compare_scores(view, trial_set, others=others, listed=listed)


def error_rates(view: SaeView, by: Sequence[str], *, trials: str | Path | None = None) -> pd.DataFrame:
    """Error rates within groups of clips at the threshold of equal errors of all trials, and at each group's own.

    Args:
        by: attributes; several stand for their intersections.
        trials: as in `verify`.

    Returns:
        One row a group: n_speakers, eer, frr and far with 95 % bounds (speakers resampled) and their ratios to all
        trials; groups of fewer than five speakers have no numbers.
    """
    from sae_core.analysis.fairness import attribute_groups, errors_by_group
    from sae_core.analysis.trial_sets import OPERATING_POINTS

    groups = attribute_groups(view.workspace.corpus, by)
    return errors_by_group(
        _trial_set(view, None, trials), groups, operating_point=next(iter(OPERATING_POINTS))
    )


def explain_gap(
    view: SaeView, by: Sequence[str], *, worse: str, better: str, trials: str | Path | None = None
) -> "Gap":
    """Which latents a gap in false rejections between two groups rests on.

    Args:
        by: as in `error_rates`.
        worse: the name of a group there.
        better: another.
        trials: as in `verify`.

    Returns:
        `frr_gap`; `table`, the latents that change it most when they are off, with 95 % bounds (speakers resampled);
        `remedy()`, the change that helps the worse group at no cost to the rest, if there is one.

    Raises:
        CorpusError: a group has fewer than five speakers.
    """
    from sae_core.analysis import fairness

    groups = fairness.attribute_groups(view.workspace.corpus, by)
    if unknown := [name for name in (worse, better) if name not in groups]:
        raise ValueError(f"there is no group {unknown[0]!r}: choose among {', '.join(groups)}")
    return fairness.explain_gap(view, _trial_set(view, None, trials), groups, worse=worse, better=better)


def explain_match(view: SaeView, first: int | str, second: int | str) -> "MatchExplanation":
    """Why two clips match, or not: their cosine split exactly over latents, bias and what the SAE leaves out.

    Returns:
        `score`; `latent_table`, one row a latent with its contribution; `parts`, which sum to the score;
        `score_without(latents)`; `flips_alone(threshold)`, latents each of which decides the outcome alone.

    Raises:
        CorpusError: a clip has no embedding.
    """
    from sae_core.analysis import match

    table = view.workspace.corpus.table
    return match.explain_match(view, _row_of(table, first), _row_of(table, second))


def follow_clips(
    before: SaeView, after: SaeView, attribute: str, value: str, *, split: str | None = None
) -> "Movement":
    """Which clips stay in, leave and enter the index of a value's predominant latent from one SAE to another.

    Args:
        split: count only the clips of one split.

    Returns:
        `moves`, one word a clip; `rows_that("leave")`, the clips; `flows()`, counts from latent to latent.
    """
    from sae_core.analysis import movement

    indexes = [movement.best_active_set(view, attribute, value) for view in (before, after)]
    return movement.follow_clips(indexes, split=split)


def trace_latents(before: SaeView, after: SaeView) -> "Lineage":
    """Which latents of one SAE split, merge, disappear or appear in another on the same embeddings.

    Returns:
        `edges`, pairs of latents with cosine and overlap of their clips; `predecessors` and `successors`, one row a
        latent with its fate or origin.
    """
    from sae_core.analysis import movement

    return movement.trace_saes(before, after)


def map_points(view: SaeView, kind: Literal["clips", "codes", "directions"] = "clips") -> pd.DataFrame:
    """Places on a stored map: row (a clip; a latent where kind is `directions`), x and y within −1…1.

    Raises:
        ArtifactError: no such map is stored; `lay_out_maps` makes it.
    """
    from sae_core.build.workspace_maps import open_map

    found = open_map(view, kind)
    rows = np.flatnonzero(found.is_placed)
    return pd.DataFrame({"row": rows, "x": found.xy[rows, 0], "y": found.xy[rows, 1]})


def probe(
    view: SaeView, recording: str | Path, *, start_s: float = 0.0, channel: int | None = None
) -> "Examination":
    """A recording from outside the corpus, embedded as the clips were, and what the SAE makes of it.

    Args:
        recording: a file of any format that can be imported; at most its first minutes are heard.
        start_s: where to begin, in seconds.
        channel: one of them, from 0; None mixes all.

    Returns:
        `vector` f32[d]; `latents` and `activations`, strongest first; `cosines` f32[n] with every clip.

    Raises:
        AudioError: it cannot be decoded, or is silent.
        ArtifactError: the embedder's weights are not here.
    """
    from sae_core.analysis.probe import examine_excerpt
    from sae_core.workspace.excerpts import read_excerpt

    try:
        content = Path(recording).read_bytes()
    except OSError as error:
        raise AudioError(f"cannot be read ({error.strerror})", where=recording) from error
    examiner = _examiner(view)
    excerpt = read_excerpt(
        content,
        Path(recording).name,
        sample_rate_hz=examiner.sample_rate_hz,
        start_s=start_s,
        channel=channel,
    )
    return examine_excerpt(view, examiner, excerpt)


# Beneath --------------------------------------------------------------------------------------------------------------


def _opened(workspace: AnyWorkspace) -> Workspace:
    return workspace if isinstance(workspace, Workspace) else Workspace(Path(workspace))


def _path_of(workspace: AnyWorkspace) -> Path:
    return workspace.path if isinstance(workspace, Workspace) else Path(workspace)


def _label_file(labels: str | Path | pd.DataFrame | None, scratch: Path) -> Path | None:
    if not isinstance(labels, pd.DataFrame):
        return None if labels is None else Path(labels)
    labels.to_parquet(scratch / "labels.parquet", index=False)
    return scratch / "labels.parquet"


def _row_of(table: pd.DataFrame, clip: int | str) -> int:
    if isinstance(clip, str):
        found = np.flatnonzero(table["clip_id"].to_numpy() == clip)
        if not len(found):
            raise ValueError(f"there is no clip with the clip_id {clip!r}")
        return int(found[0])
    if not 0 <= clip < len(table):
        raise ValueError(f"clips have row numbers from 0 to {len(table) - 1}, not {clip}")
    return int(clip)


def _check_latents(view: SaeView, chosen: Sequence[int]) -> None:
    for latent in chosen:
        if not 0 <= latent < view.n_latents:
            raise ValueError(f"{view.name} has latents 0 to {view.n_latents - 1}, not {latent}")


def _changes(view: SaeView, changes: AnyChanges) -> list[Change]:
    if isinstance(changes, Mapping):
        made = [Change(int(latent), "scale", float(factor)) for latent, factor in changes.items()]
    else:
        made = list(changes)
    if not made:
        raise ValueError("no latent is changed: give {latent: factor}")
    _check_latents(view, [change.latent for change in made])
    return made


def _described(view: SaeView, rows: np.ndarray, **columns: object) -> pd.DataFrame:
    """Clips with their row numbers, some columns of their own, and the columns of the clips table."""
    table = view.workspace.corpus.table.iloc[rows].reset_index(drop=True)
    first = pd.DataFrame({"row": rows.astype(np.int64), **columns})
    return pd.concat([first, table], axis=1)


def _trial_set(view: SaeView, among: AttributeValue | None, trials: str | Path | None) -> "TrialSet":
    from sae_core.analysis.trial_sets import draw_trials, open_trial_list, read_trial_list, usual_among

    if trials is None:
        return draw_trials(view, among=among or usual_among(view.workspace.corpus))
    if among is not None:
        raise ValueError("a list says itself which clips it asks about: give either among or trials")
    if Path(trials).is_file():
        return read_trial_list(view, Path(trials).read_text("utf-8"), name=str(trials))
    return open_trial_list(view, str(trials))


@lru_cache(maxsize=2)
def _examiner(view: SaeView) -> "Examiner":
    """The embedder behind a view, opened once for any number of probes."""
    from sae_core.analysis.probe import open_examiner

    return open_examiner(view)
