"""Vectors that people bring become embeddings: of a workspace that is there, or of a new one made of their ids."""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Int64

from sae_core.build.steps import embeddings_folder
from sae_core.corpus.clips import Corpus, clip_id_from, clip_marks
from sae_core.corpus.columns import shown
from sae_core.corpus.id_rows import rows_by_id
from sae_core.corpus.importing import import_ids
from sae_core.corpus.names import NameIndex
from sae_core.corpus.summary import ImportSummary
from sae_core.embedding.embeddings import FAILURE_COLUMNS, OWN_VECTORS, Embeddings, load_embeddings
from sae_core.embedding.own_vectors import OwnVectors, blocks_of, stage_vectors
from sae_core.files.artifacts import fingerprint, write_table, writing_in_pieces
from sae_core.files.errors import ArtifactError, CorpusError
from sae_core.files.progress import Progress, ignore
from sae_core.files.settings import read_settings, update_settings

IDS_FILE = "ids.parquet"
"""Ids of the file that there is something to say of, with what it is: no clip, no labels, no vector to use."""
_NAME_CHARS = 40


@dataclass(frozen=True)
class VectorChoices:
    """What is asked of an import of vectors.

    name: what the embeddings are called; by default as the file. ids: a file of ids, or the column, array or dataset
    of ids. labels, audio_root: of a new workspace, see `rows_by_id` and `join_recordings`.
    """

    name: str | None = None
    ids: str | Path | None = None
    labels: Path | None = None
    audio_root: Path | None = None


@dataclass(frozen=True)
class VectorReport:
    """What an import of vectors made.

    embeddings: with its failures, the clips without a vector. ids: `id` and `reason` of those without a clip or without
    labels and of vectors that cannot be used. n_repeated: vectors that stood in the file more than once. summary: of
    the clips, where the workspace is new.
    """

    embeddings: Embeddings
    ids: pd.DataFrame
    n_repeated: int = 0
    summary: ImportSummary | None = None


def import_vectors(
    file: Path, workspace: Path, *, choices: VectorChoices = VectorChoices(), progress: Progress = ignore
) -> VectorReport:
    """Make the vectors of a file embeddings of a workspace, which is made where there is none, of a clip an id.

    Rows come into the order of the clips and are scaled to norm 1. What is there already is not touched. Raises
    CorpusError where the file, its ids or labels cannot be used, or no id is a clip's; ArtifactError where embeddings
    of this name are there already or the workspace cannot be written; ValueError for a name that cannot be one;
    MissingDependencyError. Nothing is left then.
    """
    file, workspace = Path(file), Path(workspace)
    name = choices.name or _name_from(file)
    is_new = not (workspace / "clips.parquet").exists()
    _check_place(workspace, embeddings_folder(workspace, name), choices, is_new=is_new)
    with tempfile.TemporaryDirectory(prefix=".import-vectors-", dir=_existing(workspace)) as scratch:
        vectors = stage_vectors(file, choices.ids, Path(scratch), progress=progress)
        _check_any(vectors, file)
        home = Path(scratch) / "workspace" if is_new else workspace
        made = _make_clips(vectors, file, home, choices, progress=progress) if is_new else _Made()
        corpus = Corpus.load(home)
        others = sorted(folder.parent.name for folder in home.glob("embeddings/*/meta.json"))
        matched = _match(vectors, corpus, file, workspace)
        reasons = {**dict.fromkeys(made.unlabelled, "has no labels"), **matched.reasons, **vectors.reasons}
        reasons |= {id_: why for id_, why in made.reasons.items() if id_ in matched.reasons}
        _save(vectors, matched, corpus, file=file, folder=embeddings_folder(home, name))
        ids = pd.DataFrame({"id": list(reasons), "reason": list(reasons.values())}, dtype="str")
        write_table(embeddings_folder(home, name) / IDS_FILE, ids)
        if read_settings(home).get("embedder") is None:
            # said now, so that the embeddings that pages and verbs took so far stay the ones they take
            update_settings(home, embedder=others[0] if others else name)
        if is_new:
            _move_in(home, workspace, has_sound=corpus.has_sound)
    found = load_embeddings(workspace, Corpus.load(workspace), name)
    return VectorReport(found, ids, vectors.n_repeated, made.summary)


