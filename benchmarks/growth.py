"""How cost grows: every stage and the data behind every page, at 10⁴, 10⁵, 10⁶ and 4·10⁶ clips.

    python -m benchmarks.growth [--sizes 10000 100000 1000000 4000000] [--threads 2] [--scratch FOLDER]

Planted clips (no audio) go through training, encoding, indexing, statistics, a map, movement and steering, each timed
by itself; then a fresh process's view of the workspace answers what pages ask. Embedding is timed on the demo's real
recordings, since it looks at one clip after the other. The exponent is the slope of log seconds over log clips: 1 is in
proportion, n log n reads 1.07 from 10⁶ to 4·10⁶, 0 does not grow. A full run writes the figures to
benchmarks/results/growth.json, into the table of docs/scale.md, and draws docs/images/growth.svg; `--keep` does so
after a run of other sizes.
"""

import argparse
import json
import resource
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.growth_picture import draw, last_exponent
from benchmarks.growth_report import N_ASKED, N_LATENTS, K, Timings, cells, report
from benchmarks.rows import Row, describe_machine

SIZES, QUICK_SIZES = (10_000, 100_000, 1_000_000, 4_000_000), (3_000, 6_000)
BATCH = 1024
N_MAP_POINTS = 10_000
MOST_STAGE, MOST_PAGE = 1.15, 0.3
"""Exponents to stay below: n log n with some room for noise; and a page that does not grow."""
RESULTS = Path(__file__).resolve().parent / "results"
DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "scale.md"
BEGIN, END = "<!-- figures of benchmarks.growth -->", "<!-- end of figures -->"
PICTURE = Path(__file__).resolve().parents[1] / "docs" / "images" / "growth.svg"


def measure(*, is_quick: bool) -> Iterator[Row]:
    """The exponent of every stage and page, as rows of the table of all benchmarks; a full run keeps its figures."""
    with tempfile.TemporaryDirectory() as scratch:
        timings = time_everything(QUICK_SIZES if is_quick else SIZES, Path(scratch))
    if not is_quick:
        keep(timings, describe_machine(_n_threads()))
    for name, seconds in timings.stages.items():
        yield growth_row(f"growth of: {name}", "n log n", seconds, MOST_STAGE)
    for name, seconds in timings.pages.items():
        yield growth_row(f"growth of page data: {name}", "no growth", seconds, MOST_PAGE)


def growth_row(name: str, against: str, seconds: dict[int, float], most: float) -> Row:
    """One row: the exponent between the two largest sizes."""
    return Row(name, against, last_exponent(seconds), most, cells(seconds), unit="exponent", is_limit=True)


def time_everything(sizes: tuple[int, ...], scratch: Path) -> Timings:
    """All stages and pages at all sizes; the folder of one size is removed before the next."""
    timings = Timings()
    for n_clips in sizes:
        folder = scratch / f"clips-{n_clips}"
        time_stages(timings, folder, n_clips)
        time_pages(timings, folder, n_clips)
        timings.peak_mb[n_clips] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        timings.bytes_a_clip = weigh(folder, n_clips)
        shutil.rmtree(folder)
    time_embedding(timings, scratch / "demo", is_quick=max(sizes) < SIZES[1])
    return timings


def weigh(folder: Path, n_clips: int) -> dict[str, float]:
    """Bytes a clip of the files that grow with the clips."""
    kinds = {
        "clips table": "clips.parquet",
        "embeddings (d 192, float32)": "embeddings/*/vectors.npy",
        f"codes (k {K})": "saes/*/code_*.npy",
        "feature index": "saes/*/index_*.npy",
        "maps": "**/map_*.npy",
    }
    return {
        kind: sum(file.stat().st_size for file in folder.glob(files)) / n_clips
        for kind, files in kinds.items()
    }


def time_embedding(timings: Timings, folder: Path, *, is_quick: bool) -> None:
    """GE2E on real recordings from files, in growing parts of the demo: reading, resampling, network."""
    from sae_core.corpus.clips import Corpus
    from sae_core.demo.bundle import BUNDLE
    from sae_core.embedding.embedders import open_embedder
    from sae_core.embedding.extraction import extract

    demo, embedder = Corpus.load(BUNDLE), open_embedder("ge2e", device="cpu")
    mixed = np.random.default_rng(0).permutation(len(demo))
    sizes = (20, 40) if is_quick else (100, 300, 1000)
    extract(_part(demo, mixed[:10]), embedder, folder / "warm")
    for n_clips in sizes:
        part = _part(demo, mixed[:n_clips])
        with timings.stage("embed real recordings (GE2E)", n_clips):
            extract(part, embedder, folder / str(n_clips))


