"""What the columns of a table mean: one table of the names that corpora and tools use, checked against the values."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from sae_core.corpus.names import NameIndex
from sae_core.corpus.values import gender_of, is_class_word, known, split_word

ROLE_NAMES: dict[str, tuple[str, ...]] = {
    "audio_path": (
        "audio_path", "audio_filepath", "audio_file_path", "file_name", "filename", "file_path", "filepath", "path",
        "file", "wav", "wav_path", "wav_file", "wav_filename", "wav_name", "wavs", "audio", "audio_file",
        "audio_filename", "audio_name", "audio.path", "audio_url", "sound", "sound_file", "sound_path", "clip",
        "clip_path", "clip_name", "recording", "recording_path", "recording_file", "rec", "media", "media_path", "flac",
        "mp3", "location", "uri", "url", "source_file", "src", "utterance", "utt", "utt_id", "id", "key", "name",
        "datei", "dateiname", "aufnahme", "fichier", "nom_fichier", "archivo", "fichero", "arquivo", "nome_file",
        "файл",
    ),
    "clip_id": ("clip_id", "segment_id", "utt_id", "utterance_id", "utt", "utterance"),
    "start_s": (
        "start_s", "start", "start_time", "start_sec", "start_seconds", "offset", "begin", "begin_time", "begin_s",
        "onset", "tbegin", "tstart", "seg_start", "segment_start", "start_ms", "begin_ms", "offset_ms",
        "beginn", "anfang", "début", "inicio", "início", "inizio", "начало",
    ),
    "duration_s": (
        "duration_s", "duration", "dur", "dur_s", "duration_sec", "duration_seconds", "length", "length_s", "len",
        "audio_duration", "audio_length", "seconds", "duration_ms", "dur_ms", "length_ms", "milliseconds",
        "dauer", "länge", "durée", "duración", "duração", "durata", "длительность",
    ),
    "end_s": (
        "end_s", "end", "end_time", "end_sec", "end_seconds", "stop", "stop_time", "tend", "offset_end", "seg_end",
        "segment_end", "end_ms", "stop_ms", "ende", "fin", "fim", "fine", "конец",
    ),
    "audio_channel": ("audio_channel", "channel", "channel_id", "chan", "channel_number", "channel_selector", "side"),
    "speaker_id": (
        "speaker_id", "speaker", "speaker_name", "spk_id", "spk", "spkid", "spkr", "spkr_id", "speakers", "client_id",
        "user_id", "user", "voice_id", "voice_name", "voice", "reader_id", "reader", "talker_id", "talker",
        "participant_id", "participant",
        "subject_id", "subject", "person_id", "person", "narrator", "actor_id", "actor", "contributor",
        "contributor_id", "singer", "caller_id", "caller", "worker_id", "speaker.id", "speaker.name",
        "sprecher", "sprecherin", "sprecher_id", "locuteur", "locutrice", "hablante", "locutor", "locutora", "falante",
        "parlante", "диктор", "говорящий", "label", "labels",
    ),
    "split": ("split", "subset", "partition", "set", "data_split", "dataset_split", "part", "fold"),
    "language": (
        "language", "lang", "locale", "language_code", "lang_code", "language_id", "lang_id", "lid", "languages",
        "native_language", "mother_tongue", "target_lang", "source_lang", "sprache", "langue", "idioma", "lingua",
        "língua", "язык",
    ),
    "gender": (
        "gender", "sex", "speaker_gender", "spk_gender", "speaker_sex", "speaker.gender", "genre_speaker",
        "geschlecht", "sexe", "sexo", "género", "gênero", "genere", "пол",
    ),
    "age": ("age", "age_group", "age_range", "age_bracket", "speaker_age", "speaker.age", "ages",
            "alter", "âge", "edad", "idade", "età", "возраст"),
    "accent": ("accent", "accents", "dialect", "speaker_accent"),
    "transcript": (
        "text", "sentence", "transcript", "transcription", "raw_transcription", "normalized_text", "raw_text",
        "transcript_text", "words", "prompt", "orthographic", "pred_text", "normalized_transcript",
    ),
}  # fmt: skip
"""Role → the names that it goes by, the likeliest first; compared without case, blanks and marks."""
# Names that mean a class as often as a speaker.
AMBIGUOUS_SPEAKER = ("label", "labels")
DECIMAL_COMMA = re.compile(r"^\s*([+-]?\d+),(\d+)\s*$")
MS_NAMES = re.compile(r"(ms|millis|milliseconds|msec)$")
FEW = 3
"""So few values to a speaker column are looked at twice, where each stands on many recordings."""


def key_of(name: str) -> str:
    """A name as it is compared: without case, blanks and marks."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name)).casefold()


_KEYS = {role: tuple(dict.fromkeys(key_of(name) for name in names)) for role, names in ROLE_NAMES.items()}
_OTHER_KEYS = frozenset(
    key for role, keys in _KEYS.items() if role not in ("audio_path", "clip_id") for key in keys
)
_ANY_KEY = frozenset(key for keys in _KEYS.values() for key in keys)


def is_role_name(name: str) -> bool:
    """Whether a text is one of the names that columns go by."""
    return key_of(name) in _ANY_KEY


@dataclass(frozen=True)
class Roles:
    """columns: role → the column that plays it. notices: what was decided by the values, in words."""

    columns: dict[str, str]
    notices: tuple[str, ...] = field(default=())

    @property
    def by_column(self) -> dict[str, str]:
        """Column → the role it plays."""
        return {column: role for role, column in self.columns.items()}


