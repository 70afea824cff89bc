"""Damaged workspaces by the hundred: whatever one file holds, pages and verbs say so in words and never fail.

    python -m tests.fuzz --minutes 5
    python -m tests.fuzz --seed 123 --tries 1     # one try again, as it was printed

A try copies a finished workspace, damages one file (as a disk or a stranger would), opens pages under AppTest and runs
a verb. A page may be drawn, or say what is wrong with which file; a verb may end well or with an error that has a
remedy. Anything else is a failure. In most tries the digests beside the file are made to fit the damage, so that
what stands behind them is tried too. Each try runs in a process of its own that may use so much memory and so many
seconds: one that hangs, crashes or runs away is a failure too, told with its seed and file, and the next one follows.
"""

import argparse
import contextlib
import faulthandler
import importlib
import io
import logging
import multiprocessing
import os
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeAlias

from tests.damage import damage, seal_again

REPOSITORY = Path(__file__).parent.parent
PAGES = (
    "overview", "latents", "clips", "map", "match", "probe", "sweep", "movement", "universality", "steering", "erasure",
    "verification", "data_check", "build", "notes",
)  # fmt: skip
VERBS = (
    ("info", "{folder}"),
    ("info", "{folder}", "--verify"),
    ("notes", "export"),
    ("lineage", "{sae}", "matryoshka-32-k4"),
)
VIEWS = {
    "latents": ({"latent": "3"}, {"latent": "15", "order": "Fires most"}),
    "map": ({"map": "codes"}, {"map": "directions"}, {"map": "clips", "colour": "f0"}, {"colour": "latent"}),
    "match": ({"latent": "3"},),
    "universality": ({"look": "Values by SAE"}, {"look": "Groups of latents"}),
    "movement": ({"between": "Thresholds"}, {"between": "Steering"}),
}
TIMEOUT_S = 120  # of a page; the whole try is given twice that
MAX_MORE_BYTES = 3 * 2**30  # of address space beyond what the loaded modules take; a sound try needs a third
MAX_SAID = 3_000  # characters of how a process ended, from its beginning and from its end
Work: TypeAlias = Callable[[Callable[[str], None]], list[str]]
KEPT_OPEN = (
    "notes.sqlite",
    "notes.sqlite-wal",
    "notes.sqlite-shm",
)  # written in place, so never shared by a link