def _check_any(vectors: OwnVectors, file: Path) -> None:
    if len(vectors.reasons) == len(vectors.ids):
        first, why = next(iter(vectors.reasons.items()))
        raise CorpusError(
            f"has no vector that can be used; the first is {first!r}: {why}",
            where=file,
            remedy="look at how the vectors were computed",
        )


def _name_from(file: Path) -> str:
    """A name of embeddings from that of a file."""
    kept = "".join(
        char if char.isascii() and (char.isalnum() or char in "._-") else "-" for char in file.stem
    )
    return kept.lstrip("._-")[:_NAME_CHARS].rstrip("._-") or "vectors"


def _existing(folder: Path) -> Path:
    """The folder itself, or the nearest one above it that is there."""
    return next(place for place in (folder.absolute(), *folder.absolute().parents) if place.is_dir())


def _check_place(workspace: Path, folder: Path, choices: VectorChoices, *, is_new: bool) -> None:
    if workspace.exists() and not workspace.is_dir():
        raise ArtifactError("is no folder", where=workspace, remedy="choose another --workspace")
    if (folder / "meta.json").exists():
        raise ArtifactError(
            f"has embeddings called {folder.name} already, which are left as they are",
            where=workspace,
            remedy="choose another --name",
        )
    if not is_new and (choices.labels is not None or choices.audio_root is not None):
        raise CorpusError(
            "has clips already, with their own labels and recordings",
            where=workspace,
            remedy="leave out --labels and --audio-root, or choose a new --workspace",
        )
    if is_new and workspace.is_dir() and any(workspace.iterdir()):
        raise ArtifactError(
            "is no workspace, and there are other files in it",
            where=workspace,
            remedy="choose another --workspace",
        )
    if choices.audio_root is not None and not choices.audio_root.is_dir():
        raise CorpusError("is no folder", where=choices.audio_root, remedy="check --audio-root")


@dataclass(frozen=True)
class _Made:
    """What was said while the clips of a new workspace were made; reasons: id → why it is no clip."""

    summary: ImportSummary | None = None
    unlabelled: tuple[str, ...] = ()
    reasons: dict[str, str] = field(default_factory=dict)


def _make_clips(
    vectors: OwnVectors, file: Path, home: Path, choices: VectorChoices, *, progress: Progress
) -> _Made:
    """Make the clips table of a new workspace, of a clip an id."""
    root = choices.audio_root
    found = rows_by_id(vectors.ids, file, labels=choices.labels, has_sound=root is not None)
    home.mkdir()
    report = import_ids(found.rows, home, folder=root, progress=progress)
    failures = report.failures
    reasons = dict(zip(failures["audio_path"], failures["reason"], strict=True))
    return _Made(report.summary, found.unlabelled, reasons)


def _move_in(home: Path, workspace: Path, *, has_sound: bool) -> None:
    """Put a finished new workspace where it belongs, all at once."""
    if not has_sound:
        update_settings(home, name=workspace.resolve().name)
    try:
        workspace.parent.mkdir(parents=True, exist_ok=True)
        home.replace(workspace)
    except OSError as error:
        raise ArtifactError(
            f"cannot be written ({error.strerror})", where=workspace, remedy="choose another --workspace"
        ) from error


@dataclass(frozen=True)
class _Matched:
    """rows: the row of `OwnVectors.units` of each clip, −1 where it has none. reasons: id → why it is no clip's.
    by_row: row of the clip → its id."""

    rows: Int64[np.ndarray, " n"]
    reasons: dict[str, str]
    by_row: dict[int, str]


