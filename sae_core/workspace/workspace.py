"""A data folder, opened: everything in it by name, immutable, loaded when first asked for and then shared.

This is the front door for pages and for the command line. Opening costs almost nothing; arrays are memory-mapped, and
one `Workspace` may serve any number of threads.
"""

import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd
from jaxtyping import Float32, UInt8

from sae_core.audio import reading
from sae_core.corpus import acoustics
from sae_core.corpus.clips import Corpus
from sae_core.embedding.embeddings import Embeddings, load_embeddings, remake_command
from sae_core.files.artifacts import (
    ArtifactMeta,
    fingerprint,
    read_failures,
    read_json,
    read_table,
)
from sae_core.files.errors import ArtifactError, CorpusError, StaleArtifactError, VoxScopeError
from sae_core.files.settings import read_settings
from sae_core.measures import listening, naming, profiles
from sae_core.measures.attributes import AttributeStatistics
from sae_core.measures.indexing import index_parents, latent_kinds
from sae_core.sae.codes import SparseCodes
from sae_core.sae.config import THRESHOLD_VARIANTS, TRAINING_KINDS, read_config, read_metrics
from sae_core.sae.decoder import Decoder
from sae_core.sae.feature_index import FeatureIndex
from sae_core.workspace.guesses import Guesses
from sae_core.workspace.note_entries import Subject
from sae_core.workspace.notes import Notes
from sae_core.workspace.saved_views import SavedViews

if TYPE_CHECKING:
    from sae_core.measures.groups import LatentGroup
    from sae_core.sae.model import SparseAutoencoder
    from sae_core.workspace.trust import Groups, Stability

T = TypeVar("T")
# what is written last when a part is rebuilt
_WATCHED = (
    "workspace.json",
    "corpus.json",
    "clips.parquet",
    "embeddings/*/meta.json",
    "saes/*/meta.json",
    "saes/*/index.json",
    "saes/*/stability.json",
    "saes/*/groups.json",
    "guesses.json",
)


@dataclass(frozen=True)
class Part:
    """One part of a workspace for people: what it is, whether it is ready, stale or missing, and what to run."""

    name: str
    state: str
    detail: str
    command: str | None = None