def main() -> int:
    """Try until the time is up or the tries are done; 1 where any failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--minutes", type=float, default=60.0, help="stop after so long")
    parser.add_argument("--tries", type=int, default=10**9, help="stop after so many")
    parser.add_argument("--seed", type=int, default=0, help="of the first try; each next one has the next")
    options = parser.parse_args()
    end, n_failed, seed = time.monotonic() + 60 * options.minutes, 0, options.seed
    load_modules()
    with tempfile.TemporaryDirectory() as place:
        whole, damaged = Path(place) / "whole", Path(place) / "damaged"
        if problems := run_limited(lambda _: make_workspace(whole) and [], timeout_s=2 * TIMEOUT_S):
            print("\n".join(problems))
            return 1
        while seed < options.seed + options.tries and time.monotonic() < end:
            sys.stderr.write(f"\rseed {seed}, {n_failed} failed ")
            for problem in run_limited(
                lambda tell, seed=seed: try_once(whole, damaged, seed, tell=tell), timeout_s=2 * TIMEOUT_S
            ):
                n_failed += 1
                print(f"\n--- seed {seed}: {problem}", flush=True)
            seed += 1
    print(f"\n{seed - options.seed} tries, {n_failed} failures")
    return 1 if n_failed else 0


def load_modules() -> None:
    """Load once what every try needs; nothing is run with it, so that no thread is alive when a try begins."""
    import torch
    from streamlit.components.v2 import manifest_scanner

    from tests.app_tests import prepare_streamlit

    torch.set_num_threads(1)
    prepare_streamlit()
    manifest_scanner.scan_component_manifests()
    for module in ("streamlit.testing.v1", "plotly.graph_objects", "sae_core.__main__"):
        importlib.import_module(module)
    for room in ("pages/parts", "pages/figures", "pages/shared", "sae_core/analysis", "sae_core/build"):
        for file in sorted((REPOSITORY / room).rglob("*.py")):
            importlib.import_module(".".join(file.relative_to(REPOSITORY).with_suffix("").parts))


def run_limited(work: Work, *, timeout_s: float, more_bytes: int = MAX_MORE_BYTES) -> list[str]:
    """What `work` found wrong, in a process of its own with limits; how that process ended, where it did not end well.

    `work` is given a function by which it tells what it is about to do; where it does not return, that is reported.
    """
    processes = multiprocessing.get_context("fork")  # with the modules of this process
    receiver, sender = processes.Pipe(duplex=False)
    with tempfile.TemporaryFile() as said, receiver:
        child = processes.Process(
            target=_work_within, args=(work, sender, said.fileno(), timeout_s, more_bytes)
        )
        child.start()
        sender.close()
        # the child's own watchdog comes first and says where it stood
        told, problems = _listen(receiver, until=time.monotonic() + timeout_s + 10)
        child.join(5)
        if is_hanging := child.is_alive():
            child.kill()
            child.join()
        if problems is not None:
            return problems
        said.seek(0)
        words = said.read().decode("utf-8", "replace").partition("Extension modules:")[0]
    if len(words) > 2 * MAX_SAID:  # a crash says where it was first, an exception last
        words = f"{words[:MAX_SAID]}\n…\n{words[-MAX_SAID:]}"
    how = f"killed after {timeout_s:g} s" if is_hanging or "Timeout (" in words else f"exit {child.exitcode}"
    return [f"{told}: {how}\n{words}"]


def _listen(receiver: Connection, *, until: float) -> tuple[str, list[str] | None]:
    """What was told last, and the problems found; None where the process ended or the time came before."""
    told = "before anything was damaged"
    try:
        while receiver.poll(max(until - time.monotonic(), 0)):
            kind, content = receiver.recv()
            if kind == "problems":
                return told, content
            told = content
    except EOFError:
        pass
    return told, None


def _work_within(work: Work, sender: Connection, said: int, timeout_s: float, more_bytes: int) -> None:
    os.dup2(said, 2)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    faulthandler.enable(file=2)
    faulthandler.dump_traceback_later(timeout_s, exit=True, file=2)
    pages_in_use = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages_in_use * resource.getpagesize() + more_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    problems = work(lambda words: sender.send(("told", words)))
    sender.send(("problems", problems))
    sender.close()
    os._exit(0)  # threads of Streamlit and of Arrow may still be waiting


def make_workspace(folder: Path) -> Path:
    """A finished workspace with every kind of file in it, its digests complete."""
    shutil.copytree(REPOSITORY / "tests" / "workspaces" / "format1", folder)
    from sae_core.corpus.clips import Corpus
    from sae_core.corpus.trial_lists import keep_trial_lists
    from sae_core.files.settings import update_settings
    from sae_core.workspace.workspace import open_workspace
    from tests.damage import seal

    corpus = Corpus.load(folder)
    corpus.save(folder)
    update_settings(folder)
    write_sound_checks(folder, corpus)
    write_import_notes(folder, corpus)
    ids = corpus.table["clip_id"]
    listed = {"is_target": [True, False] * 40, "enrol": list(ids[:80]), "test": list(ids[80:160])}
    import pandas as pd

    keep_trial_lists(folder, {"published": pd.DataFrame(listed)})
    seal(folder)
    assert {part.state for part in open_workspace(folder).parts()} == {"ready"}
    return folder


def write_sound_checks(folder: Path, corpus) -> None:
    """What today's import notes of the sound of each clip."""
    import numpy as np
    import pandas as pd

    from sae_core.corpus import acoustics
    from sae_core.corpus.clips import clip_marks

    checks = pd.DataFrame(
        np.random.default_rng(0).random((len(corpus), 6)), columns=list(acoustics.CHECK_COLUMNS[:6])
    )
    checks = checks.assign(
        sound_digest=[f"{row:x}" for row in range(len(corpus))], clip_mark=clip_marks(corpus)
    )
    acoustics.write_table(folder / acoustics.CHECKS_FILE, checks)


