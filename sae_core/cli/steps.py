"""The steps of a workspace as verbs: import, embed, train, index, info."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from sae_core.cli.console import (
    Verbs,
    add_device,
    add_verb,
    add_workspace,
    numbers,
    say_failures,
    say_next,
)
from sae_core.cli.measure import measure
from sae_core.embedding.embedders import DEFAULT_EMBEDDER, EMBEDDERS, EmbedderChoice
from sae_core.files.progress import Bar

if TYPE_CHECKING:
    from sae_core.embedding.ray_engine import RayEngine
    from sae_core.workspace.workspace import Workspace


def add_verbs(verbs: Verbs) -> None:
    """Declare these verbs."""
    for add in (_add_import, _add_embed, _add_train, _add_index, _add_info):
        add(verbs)


def _add_import(verbs: Verbs) -> None:
    parser = add_verb(verbs, "import", run_import, "find the recordings of a folder and make its clips table")
    parser.add_argument(
        "folder", type=Path, help="a folder of recordings; nothing in it is copied or changed"
    )
    add_workspace(parser)
    parser.add_argument(
        "--labels",
        type=Path,
        metavar="FILE",
        help="CSV, Parquet or JSON table with a row a clip; by default tables in the folder, or its layout, say so",
    )
    _add_roles(parser)
    parser.add_argument(
        "--layout",
        metavar="NAME",
        help="how the folder is laid out: common-voice, fleurs, librispeech, musan, voxlingua107, voxceleb, nemo, "
        "kaldi, or folder (its folders' names are the labels); by default what it is recognised as",
    )
    parser.add_argument(
        "--channel", type=int, metavar="N", help="take this channel (from 0) instead of mixing down"
    )
    parser.add_argument(
        "--channels",
        choices=("mix", "split"),
        default="mix",
        help="split: both sides of a two-channel call become clips of speakers of their own, <call>/left and "
        "<call>/right; mix (default): the mean of both",
    )
    parser.add_argument("--window-s", type=float, metavar="S", help="cut recordings into clips of S seconds")
    parser.add_argument(
        "--no-measure", action="store_true", help="leave pitch, noise, bandwidth, … to `measure`"
    )


def _add_roles(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--speakers",
        metavar="NAME",
        help="what says who speaks: a column of the table, 'folder 1' for the uppermost level of folders, or none; by "
        "default what names and values say",
    )
    parser.add_argument(
        "--splits",
        metavar="NAME",
        help="the column of splits, or none to split by speaker; by default a column called so that can be used",
    )


def run_import(options: argparse.Namespace) -> None:
    """Run `import`."""
    from sae_core.analysis.data_check import decisions_for_import
    from sae_core.build.plan import summary_of
    from sae_core.corpus.importing import ImportSettings, import_corpus

    settings = ImportSettings(
        options.labels,
        options.channel,
        options.window_s,
        options.layout,
        channels=options.channels,
        speakers=options.speakers,
        splits=options.splits,
    )
    decisions = decisions_for_import(options.workspace)
    with Bar("import") as bar:
        report = import_corpus(options.folder, options.workspace, settings, progress=bar, decisions=decisions)
    print(f"{len(report.corpus):,} clips in {options.workspace}")
    for line in (summary_of(options.workspace) or report.summary).lines():
        print(line)
    say_failures(len(report.failures), options.workspace / "import_failures.parquet")
    if not options.no_measure:
        measure(options.workspace)
    say_next(f"embed --workspace {options.workspace}")


def _add_embed(verbs: Verbs) -> None:
    parser = add_verb(verbs, "embed", run_embed, "turn every clip into a speaker embedding")
    add_workspace(parser)
    parser.add_argument(
        "--embedder",
        default=DEFAULT_EMBEDDER,
        help=f"one of {', '.join(EMBEDDERS)} (default {DEFAULT_EMBEDDER}, which needs NeMo; the others come along)",
    )
    parser.add_argument(
        "--model",
        metavar="NAME_OR_PATH",
        help="a model's hub name, local file or folder instead of the usual one",
    )
    parser.add_argument(
        "--front-end", metavar="NAME", help="onnx: kaldi-povey (usual), kaldi-hamming, nemo or waveform"
    )
    parser.add_argument("--layer", type=int, metavar="N", help="whisper: whose output is averaged, from 1")
    parser.add_argument(
        "--name",
        help="what the embeddings are called beside others of the same clips; by default as the embedder",
    )
    add_device(parser)
    parser.add_argument(
        "--engine", choices=("local", "ray"), default="local", help="this process (default), or a Ray cluster"
    )
    cluster = parser.add_argument_group("with --engine ray")
    cluster.add_argument(
        "--address", help="of the cluster: auto or host:port; without, a Ray is started here"
    )
    cluster.add_argument("--workers", type=int, metavar="N", help="side by side; by default all that fit")
    cluster.add_argument(
        "--shards", metavar="PLACE", help="folder or s3://… where workers put finished shards"
    )
    cluster.add_argument(
        "--audio", metavar="PLACE", help="folder or s3://… of the recordings, as workers reach it"
    )


def run_embed(options: argparse.Namespace) -> None:
    """Run `embed`."""
    from sae_core.build.steps import embed_workspace

    choice = EmbedderChoice(options.embedder, options.model, options.device, options.layer, options.front_end)
    engine = _ray_engine(options, choice) if options.engine == "ray" else None
    with Bar("embed") as bar:
        found = embed_workspace(
            options.workspace,
            choice,
            name=options.name,
            engine=engine,
            progress=bar,
        )
    print(f"{len(found.valid_rows):,} of {len(found):,} clips embedded, {found.dim} numbers each")
    say_failures(len(found.failures), options.workspace / "embeddings" / found.name / "failures.parquet")
    say_next(f"train --workspace {options.workspace}")


def _ray_engine(options: argparse.Namespace, choice: EmbedderChoice) -> "RayEngine":
    from sae_core.embedding.ray_engine import RayEngine

    return RayEngine(
        choice.open,
        address=options.address,
        n_workers=options.workers,
        shards=options.shards,
        audio=options.audio,
        uses_gpus=None if options.device is None else options.device.startswith("cuda"),
    )


def _add_train(verbs: Verbs) -> None:
    parser = add_verb(verbs, "train", run_train, "train one sparse autoencoder on the train split")
    add_workspace(parser)
    parser.add_argument(
        "--variant",
        choices=("topk", "matryoshka", "batchtopk", "matryoshka-batchtopk", "jumprelu"),
        help="topk as in the paper, matryoshka: nested prefixes, batchtopk and jumprelu: k on average; "
        "by default what suits the corpus",
    )
    parser.add_argument(
        "--latents", type=int, metavar="L", help="number of latents; by default what suits the corpus"
    )
    parser.add_argument("--k", type=int, metavar="K", help="active latents a clip")
    parser.add_argument(
        "--prefixes", type=numbers, metavar="A,B,…", help="nested prefixes of a matryoshka SAE"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of everything random (default 0)")
    parser.add_argument(
        "--epochs", type=int, metavar="N", help="passes over the clips; by default what suits the corpus"
    )
    parser.add_argument(
        "--batch", type=int, metavar="B", help="clips a step; by default what suits the corpus, at most 4096"
    )
    parser.add_argument("--embedder", help="which embeddings to train on, when there are several")
    add_device(parser)


def run_train(options: argparse.Namespace) -> None:
    """Run `train`."""
    from sae_core.build.steps import choose_config, embedder_of, train_in_workspace
    from sae_core.sae.training import TrainingConfig
    from sae_core.workspace.workspace import Workspace

    workspace = Workspace(options.workspace)
    embeddings = workspace.embeddings(embedder_of(workspace, options.embedder))
    choices = {
        "variant": options.variant,
        "n_latents": options.latents,
        "k": options.k,
        "prefixes": options.prefixes,
        "seed": options.seed,
    }
    config = choose_config(workspace.corpus, embeddings, choices)
    training = TrainingConfig(n_epochs=options.epochs, batch_size=options.batch, device=options.device)
    is_leader = os.environ.get("RANK", "0") == "0"  # of the processes that torchrun started, one speaks
    with Bar(f"train {config.name}", is_shown=is_leader) as bar:
        folder = train_in_workspace(workspace, config, training, embedder=embeddings.name, progress=bar)
    if is_leader:
        print(f"trained {folder}")
        say_next(f"index --workspace {options.workspace}")


def _add_index(verbs: Verbs) -> None:
    parser = add_verb(verbs, "index", run_index, "encode every clip and measure what each latent detects")
    add_workspace(parser)
    parser.add_argument(
        "--sae", action="append", metavar="NAME", help="only this SAE (may be given more than once)"
    )
    parser.add_argument("--rebuild", action="store_true", help="do finished work again")
    add_device(parser)


def run_index(options: argparse.Namespace) -> None:
    """Run `index`."""
    from sae_core.build.steps import index_workspace

    with Bar("index") as bar:
        names = index_workspace(
            options.workspace, names=options.sae, rebuild=options.rebuild, device=options.device, progress=bar
        )
    print(f"indexed {', '.join(names)}")
    say_next(f"serve --workspace {options.workspace}")


def _add_info(verbs: Verbs) -> None:
    parser = add_verb(verbs, "info", run_info, "print what a workspace holds and what is stale")
    parser.add_argument("workspace", type=Path, metavar="W", help="the workspace folder")
    parser.add_argument(
        "--verify", action="store_true", help="read every file and compare it with the digest kept of it"
    )


def run_info(options: argparse.Namespace) -> None:
    """Run `info`."""
    from sae_core.workspace.workspace import Workspace

    workspace = Workspace(options.workspace)
    print(f"{workspace.name}  {workspace.path}")
    for part in workspace.parts():
        print(f"  {part.state:8} {part.name:32} {part.detail}")
        if part.command:
            print(f"           run: {part.command}")
    if options.verify:
        _verify(workspace)


def _verify(workspace: "Workspace") -> None:
    """Print what was compared with its digest, then raise the first fault."""
    from sae_core.workspace.integrity import verify_workspace

    found = verify_workspace(workspace)
    for checked in found:
        print(f"  {'damaged' if checked.fault else 'sound':8} {checked.name:32} {checked.fault or ''}")
    n_unknown = sum(checked.n_files == 0 for checked in found)
    if n_unknown:
        print(f"  {n_unknown} of {len(found)} parts were made by an earlier version and carry no digests")
    faults = [checked.fault for checked in found if checked.fault is not None]
    if faults:
        raise faults[0]