def find_roles(frame: pd.DataFrame, index: NameIndex | None = None) -> Roles:
    """Which column of a table plays which role, by its name and its values; `index` are the recordings there are."""
    keys = {key_of(str(name)): str(name) for name in reversed(frame.columns)}
    notices: list[str] = []
    found: dict[str, str] = {}
    path = _find_path(frame, keys, index, notices)
    if path is not None:
        found["audio_path"] = path
    for role in ("clip_id", "start_s", "duration_s", "end_s", "audio_channel", "split", "language", "gender"):
        column = _first(role, keys, found)
        if column is not None and _CHECKS.get(role, _any)(frame[column]):
            found[role] = column
    for role in ("age", "accent", "transcript"):
        column = _first(role, keys, found)
        if column is not None:
            found[role] = column
    _find_speaker(frame, keys, found, notices)
    return Roles(found, tuple(notices))


def _first(role: str, keys: dict[str, str], found: dict[str, str]) -> str | None:
    taken = set(found.values())
    return next((keys[key] for key in _KEYS[role] if key in keys and keys[key] not in taken), None)


def _find_path(
    frame: pd.DataFrame, keys: dict[str, str], index: NameIndex | None, notices: list[str]
) -> str | None:
    """The column that names the recordings: of those called so the one most of whose values are there, else any."""
    called = [keys[key] for key in _KEYS["audio_path"] if key in keys]
    if index is None or not index.names:
        return called[0] if called else None
    hits = {column: _n_found(frame[column], index) for column in called}
    best = max(hits, key=lambda column: hits[column], default=None)
    if best is not None and hits[best]:
        return best
    free = [name for name in frame.columns if name not in hits and key_of(str(name)) not in _OTHER_KEYS]
    others = {str(name): _n_found(frame[name], index) for name in free}
    other = max(others, key=lambda column: others[column], default=None)
    if other is not None and others[other] > 0:
        notices.append(f"column {other!r} names the recordings, by its values")
        return other
    return called[0] if called else None


def _n_found(column: pd.Series, index: NameIndex) -> int:
    values = column.dropna().drop_duplicates()
    return index.count(str(value) for value in values.iloc[:: max(1, len(values) // 200)])


def _find_speaker(
    frame: pd.DataFrame, keys: dict[str, str], found: dict[str, str], notices: list[str]
) -> None:
    """Take the first column called so whose values can be speakers; say of each other why it is not."""
    for key in _KEYS["speaker_id"]:
        column = keys.get(key)
        if column is None or column in found.values():
            continue
        why = why_no_speaker(frame[column], is_ambiguous=key in AMBIGUOUS_SPEAKER)
        if why is None:
            found["speaker_id"] = column
            return
        notices.append(f"column {column!r} is not taken for the speaker: {why}")


def why_no_speaker(column: pd.Series, *, is_ambiguous: bool = False) -> str | None:
    """Why the values of a column cannot be speakers; None where they can.

    A few values over many recordings that are all languages, genders, splits or other classes are none; a column
    called `label` is none either where it says the same of every recording.
    """
    plain = known(column)
    values = list(plain.dropna().unique())
    if not values:
        return "no value of it is known"
    n_each = plain.notna().sum() / len(values)
    if all(is_class_word(value) for value in values) and (is_ambiguous or n_each >= FEW):
        return f"its values are classes ({shown(values)})"
    if is_ambiguous and len(values) == 1 and len(plain) > 1:
        return f"it says {values[0]!r} of every recording"
    if is_ambiguous and all(value.isdigit() and len(value) < 3 for value in values) and n_each >= 10:
        return f"its values are numbers of classes ({shown(values)})"
    return None


def shown(values: Sequence[str], n: int = 5) -> str:
    """Some values in words, and how many more there are."""
    more = f" and {len(values) - n:,} more" if len(values) > n else ""
    return ", ".join(repr(str(value)[:40]) for value in values[:n]) + more


def _any(column: pd.Series) -> bool:  # noqa: ARG001 - as every check
    return True


def _is_distinct(column: pd.Series) -> bool:
    plain = column.dropna()
    return not plain.duplicated().any()


def is_numbers(column: pd.Series) -> bool:
    """Whether most known values of a column are numbers."""
    plain = known(column).dropna()
    numbers = pd.to_numeric(plain.str.replace(DECIMAL_COMMA, r"\1.\2", regex=True), errors="coerce")
    return len(plain) == 0 or bool(numbers.notna().mean() > 0.5)


CHANNEL_WORDS = {"left": 0, "right": 1, "l": 0, "r": 1, "a": 0, "b": 1, "mono": -1, "mix": -1, "mixed": -1}


def _is_channel(column: pd.Series) -> bool:
    plain = known(column).dropna()
    words = plain.str.casefold().isin(CHANNEL_WORDS.keys())
    numbers = pd.to_numeric(plain, errors="coerce")
    return bool((words | numbers.between(-1, 64)).all())


def _is_split(column: pd.Series) -> bool:
    values = known(column).dropna().unique()
    return any(split_word(value) is not None for value in values)


def _is_gender(column: pd.Series) -> bool:
    values = known(column).dropna().unique()
    return len(values) == 0 or any(gender_of(value) is not None for value in values) or len(values) < 4


_CHECKS = {
    "start_s": is_numbers,
    "duration_s": is_numbers,
    "end_s": is_numbers,
    "audio_channel": _is_channel,
    "split": _is_split,
    "gender": _is_gender,
}