def write_import_notes(folder: Path, corpus) -> None:
    """What today's import notes of the folder, and of each of its recordings."""
    from sae_core.corpus.inspection import probe_all
    from sae_core.corpus.rows import Rows
    from sae_core.corpus.summary import summarise

    rows = Rows(corpus.table, folder / "labels.csv", left_out={"id": "why"}, notices=("a notice",))
    summarise(rows, corpus.table, layout="labels", evidence="so", attributes=corpus.attributes).save(folder)
    probe_all(folder / "audio", sorted(os.listdir(folder / "audio")), folder)


def try_once(whole: Path, folder: Path, seed: int, *, tell: Callable[[str], None]) -> list[str]:
    """What went wrong in the try of this seed, nothing where all was well; `tell` is told what was damaged."""
    chance = random.Random(seed)
    shutil.rmtree(folder, ignore_errors=True)
    copy_workspace(whole, folder)
    files = sorted(file for file in folder.rglob("*") if file.is_file() and "audio" not in file.parts[-2:])
    file = chance.choice(files)
    what = damage(file, chance, others=files)
    name = file.relative_to(folder)
    if chance.random() < 0.7:
        what += ", sealed again" if seal_again(file, folder) else ""
    tell(f"{name} ({what})")
    sae = file.parent.name if file.parent.parent.name == "saes" else None
    problems = []
    for page in chance.sample(PAGES, 2):
        query = dict(chance.choice(({}, *VIEWS.get(page, ())))) | ({"sae": sae} if sae else {})
        tell(f"{name} ({what}), page {page} {query}")
        problems += [f"{name} ({what}), page {page} {query}:\n{said}" for said in draw(folder, page, query)]
    verb = chance.choice(VERBS)
    tell(f"{name} ({what}), verb {verb}")
    return problems + [f"{name} ({what}), verb {verb}:\n{said}" for said in run_verb(folder, verb, sae)]


def copy_workspace(whole: Path, folder: Path) -> None:
    """A copy in which files share their bytes with the original, but for those that are written in place."""
    shutil.copytree(
        whole,
        folder,
        copy_function=lambda a, b: shutil.copy2(a, b) if Path(a).name in KEPT_OPEN else os.link(a, b),
    )


def draw(folder: Path, page: str, query: dict[str, str]) -> Iterator[str]:
    """Open a page; yield what went wrong."""
    from streamlit.testing.v1 import AppTest

    os.environ["VOXSCOPE_WORKSPACE"] = str(folder)
    app = AppTest.from_file(str(REPOSITORY / "app.py"), default_timeout=TIMEOUT_S)
    app.query_params.update(query)
    app.switch_page(f"pages/{page}.py")
    with logged() as log, contextlib.redirect_stderr(io.StringIO()):
        try:
            app.run()
        except Exception:
            yield traceback.format_exc()
            return
    yield from (str(element.value) + "\n" + "\n".join(element.stack_trace) for element in app.exception)
    yield from log


@contextlib.contextmanager
def logged() -> Iterator[list[str]]:
    """The unforeseen errors that pages log in the meantime, with their tracebacks."""
    found: list[str] = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = lambda record: found.append(logging.Formatter().format(record))
    logger = logging.getLogger("voxscope")
    logger.addHandler(handler)
    try:
        yield found
    finally:
        logger.removeHandler(handler)


def run_verb(folder: Path, verb: tuple[str, ...], sae: str | None) -> Iterator[str]:
    """Run a verb; yield what went wrong."""
    from sae_core.__main__ import main as run

    words = [word.format(folder=folder, sae=sae or "topk-16-k4") for word in verb]
    if words[0] != "info":
        words += ["--workspace", str(folder)]
    if words[0] == "notes":
        words += ["--file", str(folder / "exported.json")]
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            status = run(words)
    except (Exception, SystemExit):
        yield traceback.format_exc()
        return
    if status not in (0, 1):
        yield f"status {status}: {said.getvalue()[-500:]}"


if __name__ == "__main__":
    sys.exit(main())
