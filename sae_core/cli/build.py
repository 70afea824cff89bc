"""The verb build."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from sae_core.cli.console import Verbs, add_device, add_verb, numbers, say_next
from sae_core.files.errors import CorpusError

if TYPE_CHECKING:
    from sae_core.build.plan import BuildMoment, BuildPlan

NO_UNITS = "{desc}{postfix}"
UNITS = "{desc} {percentage:3.0f}% {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}{postfix}]"


def add_verbs(verbs: Verbs) -> None:
    """Declare this verb."""
    parser = add_verb(
        verbs, "build", run_build, "do all that makes a folder explorable; stopped, it goes on where it was"
    )
    parser.add_argument(
        "source",
        type=Path,
        nargs="?",
        metavar="FOLDER",
        help="a folder of recordings, or a workspace with clips; left out: go on with what W was built from",
    )
    parser.add_argument(
        "--workspace",
        type=Path,
        metavar="W",
        help="the workspace folder; by default FOLDER when it holds clips",
    )
    _add_import(parser)
    parser.add_argument(
        "--embedder", default="titanet", help="titanet (default, NVIDIA NeMo) or ge2e (small, offline)"
    )
    parser.add_argument(
        "--model", metavar="NAME_OR_PATH", help="a model's hub name or local file instead of the usual one"
    )
    _add_grid(parser)
    add_device(parser)


def _add_import(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--labels", type=Path, metavar="FILE", help="see import")
    parser.add_argument("--layout", metavar="NAME", help="see import")
    parser.add_argument("--speakers", metavar="NAME", help="see import")
    parser.add_argument("--splits", metavar="NAME", help="see import")
    parser.add_argument("--channel", type=int, metavar="N", help="see import")
    parser.add_argument("--channels", choices=("mix", "split"), help="see import")
    parser.add_argument("--window-s", type=float, metavar="S", help="see import")


def _add_grid(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--variants", type=_words, metavar="A,B", help="of the SAEs (default topk,matryoshka)"
    )
    parser.add_argument(
        "--latents",
        type=numbers,
        metavar="L,L,…",
        help="numbers of latents; by default two that suit the corpus",
    )
    parser.add_argument(
        "--k",
        type=numbers,
        metavar="K,K,…",
        help="active latents a clip; by default two that suit the corpus",
    )
    parser.add_argument("--seeds", type=numbers, metavar="S,S,…", help="default: one seed, 0")
    parser.add_argument("--epochs", type=int, metavar="N", help="passes over the clips")
    parser.add_argument(
        "--at-once", type=int, metavar="N", help="SAEs trained at once; by default one a core, at most four"
    )


def run_build(options: argparse.Namespace) -> None:
    """Run `build`."""
    from sae_core.build.job_records import read_plan
    from sae_core.build.jobs import run_job

    workspace = _workspace_of(options)
    plan = read_plan(workspace) if options.source is None else _plan_of(options)
    with BuildBar(workspace) as bar:
        run_job(plan, workspace, report=bar)
    say_next(f"serve --workspace {workspace}")


def _workspace_of(options: argparse.Namespace) -> Path:
    if options.workspace is not None:
        return Path(options.workspace)
    if options.source is None:
        raise ValueError("say what to build: build FOLDER --workspace W, or build --workspace W to go on")
    if not _is_workspace(options.source):
        raise CorpusError(
            "is no workspace", where=options.source, remedy="say where the workspace is to be: --workspace W"
        )
    return Path(options.source)


def _plan_of(options: argparse.Namespace) -> "BuildPlan":
    from sae_core.build.plan import BuildPlan

    return BuildPlan(
        str(options.source.resolve()),
        labels=None if options.labels is None else str(options.labels.resolve()),
        speakers=options.speakers,
        splits=options.splits,
        takes_clips=_is_workspace(options.source),
        channel=options.channel,
        window_s=options.window_s,
        layout=options.layout,
        channels=options.channels,
        embedder=options.embedder,
        model=options.model,
        variants=options.variants,
        n_latents=options.latents,
        ks=options.k,
        seeds=options.seeds,
        n_epochs=options.epochs,
        n_at_once=options.at_once,
        device=options.device,
    )


def _is_workspace(folder: Path) -> bool:
    return (folder / "clips.parquet").exists() and (folder / "workspace.json").exists()


class BuildBar:
    """One bar for a whole build: which step of how many, how far it is, its rate and the time left."""

    def __init__(self, workspace: Path) -> None:
        from tqdm import tqdm

        self._workspace = workspace
        self._bar = tqdm(unit="", dynamic_ncols=True, mininterval=0.2, bar_format=NO_UNITS, leave=False)

    def __enter__(self) -> "BuildBar":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def __call__(self, moment: "BuildMoment") -> None:
        """Follow the build; a step that is over leaves a line."""
        from sae_core.build.plan import BUILD_STEPS

        title = f"{moment.number}/{len(BUILD_STEPS)} {moment.step}"
        if moment.outcome is not None:
            self._bar.write(f"{title}: {moment.outcome} ({moment.note})")
            self._say_understood(moment)
        elif not moment.n_total:
            self._restart(title, total=0)
        else:
            if moment.n_total != self._bar.total or moment.n_done < self._bar.n:
                self._restart(title, total=moment.n_total)
            self._bar.set_postfix_str(moment.note, refresh=False)
            self._bar.update(moment.n_done - self._bar.n)

    def _say_understood(self, moment: "BuildMoment") -> None:
        """After the import, what was understood of the folder, before anything is embedded."""
        from sae_core.build.plan import summary_of

        summary = summary_of(self._workspace) if moment.step == "import" else None
        for line in () if summary is None else summary.lines():
            self._bar.write(f"    {line}")

    def _restart(self, title: str, *, total: int) -> None:
        self._bar.bar_format = UNITS if total else NO_UNITS
        self._bar.reset(total=total)
        self._bar.set_postfix_str("", refresh=False)
        self._bar.set_description_str(title)


def _words(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))