def _part(corpus: Any, rows: np.ndarray) -> Any:
    from sae_core.corpus.clips import Corpus

    return Corpus(corpus.table.iloc[rows].reset_index(drop=True), corpus.audio_root, corpus.attributes)


def time_stages(timings: Timings, folder: Path, n_clips: int) -> None:
    """From planted embeddings to an indexed workspace with a map."""
    from sae_core.build.steps import train_in_workspace
    from sae_core.build.workspace_maps import map_workspace
    from sae_core.corpus.clips import Corpus
    from sae_core.demo.planted import write_synthetic_workspace
    from sae_core.measures.maps import MapSettings
    from sae_core.sae.model import SaeConfig
    from sae_core.sae.training import TrainingConfig
    from sae_core.workspace.workspace import Workspace

    with timings.stage("plant clips (stands for import)", n_clips):
        write_synthetic_workspace(folder, n_clips=n_clips)
    with timings.stage("read the clips table", n_clips):
        Corpus.load(folder)
    training = TrainingConfig(n_epochs=1, batch_size=BATCH, device="cpu")
    config = SaeConfig(192, N_LATENTS, K)
    with timings.stage("train, one epoch", n_clips):
        sae = train_in_workspace(Workspace(folder), config, training)
    time_indexing(timings, Workspace(folder), sae)
    settings = MapSettings(max_points=N_MAP_POINTS)
    with timings.stage(f"maps of at most {N_MAP_POINTS:,} points", n_clips):
        map_workspace(folder, settings=settings)


def time_indexing(timings: Timings, workspace: Any, sae: Path) -> None:
    """The parts of `index` one by one, as `build_index` does them, then the whole of it to have its files."""
    from sae_core.build.steps import embedder_of
    from sae_core.measures.attributes import measure_attributes
    from sae_core.measures.indexing import build_index, describe_latents
    from sae_core.sae.feature_index import FeatureIndex
    from sae_core.sae.model import SparseAutoencoder

    corpus, embeddings = workspace.corpus, workspace.embeddings(embedder_of(workspace, None))
    model, n_clips = SparseAutoencoder.load(sae), len(workspace.corpus)
    with timings.stage("encode", n_clips):
        codes = model.encode(embeddings.vectors)
    with tempfile.TemporaryDirectory() as scratch, timings.stage("feature index", n_clips):
        index = FeatureIndex.write(codes, Path(scratch))
    with timings.stage("attribute statistics", n_clips):
        measured = measure_attributes(corpus, index, embeddings.is_valid)
    with timings.stage("who is behind each latent", n_clips):
        describe_latents(corpus, index, measured, n_clips=n_clips)
    del codes, index, measured
    build_index(corpus, embeddings, sae)


