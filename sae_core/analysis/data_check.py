"""The data check of an opened workspace: what looks wrong with its clips, and what people decided about it.

A decision is a note on a clip (see `notes`), so it has an author and a time, is exported with the other notes, and can
be taken back by a later one. The next import applies what holds then.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from sae_core.corpus.acoustics import load_acoustics
from sae_core.corpus.clips import Corpus
from sae_core.corpus.decisions import Decisions
from sae_core.corpus.sound_checks import find_faults
from sae_core.embedding.embeddings import Embeddings
from sae_core.files.errors import ArtifactError
from sae_core.files.progress import Progress, ignore
from sae_core.measures.data_check import COLUMNS, MAX_FINDINGS_A_KIND, CheckedCorpus, check
from sae_core.workspace.note_entries import DECISION, Subject
from sae_core.workspace.notes import Notes
from sae_core.workspace.workspace import Workspace

LEAVE_OUT, KEEP, MERGE = "leave out", "keep", "merge"
SOUND_KINDS = ("silent", "no speech", "clipped", "out of range", "cancelling", "two sides")
CAN_MERGE = ("speaker under two names", "leak between splits")
SOURCE_COLUMNS = ("source", "channel", "device", "microphone", "session", "corpus", "subset")
MAX_CHECKED = 50_000
"""Clips compared with each other; of more, a drawn sample is (n² products)."""
_MERGE = re.compile(r"merge “(?P<one>.+)” into “(?P<other>.+)”")


def check_workspace(
    workspace: Workspace,
    embeddings: Embeddings,
    *,
    digests: np.ndarray | None = None,
    progress: Progress = ignore,
) -> pd.DataFrame:
    """Every suspicion about the clips of a workspace by one encoder's embeddings.

    Columns of `measures.data_check`, with `row` and `other_row` into the clips table, `decision` what was decided (""
    if nothing) and `words` in a sentence.

    digests: equal where the sound is the same, "" where unknown; None takes those that `measure` left.
    ArtifactError when the notes cannot be read.
    """
    found = find_suspicions(workspace, embeddings, digests=digests, progress=progress)
    return with_decisions(found, workspace)


def find_suspicions(
    workspace: Workspace,
    embeddings: Embeddings,
    *,
    digests: np.ndarray | None = None,
    progress: Progress = ignore,
) -> pd.DataFrame:
    """What `check_workspace` finds, all but the decisions: the part that takes long and that no note changes."""
    sounds = _sounds(workspace.path, workspace.corpus)
    if digests is None and sounds is not None:
        digests = sounds["sound_digest"].fillna("").astype(str).to_numpy(object)
    rows = _drawn(len(workspace.corpus))
    found = check(_checked(workspace.corpus, embeddings, rows, digests), progress=progress)
    for side in ("row", "other_row"):
        places = found[side].to_numpy(np.int64)
        found[side] = np.where(places >= 0, rows[places], -1)
    if len(about_sound := _sound_findings(sounds)):
        found = pd.concat([found, about_sound], ignore_index=True)
    clips = workspace.corpus.table["clip_id"].to_numpy(object)
    return found.assign(words=[_words(one, clips) for one in found.to_dict("records")])


def with_decisions(found: pd.DataFrame, workspace: Workspace) -> pd.DataFrame:
    """The findings with what was decided last about each; ArtifactError when the notes cannot be read."""
    clips = workspace.corpus.table["clip_id"].to_numpy(object)
    decided = decisions_on(workspace.notes)
    return found.assign(
        decision=[
            decided.get((str(clips[row]), kind), "")
            for row, kind in zip(found["row"], found["kind"], strict=True)
        ]
    )


def first_look(path: Path, corpus: Corpus) -> dict[str, int] | None:
    """How many clips of the workspace folder `path` are clipped, silent, copies of another, …, by fault, those without
    any left out; None where `measure` has not run. It reads what `measure` left and compares no embeddings."""
    sounds = _sounds(path, corpus)
    if sounds is None:
        return None
    counts = {fault: int(np.count_nonzero(rows)) for fault, rows in find_faults(sounds).items()}
    return {fault: n for fault, n in counts.items() if n}


def _sounds(path: Path, corpus: Corpus) -> pd.DataFrame | None:
    """The measures and the sound checks of every clip, as `measure` left them; None where it has not run."""
    try:
        found = load_acoustics(path, corpus)
    except ArtifactError:
        return None
    return None if found.checks is None else pd.concat([found.table, found.checks], axis=1)


def _sound_findings(sounds: pd.DataFrame | None) -> pd.DataFrame:
    """Clips that are silent, clipped, without speech, … by what was measured of them: certain, so infinitely strong."""
    faults = {} if sounds is None else find_faults(sounds)
    found = [
        (kind, np.inf, 1.0, int(row), -1, "", "")
        for kind in SOUND_KINDS
        for row in np.flatnonzero(faults.get(kind, ()))[:MAX_FINDINGS_A_KIND]
    ]
    return pd.DataFrame(found, columns=list(COLUMNS))


def _drawn(n: int) -> np.ndarray:
    """All rows, or `MAX_CHECKED` of them drawn once and for all."""
    if n <= MAX_CHECKED:
        return np.arange(n)
    return np.sort(np.random.default_rng(0).choice(n, MAX_CHECKED, replace=False))


def _checked(
    corpus: Corpus, embeddings: Embeddings, rows: np.ndarray, digests: np.ndarray | None
) -> CheckedCorpus:
    table = corpus.table.iloc[rows]
    codes, names = pd.factorize(table["speaker_id"].astype("object"), use_na_sentinel=True)
    places = [name for name in corpus.attributes if name in SOURCE_COLUMNS]
    known = {name: _values(corpus, name, rows) for name in corpus.attributes}
    sources = {name: known[name] for name in places} | _folders(table)
    nothing = np.full(len(rows), "", dtype=object)
    return CheckedCorpus(
        np.ascontiguousarray(embeddings.vectors[rows], np.float32),
        np.asarray(embeddings.is_valid)[rows],
        codes.astype(np.int64),
        tuple(map(str, names)),
        {name: values for name, values in known.items() if name not in places},
        sources,
        table["split"].to_numpy(object),
        nothing if digests is None else digests[rows],
    )


def _values(corpus: Corpus, attribute: str, rows: np.ndarray) -> np.ndarray:
    """The values of an attribute, None where unknown."""
    values = corpus.table[attribute].to_numpy(object)[rows]
    values[~corpus.is_known(attribute)[rows]] = None
    return values


def _folders(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """The folder that each recording lies in, where there are several but not one a speaker."""
    folders = table["audio_path"].map(lambda path: str(Path(path).parent.as_posix())).to_numpy(object)
    n_folders, n_speakers = len(set(folders)), table["speaker_id"].nunique()
    return {"folder": folders} if 1 < n_folders < max(n_speakers, 2) else {}


def _words(found: Mapping[str, object], clips: np.ndarray) -> str:
    """A finding as a sentence."""
    one, other = (str(clips[found[side]]) if found[side] >= 0 else "" for side in ("row", "other_row"))  # type: ignore[operator, call-overload]
    subject, counterpart, score = found["subject"], found["counterpart"], float(found["score"])  # type: ignore[arg-type]
    return {
        "exact copy": f"{one} holds the same sound as {other}.",
        "near copy": f"{one} sounds nearly the same as {other} (cosine {score:.3f}).",
        "leak between splits": f"{one} and {other} stand in different splits though they belong together.",
        "speaker under two names": f"{subject} and {counterpart} sound like one speaker.",
        "two speakers under one name": f"The clips of {subject} fall into two groups.",
        "speaker label": f"{one} is labelled {subject} and sounds like {counterpart}.",
        "attribute label": f"{one} is labelled {subject}; the clips nearest to it are {counterpart}.",
        "outlier": f"{one} sounds like no other clip.",
        "silent": f"{one} is silent.",
        "no speech": f"No pitch was found in {one}: hardly any speech, or none.",
        "clipped": f"{one} is clipped.",
        "out of range": f"{one} lies beyond full scale.",
        "cancelling": f"The channels of {one} cancel each other when they are mixed.",
        "two sides": f"The two channels of {one} carry different sounds, as the two sides of a call do.",
        "source stands for a value": f"{score:.0%} of the clips with {subject} come from {counterpart}.",
    }[str(found["kind"])]


def decide(workspace: Workspace, found: Mapping[str, object], decision: str, *, author: str) -> None:
    """Keep a decision about one finding of `check_workspace`: `LEAVE_OUT`, `MERGE` (its two speakers) or `KEEP`.

    ValueError where there are no two speakers to merge or the author has no name; ArtifactError when it cannot be kept.
    """
    clip = str(workspace.corpus.table["clip_id"].iloc[int(found["row"])])  # type: ignore[call-overload]
    kind = str(found["kind"])
    text = f"{decision}: {kind}"
    if decision == MERGE:
        one, other = str(found["subject"]), str(found["counterpart"])
        if kind not in ("speaker under two names", "speaker label", "leak between splits") or not (
            one and other
        ):
            raise ValueError("there are no two speakers to merge")
        text = f"merge “{one}” into “{other}”: {kind}"
    workspace.notes.write(Subject(clip=clip), DECISION, text=text, author=author)


def decisions_on(notes: Notes) -> dict[tuple[str, str], str]:
    """What was decided last about each clip and kind of finding, in words; ArtifactError when notes cannot be read."""
    decided = {}
    for entry in notes.entries():
        if entry.kind == DECISION:
            what, _, kind = entry.text.rpartition(": ")
            decided[entry.subject.clip, kind] = what
    return decided


def decisions_for_import(folder: Path) -> Decisions:
    """What an import into this workspace folder has to apply; nothing where no notes are kept there."""
    left_out, renamed = set(), {}
    for (clip, _), what in decisions_on(Notes(folder)).items():
        if what == LEAVE_OUT:
            left_out.add(clip)
        elif (merge := _MERGE.fullmatch(what)) is not None:
            renamed[merge["one"]] = merge["other"]
    return Decisions(frozenset(left_out), renamed)
