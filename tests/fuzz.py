"""Damaged workspaces by the hundred: whatever one file holds, pages and verbs say so in words and never fail.

    python -m tests.fuzz --minutes 5
    python -m tests.fuzz --seed 123 --tries 1     # one try again, as it was printed

A try copies a finished workspace, damages one file (as a disk or a stranger would), opens pages under AppTest and runs
a verb. A page may be drawn, or say what is wrong with which file; a verb may end well or with an error that has a
remedy. Anything else is a failure. In most tries the digests beside the file are made to fit the damage, so that
what stands behind them is tried too.
"""

import argparse
import contextlib
import faulthandler
import io
import logging
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

from tests.app_tests import prepare_streamlit
from tests.damage import damage, seal_again

REPOSITORY = Path(__file__).parent.parent
PAGES = (
    "overview", "latents", "clips", "map", "match", "probe", "sweep", "movement", "steering", "verification",
    "data_check", "build", "notes",
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
    "movement": ({"between": "Thresholds"}, {"between": "Steering"}),
}
TIMEOUT_S = 120
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
    faulthandler.enable()
    end, n_failed, seed = time.monotonic() + 60 * options.minutes, 0, options.seed
    with tempfile.TemporaryDirectory() as place:
        whole = make_workspace(Path(place) / "whole")
        while seed < options.seed + options.tries and time.monotonic() < end:
            sys.stderr.write(f"\rseed {seed}, {n_failed} failed ")  # a crash leaves its seed on the screen
            faulthandler.dump_traceback_later(3 * TIMEOUT_S, exit=True)
            for problem in try_once(whole, Path(place) / "damaged", seed):
                n_failed += 1
                print(f"\n--- seed {seed}: {problem}", flush=True)
            seed += 1
    faulthandler.cancel_dump_traceback_later()
    print(f"\n{seed - options.seed} tries, {n_failed} failures")
    return 1 if n_failed else 0


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


def try_once(whole: Path, folder: Path, seed: int) -> list[str]:
    """What went wrong in the try of this seed, nothing where all was well."""
    chance = random.Random(seed)
    shutil.rmtree(folder, ignore_errors=True)
    copy_workspace(whole, folder)
    files = sorted(file for file in folder.rglob("*") if file.is_file() and "audio" not in file.parts[-2:])
    file = chance.choice(files)
    what = damage(file, chance, others=files)
    name = file.relative_to(folder)
    if chance.random() < 0.7:
        what += ", sealed again" if seal_again(file, folder) else ""
    sae = file.parent.name if file.parent.parent.name == "saes" else None
    problems = []
    for page in chance.sample(PAGES, 2):
        query = dict(chance.choice(({}, *VIEWS.get(page, ())))) | ({"sae": sae} if sae else {})
        problems += [f"{name} ({what}), page {page} {query}:\n{said}" for said in draw(folder, page, query)]
    verb = chance.choice(VERBS)
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

    prepare_streamlit()
    forget_all()
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


def forget_all() -> None:
    """Nothing that an earlier try opened is known any more."""
    import streamlit as st

    from pages.shared import session

    st.cache_data.clear()
    st.cache_resource.clear()
    session._shelf.__init__()


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