class _Kept:
    """Values made once for every thread: whoever asks first makes it, the others wait for it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._values: defaultdict[str, dict[object, Any]] = defaultdict(dict)

    def get(self, what: str, make: Callable[[], T], *, of: object = None, at_most: int | None = None) -> T:
        """The value known as `what` and `of`, made now if it is not there; of `at_most` the oldest is dropped first."""
        with self._lock:
            values = self._values[what]
            if of not in values:
                made = make()
                while at_most is not None and len(values) >= at_most:
                    del values[next(iter(values))]
                values[of] = made
            value: T = values[of]
            return value


class Workspace:
    """An opened data folder.

    Raises CorpusError or ArtifactError when the folder holds no usable corpus; a missing or stale embedding or SAE
    raises only when it is asked for.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path).resolve()
        if not self.path.is_dir():
            raise CorpusError("is not a folder", where=path, remedy=_import_command(path))
        if not (self.path / "clips.parquet").exists():
            raise CorpusError("holds no clips yet", where=path, remedy=_import_command(path))
        self.corpus = Corpus.load(self.path)
        self.settings = read_settings(self.path)
        self.name = str(self.settings.get("name") or self.path.name)
        self.notes = Notes(self.path)
        self.saved_views = SavedViews(self.path)
        self._kept = _Kept()

    @cached_property
    def fingerprint(self) -> str:
        """Changes with the clips, the labels or the list of finished SAEs: what caches of this workspace key on."""
        return fingerprint(self.corpus.audio_fingerprint, self.corpus.labels_fingerprint, self.sae_names())

    @property
    def is_demo(self) -> bool:
        """Whether this is the demo that VoxScope ships."""
        return bool(self.settings.get("is_demo"))

    def embedder_names(self) -> list[str]:
        """Embedders whose work in this workspace is finished, by name."""
        return sorted(folder.parent.name for folder in self.path.glob("embeddings/*/meta.json"))

    def sae_names(self) -> list[str]:
        """SAEs that are trained, the default one first, then others on the same embeddings, then by embeddings; among
        those by variant, size and k."""
        read = {
            folder.parent.name: self.embeddings_of(folder.parent.name)
            for folder in self.path.glob("saes/*/meta.json")
        }
        default = str(self.settings.get("default_sae"))

        def place(name: str) -> tuple[bool, bool, str, list[tuple[int, int, str]]]:
            settings = _natural(name.removeprefix(f"{read[name]}-"))
            return name != default, read[name] != read.get(default), read[name], settings

        return sorted(read, key=place)

    def embeddings_of(self, sae: str) -> str:
        """The name of the embeddings that an SAE reads, without opening it; "" where its folder does not say."""
        try:
            meta = read_json(self.path / "saes" / sae / "meta.json")
        except VoxScopeError:
            return ""
        settings = meta.get("settings")
        return str(settings.get("embedder", "")) if isinstance(settings, dict) else ""

    def embeddings(self, embedder: str) -> Embeddings:
        """The embeddings by one embedder; StaleArtifactError when the clips have changed since."""
        return self._kept.get(
            "embeddings", lambda: load_embeddings(self.path, self.corpus, embedder), of=embedder
        )

    def sae(self, name: str) -> "SaeView":
        """One SAE with everything derived from it; StaleArtifactError or ArtifactError says what to run."""
        if name not in self.sae_names():
            raise ArtifactError(
                f"has no SAE named {name!r}",
                where=self.path,
                remedy=f"choose one of: {', '.join(self.sae_names()) or 'none yet; run train'}",
            )
        return self._kept.get("sae", lambda: SaeView(self, name), of=name)

    def parts(self) -> list[Part]:
        """What this workspace holds, in order of the chain, with the command for whatever is missing or stale."""
        measured = acoustics.stored_state(self.path, self.corpus)
        acoustic = [Part("acoustics", *measured)] if measured else []
        return [self._corpus_part(), *acoustic, *self._embedding_parts(), *self._sae_parts()]

    def clip_audio(self, row: int) -> tuple[bytes, str]:
        """Sound of one clip as a browser plays it, and its MIME type; AudioError when the recording is gone."""
        clip = self.corpus.table.iloc[row]
        return reading.browser_audio(
            self.corpus.audio_file(row),
            start_s=float(clip["start_s"]),
            duration_s=float(clip["duration_s"]),
            channel=int(clip["audio_channel"]),
        )

    def mel_picture(self, row: int) -> UInt8[np.ndarray, "mels frames"]:
        """A small picture of one clip's sound, lowest frequencies in the last line; AudioError when it is gone."""
        clip = self.corpus.table.iloc[row]
        waveform = reading.read(
            self.corpus.audio_file(row),
            start_s=float(clip["start_s"]),
            duration_s=float(clip["duration_s"]),
            channel=int(clip["audio_channel"]),
            sample_rate_hz=16000,
        )
        return reading.mel_picture(waveform, 16000)

    def kept(self, what: str, make: Callable[[], T], *, of: object = None, at_most: int | None = None) -> T:
        """What `make` returns, worked out once for this workspace and kept as long as it is open; `of` tells values of
        one kind apart, of which `at_most` are kept."""
        return self._kept.get(what, make, of=of, at_most=at_most)

    def guesses(self) -> Guesses | None:
        """What named latents guessed of the clips; None where nothing was guessed, or of other clips."""
        return Guesses.load(self.path, audio_fingerprint=self.corpus.audio_fingerprint)

    def summary(self) -> profiles.CorpusSummary:
        """Clips, hours and speakers, in all and by language × gender × kind."""
        return self._kept.get("summary", lambda: profiles.summarise_corpus(self.corpus))

    def _corpus_part(self) -> Part:
        missing = len(read_failures(self.path / "import_failures.parquet"))
        n_speakers = len(np.unique(self.corpus.speaker_groups))
        detail = f"{len(self.corpus):,} clips, {n_speakers:,} speakers"
        detail += "" if self.corpus.has_sound else ", no sound"
        return Part(
            "corpus", "ready", detail + (f"; {missing:,} files could not be imported" if missing else "")
        )

    def _embedding_parts(self) -> list[Part]:
        command = f"python -m sae_core embed --workspace {self.path}"
        parts = []
        for name in self.embedder_names():
            try:
                found = self.embeddings(name)
                detail = f"{len(found.valid_rows):,} × {found.dim}, {len(found.failures):,} failures"
                parts.append(Part(f"embeddings/{name}", "ready", detail))
            except VoxScopeError as error:
                parts.append(_broken(f"embeddings/{name}", error, remake_command(self.path, name)))
        return parts or [Part("embeddings", "missing", "no clip is embedded yet", command)]

    def _sae_parts(self) -> list[Part]:
        command = f"python -m sae_core train --workspace {self.path}"
        parts = []
        for name in self.sae_names():
            try:
                view = self.sae(name)
                n_active = int((view.index.n_active() > 0).sum())
                detail = f"L {view.codes.n_latents:,}, k {view.codes.k}, {n_active:,} active"
                parts.append(Part(f"saes/{name}", "ready", detail))
            except VoxScopeError as error:
                parts.append(
                    _broken(f"saes/{name}", error, f"python -m sae_core index --workspace {self.path}")
                )
        return parts or [Part("saes", "missing", "no SAE is trained yet", command)]