def _match(vectors: OwnVectors, corpus: Corpus, file: Path, workspace: Path) -> _Matched:
    """Which vector is whose: of two ids of one clip, its clip_id goes before a path, and the first before later ones.

    CorpusError where no id is a clip's.
    """
    clip_ids = corpus.table["clip_id"].astype(str).tolist()
    place_of = {clip_id: place for place, clip_id in enumerate(clip_ids)}
    named = {name: place_of[name] for name in vectors.ids if name in place_of}
    others = [name for name in vectors.ids if name not in place_of]
    by_path, reasons = _by_recording(others, corpus, place_of)
    row_of = dict(zip(vectors.ids, vectors.rows.tolist(), strict=True))
    rows, by_row = np.full(len(corpus), -1, dtype=np.int64), dict[int, str]()
    for name, place in (*named.items(), *by_path.items()):
        if place in by_row:
            reasons[name] = f"names the clip {clip_ids[place]!r}, as {by_row[place]!r} does"
            continue
        rows[place], by_row[place] = row_of[name], name
    if not by_row:
        raise CorpusError(
            f"none of its {len(vectors.ids):,} ids is a clip of {workspace}: it has, for example, "
            f"{shown(vectors.ids[:2])}; the clips are called {shown(clip_ids[:2])}",
            where=file,
            remedy="bring the clip ids of that workspace (clips.parquet), or the paths of its recordings",
        )
    return _Matched(rows, reasons, by_row)


def _by_recording(
    names: list[str], corpus: Corpus, place_of: dict[str, int]
) -> tuple[dict[str, int], dict[str, str]]:
    """The clips that names of recordings mean, and why the other names mean none."""
    paths = corpus.table["audio_path"].astype(str)
    n_clips, first = paths.value_counts(), {path: place for place, path in reversed(list(enumerate(paths)))}
    index = NameIndex(list(first))
    recordings = index.find_all(pd.Series(names, dtype="str"))
    found, reasons = dict[str, int](), dict[str, str]()
    for name, recording in zip(names, recordings, strict=True):
        if (place := place_of.get(clip_id_from(name))) is not None:
            found[name] = place
        elif pd.isna(recording):
            reasons[name] = "is no clip of this workspace"
        elif n_clips[recording] > 1:
            reasons[name] = f"names a recording of {n_clips[recording]:,} clips; use their clip ids"
        else:
            found[name] = first[recording]
    return found, reasons


def _save(vectors: OwnVectors, matched: _Matched, corpus: Corpus, *, file: Path, folder: Path) -> None:
    """Write the embeddings, in the order of the clips, piece by piece."""
    n, clip_ids = len(corpus), corpus.table["clip_id"].astype(str)
    reason_of = {
        place: vectors.reasons[name] for place, name in matched.by_row.items() if name in vectors.reasons
    }
    failed = [place for place in range(n) if matched.rows[place] < 0 or place in reason_of]
    if len(failed) == n:
        raise CorpusError(
            f"no clip gets a vector that can be used; {clip_ids.iloc[0]!r}: {reason_of.get(0, 'it has none')}",
            where=file,
            remedy="look at how the vectors were computed",
        )
    missing = f"has no vector in {file.name}"
    failures = pd.DataFrame(
        {
            "row": np.array(failed, dtype=np.int64),
            "clip_id": pd.Series([clip_ids.iloc[place] for place in failed], dtype="str"),
            "reason": pd.Series([reason_of.get(place, missing) for place in failed], dtype="str"),
        },
        columns=list(FAILURE_COLUMNS),
    )
    with tempfile.TemporaryDirectory(dir=folder.parents[1], prefix=".ordered-") as scratch:
        ordered = Path(scratch) / "vectors.npy"
        with writing_in_pieces(ordered, (n, vectors.dim), np.float32) as add:
            for block in blocks_of(n):
                rows = matched.rows[block]
                add(np.where((rows >= 0)[:, None], vectors.units[np.maximum(rows, 0)], np.float32(0)))
        units = np.load(ordered, mmap_mode="r")
        mark = fingerprint(units, OWN_VECTORS, file.name)
        found = Embeddings(units, failures, OWN_VECTORS, file.name, 0, mark, folder.name)
        found.save(folder, parents={"audio": corpus.audio_fingerprint}, clip_marks=clip_marks(corpus))