def time_pages(timings: Timings, folder: Path, n_clips: int) -> None:
    """Opening the workspace anew, then what each page asks of it."""
    from sae_core.workspace.workspace import open_workspace

    with timings.stage("open the workspace", n_clips):
        workspace = open_workspace(folder)
        view = workspace.sae(workspace.sae_names()[0])
    with timings.stage("summarise the corpus (first visit)", n_clips):
        workspace.summary()
    random = np.random.default_rng(1)
    by_activity = view.latents.sort_values("n_active")["latent"].to_numpy()
    middle = by_activity[len(by_activity) // 2 :][: N_ASKED + 1].tolist()
    rows = random.integers(n_clips, size=N_ASKED + 1).tolist()
    timings.page("Overview", n_clips, lambda number: (workspace.summary(), view.method_example(rows[number])))
    timings.page("Latents: another latent", n_clips, lambda number: ask_about_latent(view, middle[number]))
    timings.page(
        "Clips: another clip",
        n_clips,
        lambda number: (view.codes.active(rows[number]), view.nearest_clips(rows[number])),
    )
    time_steering(timings, view, middle)
    time_movement(timings, view)
    time_map_page(timings, view, middle)


def ask_about_latent(view: Any, latent: int) -> None:
    """All that the Latents page shows of one latent."""
    view.examples(latent)
    view.histogram(latent)
    view.shares(latent)
    view.cross_counts(latent)
    view.similar_latents(latent)
    view.coactive_latents(latent)


def time_steering(timings: Timings, view: Any, latents: list[int]) -> None:
    """Trials, a chosen set of latents, one move of a slider, and all numbers with intervals."""
    from sae_core.analysis.steering_experiment import SteeringExperiment
    from sae_core.analysis.trial_sets import draw_trials
    from sae_core.measures.steering import Change

    n_clips = len(view.workspace.corpus)
    with timings.stage("draw trials (first visit)", n_clips):
        trial_set = draw_trials(view)
    timings.page(
        "Steering: other latents",
        n_clips,
        lambda number: SteeringExperiment(view, trial_set, latents[: 1 + number % 4]),
    )
    experiment = SteeringExperiment(view, trial_set, latents[:4])

    def changes(number: int) -> list[Change]:
        return [Change(latent, "scale", 0.1 * number) for latent in latents[:4]]

    timings.page("Steering: a slider moved", n_clips, lambda number: experiment.histograms(changes(number)))
    timings.page(
        "Steering: nearest to a steered clip",
        n_clips,
        lambda number: experiment.neighbours(number, changes(number)),
    )
    timings.page(
        "Verification: steered, with intervals",
        n_clips,
        lambda number: experiment.outcome(changes(number), operating_point="equal errors"),
    )


def time_movement(timings: Timings, view: Any) -> None:
    """Clips followed from the index of one value to that of another, and counted by groups."""
    from sae_core.analysis.movement import best_active_set, follow_clips
    from sae_core.measures.movement import tabulate_moves

    n_clips, corpus = len(view.workspace.corpus), view.workspace.corpus
    names = corpus.values_of("language")
    stations = [best_active_set(view, "language", name) for name in names[:2]]
    with timings.stage("movement", n_clips):
        moved = follow_clips(stations)
    with timings.stage("movement by groups, with intervals", n_clips):
        tabulate_moves(corpus, moved, ("language", "gender"))


def time_map_page(timings: Timings, view: Any, latents: list[int]) -> None:
    """The map opened, coloured anew, and some points selected."""
    from sae_core.analysis.map_colours import group_by_activation, group_by_attribute
    from sae_core.analysis.map_selection import values_apart
    from sae_core.build.workspace_maps import open_map

    n_clips = len(view.workspace.corpus)
    timings.page("Map: opened", n_clips, lambda _: open_map(view, "clips").packed)
    rows = open_map(view, "clips").rows
    timings.page("Map: coloured by a value", n_clips, lambda _: group_by_attribute(view, rows, "language"))
    timings.page(
        "Map: coloured by a latent",
        n_clips,
        lambda number: group_by_activation(view, rows, latents[number]),
    )
    timings.page(
        "Map: 500 points selected", n_clips, lambda number: values_apart(view, rows[number : number + 500])
    )


def keep(timings: Timings, machine: dict[str, str]) -> None:
    """Write the figures, the table and the picture."""
    today = datetime.now(UTC).date().isoformat()
    found = {
        "date": today,
        "machine": machine,
        "sae": {"n_latents": N_LATENTS, "k": K},
        "stages": timings.stages,
        "pages": timings.pages,
        "bytes_a_clip": timings.bytes_a_clip,
        "peak_mb": timings.peak_mb,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "growth.json").write_text(
        json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    before, _, after = DOCUMENT.read_text("utf-8").partition(BEGIN)
    after = after.partition(END)[2]
    told = f"Measured on {today}. {report(timings, machine)}"
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{told}\n\n{END}{after}", encoding="utf-8")
    PICTURE.write_text(draw(timings.stages, timings.pages), encoding="utf-8")


def _n_threads() -> int:
    import torch

    return torch.get_num_threads()


def main() -> None:
    """Time the sizes asked for, print the table, and keep the figures of a full run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--scratch", type=Path, help="where to put workspaces (6 GB for four million clips)")
    parser.add_argument("--keep", action="store_true", help="keep the figures of other sizes, too")
    options = parser.parse_args()
    import torch

    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        timings = time_everything(tuple(sorted(options.sizes)), Path(scratch))
    machine = describe_machine(options.threads)
    print(report(timings, machine))
    if options.keep or tuple(sorted(options.sizes)) == SIZES:
        keep(timings, machine)


if __name__ == "__main__":
    main()