class SaeView:
    """One SAE of a workspace with its codes, index, statistics and latents table; all arrays are read-only.

    embeddings: what it was trained on. codes, index, statistics, latents: derived by `index`. metrics: its quality,
    as training or import measured it. training: one row a report during training. settings: what it was made with.
    """

    def __init__(self, workspace: Workspace, name: str) -> None:
        self.workspace, self.name = workspace, name
        self.folder = workspace.path / "saes" / name
        train = f"run: python -m sae_core train --workspace {workspace.path}"
        meta = ArtifactMeta.read(self.folder / "meta.json", kind="sae", remedy=train)
        if "imported" in meta.settings:
            again = f"python -m sae_core import-sae FOLDER --workspace {workspace.path}"
            train = f"delete this folder and import it again: {again}"
        self.settings = meta.settings
        self.embeddings = workspace.embeddings(str(meta.settings.get("embedder", "")))
        current = {"embeddings": self.embeddings.fingerprint, "splits": workspace.corpus.split_fingerprint}
        meta.check_parents(current, where=self.folder, remedy=train)
        meta.check_files(self.folder, remedy=train)
        self.config: dict[str, Any] = read_config(self.folder, remedy=train).to_json()
        remedy = f"run: python -m sae_core index --workspace {workspace.path}"
        built = ArtifactMeta.read(self.folder / "index.json", kind="index", remedy=remedy)
        built.check_parents(
            index_parents(workspace.corpus, self.embeddings, meta), where=self.folder, remedy=remedy
        )
        built.check_files(self.folder, remedy=remedy)
        n_latents = int(self.config["n_latents"])
        self.weights_fingerprint = meta.fingerprint
        self.fingerprint = fingerprint(meta.fingerprint, built.fingerprint, built.parents)
        self.metrics = read_metrics(self.folder / "metrics.json", remedy=train)
        self.training = read_table(self.folder / "training.parquet", columns=TRAINING_KINDS, remedy=train)
        self.codes = SparseCodes.load(self.folder, n_latents=n_latents, remedy=remedy)
        self.index = FeatureIndex.load(self.folder, remedy=remedy)
        self.latents = read_table(
            self.folder / "latents.parquet", columns=latent_kinds(n_latents), remedy=remedy
        )
        self.statistics = AttributeStatistics.load(self.folder, n_latents=n_latents, remedy=remedy)
        self._check_sizes(remedy)
        # names follow from the statistics by one rule, whichever version wrote the table
        self.latents = naming.name_latents(self.latents, self.statistics)
        self._kept = _Kept()

    def _check_sizes(self, remedy: str) -> None:
        """ArtifactError where parts do not belong together: another number of clips, latents or dimensions."""
        n, n_latents = len(self.workspace.corpus), self.n_latents
        fits = {
            "code_latents.npy": len(self.codes) == n and self._has_its_slots(),
            "index_offsets.npy": len(self.index.offsets) == n_latents + 1,
            "index_rows.npy": self.index.holds_rows_of(n),
            "latents.parquet": len(self.latents) == n_latents
            and np.array_equal(self.latents["latent"], np.arange(n_latents)),
            "attribute_values.parquet": set(self.statistics.values["attribute"])
            <= set(self.workspace.corpus.attributes),
            "config.json": int(self.config.get("dim", -1)) == self.embeddings.dim,
        }
        for name, is_right in fits.items():
            if not is_right:
                raise ArtifactError(
                    "does not fit the clips and the SAE", where=self.folder / name, remedy=remedy
                )

    def _has_its_slots(self) -> bool:
        """Whether the codes have k slots; where a threshold decides, more where rounding made another latent active."""
        k = int(self.config["k"])
        return self.codes.k >= k if self.config["variant"] in THRESHOLD_VARIANTS else self.codes.k == k

    @property
    def n_latents(self) -> int:
        """L."""
        return self.codes.n_latents

    def kept(self, what: str, make: Callable[[], T], *, of: object = None, at_most: int | None = None) -> T:
        """As `Workspace.kept`, for this SAE."""
        return self._kept.get(what, make, of=of, at_most=at_most)

    def model(self) -> "SparseAutoencoder":
        """The SAE itself, on the GPU when there is one; loaded once."""
        from sae_core.sae.model import SparseAutoencoder

        return self._kept.get("model", lambda: SparseAutoencoder.load(self.folder))

    def decoder(self) -> Decoder:
        """Its decoder half, without PyTorch; loaded once."""
        return self._kept.get("decoder", lambda: Decoder.load(self.folder))

    def directions(self) -> Float32[np.ndarray, "L d"]:
        """Decoder directions of norm 1, in embedding space."""
        return self.decoder().directions

    def name_of(self, latent: int) -> str:
        """What a latent is called: its number, and the label that people gave it, else its best attribute value where
        held-out speakers confirm it."""
        if label := self.label_of(latent):
            return f"#{latent} “{label}”"
        is_named = bool(self.latents["is_named"].iloc[latent])
        return f"#{latent} {self.latents['best_value'].iloc[latent]}" if is_named else f"#{latent}"

    def subject(self, latent: int) -> Subject:
        """What notes about a latent are kept under: they are about these very weights."""
        return Subject(self.name, self.weights_fingerprint, latent)

    def label_of(self, latent: int) -> str:
        """The label that people gave a latent, or nothing."""
        return self.workspace.notes.latent_labels(self.weights_fingerprint).get(latent, "")

    def threshold_of(self, latent: int) -> float:
        """Above this activation a clip counts as predicted positive: chosen for the latent's best value, 0 where it has
        none."""
        threshold = self.latents["best_threshold"].iloc[latent]
        return 0.0 if pd.isna(threshold) else float(threshold)

    def histogram(self, latent: int) -> pd.DataFrame:
        """Counts of its activations: low, high, n."""
        return profiles.activation_histogram(self.index.postings(latent)[1])

    @property
    def base_counts(self) -> profiles.BaseCounts:
        """How many of its embedded clips carry each attribute value."""
        return self._kept.get(
            "base counts", lambda: profiles.BaseCounts(self.workspace.corpus, self.embeddings.is_valid)
        )

    def shares(self, latent: int) -> pd.DataFrame:
        """Each attribute value's share among the latent's clips against its base rate, with lift."""
        rows = self.index.postings(latent)[0]
        return profiles.value_shares(self.base_counts, rows)

    def cross_counts(self, latent: int, attributes: tuple[str, str] = ("language", "gender")) -> pd.DataFrame:
        """The latent's clips and all clips by two attributes."""
        rows = self.index.postings(latent)[0]
        return profiles.cross_counts(self.base_counts, rows, attributes)

    def examples(self, latent: int, *, n: int = 6) -> listening.ListeningExamples:
        """Strongest, middle, near-threshold clips and hard negatives."""
        return listening.choose_examples(
            self.workspace.corpus,
            self.embeddings,
            self.index,
            latent,
            threshold=self.threshold_of(latent),
            n=n,
        )

    def similar_latents(self, latent: int, *, n: int = 8) -> pd.DataFrame:
        """Nearest latents by decoder direction: latent, cosine."""
        return profiles.nearest_by_direction(self.directions(), latent, n)

    def coactive_latents(self, latent: int, *, n: int = 8) -> pd.DataFrame:
        """Latents most often active on the same clips: latent, jaccard, n_together."""
        return profiles.nearest_by_coactivation(self.codes, self.index, latent, n)

    def nearest_clips(self, row: int, *, n: int = 8) -> pd.DataFrame:
        """Clips with the most similar embeddings: row, cosine."""
        return profiles.nearest_clips(self.embeddings.vectors, self.embeddings.is_valid, row, n)

    def predominant_latents(self) -> pd.DataFrame:
        """For each attribute value its best latent, the numbers, and whether held-out speakers confirm it."""
        return self._kept.get("predominant", lambda: naming.predominant_latents(self.statistics))

    def stability(self) -> "Stability | None":
        """How its latents come back in SAEs of other seeds; None where that was not measured, or of other SAEs."""
        from sae_core.workspace.trust import Stability, seed_family, stability_parents

        def load() -> Stability | None:
            parents = stability_parents(self.workspace, self.name, seed_family(self.workspace, self.name))
            return Stability.load(self.folder, parents, n_latents=self.n_latents)

        return self._kept.get("stability", load)

    def groups(self) -> "Groups | None":
        """For each attribute value its best 1, 2, 4, 8 and 16 latents together; None where that was not measured, or of
        another index."""
        from sae_core.workspace.trust import Groups

        return self._kept.get(
            "groups",
            lambda: Groups.load(self.folder, {"index": self.fingerprint}, n_latents=self.n_latents),
        )

    def monosemanticity(self, embedder: str | None = None) -> Float32[np.ndarray, " L"]:
        """How alike the clips of unseen speakers are on which each latent fires, by the embeddings of another encoder
        (by default of the SAE's own); NaN where there are fewer than two. Worked out once."""
        from sae_core.measures.monosemanticity import monosemanticity

        judge = self.embeddings if embedder is None else self.workspace.embeddings(embedder)
        is_counted = (self.workspace.corpus.table["split"] != "train").to_numpy()
        is_counted = np.asarray(is_counted & self.embeddings.is_valid & judge.is_valid)
        return self._kept.get(
            "monosemanticity",
            lambda: monosemanticity(self.index, judge.vectors, is_counted),
            of=judge.fingerprint,
        )

    def group_examples(self, group: "LatentGroup", *, n: int = 6) -> listening.ListeningExamples:
        """Strongest, middle, near-threshold clips and hard negatives of a group of latents."""
        return listening.choose_examples(
            self.workspace.corpus, self.embeddings, group.index(self.codes), 0, threshold=group.threshold, n=n
        )

    def striking_latents(self, n: int = 5) -> list[int]:
        """The latents worth hearing first."""
        return profiles.striking_latents(self.latents, n)

    def method_example(self, row: int | None = None) -> profiles.MethodExample:
        """One clip's embedding, active latents and reconstruction; by default the strongest clip of the first striking
        latent, or the first clip where no latent is active. ValueError when the clip has no embedding."""
        if row is None:
            rows = [self.index.top(latent, 1)[0] for latent in self.striking_latents(1)]
            row = int([*rows, self.embeddings.valid_rows][0][0])
        if not self.embeddings.is_valid[row]:
            raise ValueError(f"clip {row} has no embedding")
        latents, activations = self.codes.active(row)
        embedding = np.asarray(self.embeddings.vectors[row])
        one = SparseCodes(
            np.asarray(self.codes.latents[row : row + 1]),
            np.asarray(self.codes.activations[row : row + 1]),
            self.n_latents,
        )
        rebuilt = self.decoder().decode(one)[0]
        norm = float(np.linalg.norm(rebuilt) * np.linalg.norm(embedding))
        cosine = float(rebuilt @ embedding) / norm if norm else 0.0
        return profiles.MethodExample(row, embedding, latents, activations, rebuilt, cosine)


def open_workspace(path: str | Path) -> Workspace:
    """Return the workspace in `path`; CorpusError or ArtifactError when it holds no usable corpus."""
    return Workspace(Path(path))


def workspace_stamp(path: str | Path) -> str:
    """Changes whenever a part of the workspace is rebuilt: a server that has it open then opens it anew."""
    files = sorted(file for pattern in _WATCHED for file in Path(path).glob(pattern))
    return fingerprint([[str(file), file.stat().st_mtime_ns, file.stat().st_size] for file in files])


def _broken(name: str, error: VoxScopeError, command: str) -> Part:
    state = "stale" if isinstance(error, StaleArtifactError) else "damaged"
    return Part(name, state, error.what, (error.remedy or command).removeprefix("run: "))


def _import_command(path: Path) -> str:
    return f"run: python -m sae_core import FOLDER --workspace {path}"


def _natural(name: str) -> list[tuple[int, int, str]]:
    digits = "".join(character if character.isdigit() else " " for character in name).split()
    return [(0, 0, name.split("-", maxsplit=1)[0]), *((1, int(part), "") for part in digits)]
