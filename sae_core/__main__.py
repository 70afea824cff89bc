"""The command line: python -m sae_core VERB. Each verb may be killed at any moment and run again."""

import argparse
import importlib.util
import os
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from sae_core.errors import MissingDependencyError, VoxScopeError

APP = Path(__file__).resolve().parent.parent / "app.py"
DEFAULT_PORT = 8501


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit status: 0 done, 1 nothing could be done, 2 wrong usage, 130 interrupted."""
    options = build_parser().parse_args(arguments)
    try:
        verb: Callable[[argparse.Namespace], None] = options.verb
        verb(options)
    except VoxScopeError as error:
        print(f"voxscope: {error}", file=sys.stderr)
        return 1
    except ValueError as error:
        print(f"voxscope: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nvoxscope: stopped; run the same command again to go on where it was", file=sys.stderr)
        return 130
    return 0


def build_parser() -> argparse.ArgumentParser:
    """The parser of every verb; tests read it to check that each is documented."""
    parser = argparse.ArgumentParser(prog="python -m sae_core", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    _add_import(verbs)
    _add_embed(verbs)
    _add_train(verbs)
    _add_index(verbs)
    _add_info(verbs)
    _add_serve(verbs)
    _add_demo(verbs)
    return parser


Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def _verb(
    verbs: Verbs, name: str, run: Callable[[argparse.Namespace], None], help_text: str
) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=help_text, description=help_text[0].upper() + help_text[1:] + ".")
    parser.set_defaults(verb=run)
    return parser


def _add_workspace(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    parser.add_argument("--workspace", type=Path, required=required, metavar="W", help="the workspace folder")


def _add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", help="cpu, cuda, cuda:1, mps, …; by default the GPU when there is one")


def _add_import(verbs: Verbs) -> None:
    parser = _verb(verbs, "import", run_import, "find the recordings of a folder and make its clips table")
    parser.add_argument(
        "folder", type=Path, help="a folder of recordings; nothing in it is copied or changed"
    )
    _add_workspace(parser)
    parser.add_argument(
        "--labels",
        type=Path,
        metavar="FILE",
        help="CSV, Parquet or NeMo JSON-lines manifest with a row a clip; else folder names are labels",
    )
    parser.add_argument(
        "--channel", type=int, metavar="N", help="take this channel (from 0) instead of mixing down"
    )
    parser.add_argument("--window-s", type=float, metavar="S", help="cut recordings into clips of S seconds")


def run_import(options: argparse.Namespace) -> None:
    """Run `import`."""
    from sae_core.importers import import_corpus

    with _Bar("import") as bar:
        report = import_corpus(
            options.folder,
            options.workspace,
            labels=options.labels,
            channel=options.channel,
            window_s=options.window_s,
            progress=bar,
        )
    print(f"{len(report.corpus):,} clips in {options.workspace}")
    _say_failures(len(report.failures), options.workspace / "import_failures.parquet")
    _say_next(f"embed --workspace {options.workspace}")


def _add_embed(verbs: Verbs) -> None:
    parser = _verb(verbs, "embed", run_embed, "turn every clip into a speaker embedding")
    _add_workspace(parser)
    parser.add_argument(
        "--embedder", default="titanet", help="titanet (default, NVIDIA NeMo) or ge2e (small, offline)"
    )
    parser.add_argument(
        "--model", metavar="NAME_OR_PATH", help="a model's hub name or local file instead of the usual one"
    )
    _add_device(parser)


def run_embed(options: argparse.Namespace) -> None:
    """Run `embed`."""
    from sae_core.stages import embed_workspace

    with _Bar("embed") as bar:
        found = embed_workspace(
            options.workspace, options.embedder, model=options.model, device=options.device, progress=bar
        )
    print(f"{len(found.valid_rows):,} of {len(found):,} clips embedded, {found.dim} numbers each")
    _say_failures(len(found.failures), options.workspace / "embeddings" / found.embedder / "failures.parquet")
    _say_next(f"train --workspace {options.workspace}")


def _add_train(verbs: Verbs) -> None:
    parser = _verb(verbs, "train", run_train, "train one sparse autoencoder on the train split")
    _add_workspace(parser)
    parser.add_argument(
        "--variant",
        choices=("topk", "matryoshka"),
        help="topk as in the paper, or matryoshka: nested prefixes; by default what suits the corpus",
    )
    parser.add_argument(
        "--latents", type=int, metavar="L", help="number of latents; by default what suits the corpus"
    )
    parser.add_argument("--k", type=int, metavar="K", help="active latents a clip")
    parser.add_argument(
        "--prefixes", type=_numbers, metavar="A,B,…", help="nested prefixes of a matryoshka SAE"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of everything random (default 0)")
    parser.add_argument(
        "--epochs", type=int, metavar="N", help="passes over the clips; by default what suits the corpus"
    )
    parser.add_argument("--embedder", help="which embeddings to train on, when there are several")
    _add_device(parser)


def run_train(options: argparse.Namespace) -> None:
    """Run `train`."""
    from sae_core.stages import choose_config, embedder_of, train_in_workspace
    from sae_core.training import TrainingConfig
    from sae_core.workspace import Workspace

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
    training = TrainingConfig(n_epochs=options.epochs, device=options.device)
    with _Bar(f"train {config.name}") as bar:
        folder = train_in_workspace(workspace, config, training, embedder=embeddings.embedder, progress=bar)
    print(f"trained {folder}")
    _say_next(f"index --workspace {options.workspace}")


def _add_index(verbs: Verbs) -> None:
    parser = _verb(verbs, "index", run_index, "encode every clip and measure what each latent tells")
    _add_workspace(parser)
    parser.add_argument(
        "--sae", action="append", metavar="NAME", help="only this SAE (may be given more than once)"
    )
    parser.add_argument("--rebuild", action="store_true", help="do finished work again")
    _add_device(parser)


def run_index(options: argparse.Namespace) -> None:
    """Run `index`."""
    from sae_core.stages import index_workspace

    with _Bar("index") as bar:
        names = index_workspace(
            options.workspace, names=options.sae, rebuild=options.rebuild, device=options.device, progress=bar
        )
    print(f"indexed {', '.join(names)}")
    _say_next(f"serve --workspace {options.workspace}")


def _add_info(verbs: Verbs) -> None:
    parser = _verb(verbs, "info", run_info, "print what a workspace holds and what is stale")
    parser.add_argument("workspace", type=Path, metavar="W", help="the workspace folder")


def run_info(options: argparse.Namespace) -> None:
    """Run `info`."""
    from sae_core.workspace import Workspace

    workspace = Workspace(options.workspace)
    print(f"{workspace.name}  {workspace.path}")
    for stage in workspace.stages():
        print(f"  {stage.state:8} {stage.name:32} {stage.detail}")
        if stage.command:
            print(f"           run: {stage.command}")


def _add_serve(verbs: Verbs) -> None:
    parser = _verb(verbs, "serve", run_serve, "open a workspace in the browser")
    _add_workspace(parser)
    _add_server(parser)


def _add_server(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--port", type=int, default=DEFAULT_PORT, help=f"port on 127.0.0.1 (default {DEFAULT_PORT})"
    )
    parser.add_argument("--headless", action="store_true", help="do not open a browser window")


def run_serve(options: argparse.Namespace) -> None:
    """Run `serve`."""
    serve(options.workspace, port=options.port, headless=options.headless)


def serve(workspace: Path, *, port: int, headless: bool) -> None:
    """Replace this process by the app's server on 127.0.0.1; VoxScopeError when the port is taken."""
    if importlib.util.find_spec("streamlit") is None:
        raise MissingDependencyError("streamlit is not installed", remedy="run: make app")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise VoxScopeError(
                f"port {port} is in use", remedy="choose another: PORT=8502 or --port 8502"
            ) from error
    print(f"VoxScope opens {workspace} at http://127.0.0.1:{port}  (Ctrl+C stops it)", flush=True)
    environment = {**os.environ, "VOXSCOPE_WORKSPACE": str(Path(workspace).resolve())}
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        str(APP),
        "--server.address",
        "127.0.0.1",
        "--server.port",
        str(port),
        "--server.headless",
        "true" if headless else "false",
    ]
    os.chdir(APP.parent)
    os.execve(sys.executable, command, environment)


