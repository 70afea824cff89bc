"""The demo that ships with VoxScope: made from gathered voices by the ordinary chain, opened as a copy of one's own.

The bundle holds what cannot be derived in seconds: sound, labels, acoustic measures, embeddings, trained SAEs, how
stable their latents are and the groups of latents for each value. Codes, indexes and statistics are made again when it
is opened first, by the same code as for anyone's workspace; shipping them would double its size.
"""

import hashlib
import shutil
from contextlib import suppress
from pathlib import Path

from sae_core.files.errors import ArtifactError
from sae_core.files.product import asset, is_checkout
from sae_core.files.progress import Progress, ignore
from sae_core.workspace.places import usual_folder

BUNDLE = asset("demo")
MAX_BUNDLE_BYTES = 57_000_000
"""With the models beside it no more than 110 MB."""
EMBEDDERS_SHOWN = ("ge2e", "campplus", "whisper")
NAME = "Demo: voices from Debian"
N_LATENTS = (64, 256, 1024)
KS = (16, 32)
SEEDED_LATENTS, SEEDED_K, OTHER_SEEDS = 256, 16, (1, 2)
"""A TopK SAE of this size is trained from other seeds too, on each encoder, to say which latents are stable."""
N_EPOCHS = 60
DERIVED = (
    "code_*.npy",
    "index_*.npy",
    "index.json",
    "latents.parquet",
    "attributes.parquet",
    "attribute_*.parquet",
    "card.md",
)
BUILT_FROM = ("labels.parquet", "import_probes.parquet", "import_failures.parquet")


def unpack_demo(target: Path | None = None, *, progress: Progress = ignore) -> Path:
    """Return a workspace holding the shipped demo, copied to `target` and indexed there.

    By default the copy is `demo` in the usual folder of workspaces.

    A copy of an older bundle is brought up to date; SAEs and notes added to it stay. What is done is not done again.
    Raises ArtifactError when the bundle is missing, the copy cannot be written or another workspace is there.
    """
    target = usual_folder() / "demo" if target is None else Path(target)
    mark = _content(BUNDLE / "demo.json")
    if mark is None:
        remedy = "check out the whole repository, or run: python -m sae_core demo build"
        raise ArtifactError("does not exist", where=BUNDLE / "demo.json", remedy=remedy)
    if _content(target / "demo.json") != mark:
        _refuse_others(target)
        # imported where there is work: the demo is up half a second sooner when there is none
        from sae_core.build.steps import index_workspace
        from sae_core.files.artifacts import writing

        _remove_earlier_saes(target)
        _copy(BUNDLE, target)
        # only what came along: people's own SAEs may be out of date, and are theirs to train again
        names = sorted(folder.name for folder in (BUNDLE / "saes").iterdir())
        index_workspace(target, names=names, progress=progress)
        with writing(target / "demo.json") as temporary:
            temporary.write_bytes(mark)
    return target


def _remove_earlier_saes(target: Path) -> None:
    """Take away the SAEs that an earlier bundle brought and this one does not: they fit other clips, or none."""
    from sae_core.files.artifacts import read_json

    came: object = None
    with suppress(ArtifactError):  # a damaged note of what came is written anew
        came = read_json(target / "demo.json").get("saes")
    for name in came if isinstance(came, list) else []:
        is_plain = isinstance(name, str) and Path(name).name == name
        if is_plain and not (BUNDLE / "saes" / name).exists():
            shutil.rmtree(target / "saes" / name, ignore_errors=True)


def _refuse_others(target: Path) -> None:
    """Raise ArtifactError where another workspace is, whose clips a copy of the demo would replace."""
    from sae_core.files.settings import read_settings

    is_other = (target / "workspace.json").exists() and not (target / "demo.json").exists()
    if is_other and not read_settings(target).get("is_demo"):
        raise ArtifactError(
            "holds a workspace that is no copy of the demo, which would replace its clips",
            where=target,
            remedy="choose another: --workspace FOLDER",
        )


def _copy(bundle: Path, target: Path) -> None:
    """Copy all but demo.json, which is written last: a copy without it is unfinished."""
    try:
        (target / "demo.json").unlink(missing_ok=True)
        shutil.copytree(bundle, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("demo.json"))
    except OSError as error:  # shutil.Error, which lists every file, is one, too
        reason = error.strerror or f"{len(error.args[0])} files could not be copied"
        raise ArtifactError(
            f"the demo cannot be copied here ({reason})",
            where=target,
            remedy="choose another: --workspace FOLDER",
        ) from error


