"""What a folder or a zip holds, at a glance: shown to people before anything is built of it."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from time import monotonic

from sae_core.corpus.folders import NOT_AUDIO
from sae_core.corpus.layouts import recognise_layout
from sae_core.corpus.zips import ZipContents

LABEL_FILES = tuple(
    f"{stem}.{suffix}"
    for stem in ("labels", "metadata", "clips")
    for suffix in ("csv", "tsv", "parquet", "jsonl")
)
"""Names under which a table of labels at the top of a folder is taken for one, the first that is there."""
PLAIN = "folder"
MAX_LOOK_S = 3.0
N_EXAMPLES = 5


@dataclass(frozen=True)
class Survey:
    """What is there.

    source: the folder of the recordings, relative to what was looked at ("." where it is that itself).
    layout, evidence: how it is laid out, and why it is taken for that; empty for a zip that is still packed.
    labels: a table of labels, relative likewise. n_recordings, n_bytes: of recordings by their names. kinds: suffix →
    how many. examples: names of some. is_partial: there is more than could be looked at in a moment.
    """

    source: str
    layout: str
    evidence: str
    labels: str | None
    n_recordings: int
    n_bytes: int
    kinds: dict[str, int]
    examples: tuple[str, ...]
    is_partial: bool = False


def survey_folder(folder: Path) -> Survey:
    """Look at a folder; one that holds nothing but one folder is taken for that one."""
    folder = Path(folder)
    deadline = monotonic() + MAX_LOOK_S
    source = _only_folder(folder)
    files, is_partial = [], False
    for name, n_bytes in _walk(folder / source):
        files.append((name, n_bytes))
        if monotonic() > deadline:
            is_partial = True
            break
    layout, evidence = recognise_layout(folder / source)
    return _summarise(files, source, layout=(layout, evidence), is_partial=is_partial)


def find_labels(folder: Path) -> str | None:
    """The name of the table of labels at the top of a folder; None where there is none, or its layout says itself what
    is what."""
    if recognise_layout(folder)[0] != PLAIN:
        return None
    return next((name for name in LABEL_FILES if (folder / name).is_file()), None)


def survey_zip(contents: ZipContents) -> Survey:
    """Look at what a zip says it holds, as `survey_folder` will look at it unpacked."""
    tops = {name.split("/", maxsplit=1)[0] for name, _ in contents.files}
    has_one = len(tops) == 1 and all("/" in name for name, _ in contents.files)
    source = tops.pop() if has_one else "."
    skipped = len(source) + 1 if has_one else 0
    files = [(name[skipped:], n_bytes) for name, n_bytes in contents.files]
    return _summarise(files, source, layout=("", ""), is_partial=False)


def is_at_hand(embedder: str) -> bool:
    """Whether an embedder's usual weights are on this machine; others are fetched when they are asked for."""
    if embedder != "titanet":
        return True
    home = Path.home() / ".cache"
    caches = (Path(os.environ.get("NEMO_CACHE_DIR") or home / "torch" / "NeMo"), home / "huggingface" / "hub")
    return any(next(cache.rglob("*titanet*.nemo"), None) is not None for cache in caches if cache.is_dir())


def _summarise(
    files: Iterable[tuple[str, int]], source: str, *, layout: tuple[str, str], is_partial: bool
) -> Survey:
    recordings = [(name, n_bytes) for name, n_bytes in files if not _is_beside(name)]
    tops = {name for name, _ in files if "/" not in name}
    labels = next((name for name in LABEL_FILES if name in tops), None)
    # a published layout says itself what its tables mean
    labels = labels if layout[0] in ("", PLAIN) else None
    kinds = Counter(PurePosixPath(name).suffix.lower().lstrip(".") or "no suffix" for name, _ in recordings)
    return Survey(
        source,
        *layout,
        labels if labels is None or source == "." else f"{source}/{labels}",
        len(recordings),
        sum(n_bytes for _, n_bytes in recordings),
        dict(kinds.most_common()),
        tuple(name for name, _ in recordings[:N_EXAMPLES]),
        is_partial,
    )


def _is_beside(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in NOT_AUDIO


def _only_folder(folder: Path) -> str:
    try:
        with os.scandir(folder) as entries:
            shown = [entry for entry in entries if not entry.name.startswith(".")]
    except OSError:
        return "."
    is_one = len(shown) == 1 and shown[0].is_dir(follow_symlinks=False)
    return shown[0].name if is_one else "."


def _walk(folder: Path) -> Iterator[tuple[str, int]]:
    """Names below a folder and sizes; links and hidden names are passed over, as are workspaces."""
    pending = [""]
    while pending:
        inside = pending.pop()
        try:
            entries = sorted(os.scandir(folder / inside), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            if entry.name.startswith(".") or entry.is_symlink():
                continue
            if not entry.is_dir():
                yield inside + entry.name, entry.stat().st_size
            elif not os.path.lexists(os.path.join(entry.path, "workspace.json")):
                pending.append(f"{inside}{entry.name}/")