def _add_demo(verbs: Verbs) -> None:
    parser = verbs.add_parser(
        "demo", help="the demo of real voices: open, build", description="The demo of real voices."
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    opened = _verb(actions, "open", run_demo_open, "open the demo of real voices in the browser")
    _add_workspace(opened, required=False)
    _add_server(opened)
    build = _verb(actions, "build", run_demo_build, "make the demo again from Debian's packages")
    build.add_argument(
        "--cache", type=Path, default=Path("workspaces/demo-cache"), help="where packages are kept"
    )
    build.add_argument("--out", type=Path, help="where the bundle goes (default assets/demo)")
    build.add_argument("--embedder", default="ge2e", help="ge2e (default) or titanet")
    build.add_argument("--model", metavar="NAME_OR_PATH", help="a model's hub name or local file")
    synthetic = _verb(
        actions, "synthetic", run_demo_synthetic, "make a workspace of planted truth, of any size"
    )
    _add_workspace(synthetic)
    synthetic.add_argument(
        "--clips", type=int, default=10_000, metavar="N", help="how many clips (default 10000)"
    )
    synthetic.add_argument("--speakers", type=int, metavar="N", help="default: a speaker for every 20 clips")
    synthetic.add_argument("--audio", action="store_true", help="write a short sound for every clip, too")
    synthetic.add_argument(
        "--seed", type=int, default=0, metavar="S", help="of everything random (default 0)"
    )


def run_demo_open(options: argparse.Namespace) -> None:
    """Run `demo open`."""
    from sae_core.demo.bundle import unpack_demo

    serve(unpack_demo(options.workspace), port=options.port, headless=options.headless)


def run_demo_build(options: argparse.Namespace) -> None:
    """Run `demo build`."""
    from sae_core.demo.bundle import build_demo

    with _Bar("demo") as bar:
        folder = build_demo(
            cache=options.cache, out=options.out, embedder=options.embedder, model=options.model, progress=bar
        )
    print(f"the demo is in {folder}")
    _say_next("demo open")


def run_demo_synthetic(options: argparse.Namespace) -> None:
    """Run `demo synthetic`."""
    from sae_core.synthetic import write_synthetic_workspace

    with _Bar("synthetic") as bar:
        write_synthetic_workspace(
            options.workspace,
            n_clips=options.clips,
            n_speakers=options.speakers,
            seed=options.seed,
            with_audio=options.audio,
            progress=bar,
        )
    print(f"{options.clips:,} planted clips in {options.workspace}")
    _say_next(f"train --workspace {options.workspace}")


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _say_failures(n_failures: int, table: Path) -> None:
    if n_failures:
        print(f"{n_failures:,} could not be used; each with its reason in {table}")


def _say_next(verb: str) -> None:
    print(f"next: python -m sae_core {verb}")


class _Bar:
    """A tqdm bar that follows a `Progress`."""

    def __init__(self, title: str) -> None:
        from tqdm import tqdm

        self._bar = tqdm(desc=title, unit="", dynamic_ncols=True, mininterval=0.2)

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def __call__(self, n_done: int, n_total: int, note: str = "") -> None:
        if n_total != self._bar.total or n_done < self._bar.n:
            self._bar.reset(total=n_total)
        self._bar.set_postfix_str(note, refresh=False)
        self._bar.update(n_done - self._bar.n)


if __name__ == "__main__":
    sys.exit(main())