def _content(file: Path) -> bytes | None:
    return file.read_bytes() if file.is_file() else None


def build_demo(
    *,
    cache: Path,
    out: Path | None = None,
    progress: Progress = ignore,
) -> Path:
    """Gather the voices from Debian's packages and take them through the whole chain into `out` (default assets/demo).

    Raises CorpusError or MissingDependencyError when packages cannot be had, ArtifactError when the bundle is too large
    to ship. Finished steps are kept when it is run again.
    """
    from sae_core.build.groups import store_groups
    from sae_core.build.guessing import named_latents
    from sae_core.build.stability import store_stability
    from sae_core.build.workspace_maps import map_workspace
    from sae_core.corpus.acoustics import measure_workspace
    from sae_core.corpus.importing import ImportSettings, import_corpus
    from sae_core.demo.recipe import gather
    from sae_core.files.settings import update_settings
    from sae_core.workspace.guesses import write_named
    from sae_core.workspace.workspace import Workspace

    if out is None and not is_checkout():
        raise ArtifactError(
            "an installed demo is not made again in its place",
            where=BUNDLE,
            remedy="choose a folder: --out FOLDER",
        )
    out = BUNDLE if out is None else Path(out)
    gather(out, cache=cache, progress=progress)
    import_corpus(out, out, ImportSettings(labels=out / "labels.parquet"), progress=progress)
    measure_workspace(out, progress=progress)
    for embedder in EMBEDDERS_SHOWN:
        _train_on(out, embedder, progress)
    best = Workspace(out)
    own = best.sae(best.sae_names()[0]).embeddings.name
    update_settings(out, name=NAME, is_demo=True, embedder=own)
    write_named(out, named_latents(best))
    store_stability(out, progress=progress)
    store_groups(out, progress=progress)
    map_workspace(out, progress=progress)
    _strip(out)
    seal(out)
    return out


def _train_on(folder: Path, embedder: str, progress: Progress) -> None:
    """Embed the clips with one embedder and train the grid of SAEs on that; ArtifactError when one of them fails."""
    from sae_core.build.steps import embed_workspace
    from sae_core.build.sweep import SweepGrid, run_sweep
    from sae_core.embedding.embedders import EmbedderChoice
    from sae_core.sae.training import TrainingConfig

    embed_workspace(folder, EmbedderChoice(embedder), progress=progress)
    training = TrainingConfig(n_epochs=N_EPOCHS, stored_as="float16")
    again = SweepGrid(("topk",), (SEEDED_LATENTS,), (SEEDED_K,), OTHER_SEEDS)
    for grid in (SweepGrid(n_latents=N_LATENTS, ks=KS), again):
        failures = run_sweep(folder, grid, training, embedder=embedder, progress=progress).failures
        if len(failures):
            reason = f"{failures['sae'].iloc[0]} failed: {failures['reason'].iloc[0]}"
            raise ArtifactError(reason, where=folder / "saes")


def _strip(folder: Path) -> None:
    """Remove what `unpack_demo` derives again and what only building needed."""
    for pattern in DERIVED:
        for file in folder.glob(f"saes/*/{pattern}"):
            file.unlink()
    for name in BUILT_FROM:
        (folder / name).unlink(missing_ok=True)


def seal(folder: Path) -> None:
    """Write demo.json, which names the bundle by its content; ArtifactError when it is larger than may be shipped."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "demo.json")
    n_bytes = sum(path.stat().st_size for path in files)
    if n_bytes > MAX_BUNDLE_BYTES:
        raise ArtifactError(
            f"is {n_bytes / 2**20:.1f} MiB, more than the {MAX_BUNDLE_BYTES / 2**20:.1f} MiB that ship",
            where=folder,
            remedy="lower the caps in sae_core/demo/voices.py or train fewer SAEs",
        )
    digest = hashlib.blake2b(digest_size=8)
    for path in files:
        digest.update(str(path.relative_to(folder)).encode() + hashlib.blake2b(path.read_bytes()).digest())
    from sae_core.files.artifacts import write_json

    saes = sorted(path.parent.name for path in folder.glob("saes/*/meta.json"))
    about = {"content": digest.hexdigest(), "n_bytes": n_bytes, "n_files": len(files), "saes": saes}
    write_json(folder / "demo.json", about)
