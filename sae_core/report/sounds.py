"""The sounds inside a report: short MP3s as `data:` addresses, of a bounded size in all."""

import base64
from dataclasses import dataclass, field

from sae_core.audio import reading
from sae_core.corpus.words import value_words
from sae_core.files.errors import AudioError
from sae_core.report.markup import Child, Markup, element, markup, said
from sae_core.workspace.workspace import SaeView

MAX_SOUND_BYTES = 12_000_000
"""All sounds of a report together, as they stand in the file."""
MAX_HEARD_S = 8.0
"""Of a longer clip only its beginning."""
RATE_HZ = 16_000
WHO_COLUMNS = ("language", "gender", "kind")


@dataclass
class Sounds:
    """The sounds of one report, taken in until they fill `max_bytes`.

    n_bytes: what those taken in fill. n_taken, n_left_out, n_gone: clips that play, that found no room, and whose
    recording cannot be read. Encoded anew, so that nothing but sound leaves: no tags of the recording, no file name.
    """

    view: SaeView
    max_bytes: int = MAX_SOUND_BYTES
    n_bytes: int = 0
    n_taken: int = 0
    n_left_out: int = 0
    n_gone: int = 0
    _known: dict[int, str] = field(default_factory=dict)

    def clip(self, row: int, note: Child = None) -> Markup:
        """One clip: its name and what it is, with a player where there is sound and room for it."""
        table = self.view.workspace.corpus.table
        clip_id = str(table["clip_id"].iloc[row])
        about = self._about(row)
        return element(
            "li",
            element("span", said(clip_id), class_="name"),
            element("span", about, class_="who") if about else None,
            element("span", note, class_="note") if note else None,
            self._player(row, clip_id),
        )

    def clips(self, rows: list[int], notes: list[str]) -> Markup:
        """A list of clips, with a note beside each."""
        return element(
            "ul", [self.clip(row, note) for row, note in zip(rows, notes, strict=True)], class_="clips"
        )

    def sentence(self) -> str:
        """How many sounds are inside, and how large they are."""
        if not self.view.workspace.corpus.has_sound:
            return "This workspace was made of vectors: there is no sound."
        n_seconds, room = f"{MAX_HEARD_S:g}", f"{self.max_bytes / 1e6:g} MB"
        parts = [f"{self.n_taken} sounds of at most {n_seconds} s, {self.n_bytes / 1e6:.1f} of {room}"]
        if self.n_left_out:
            parts.append(f"{self.n_left_out} more are named only, because they would not fit")
        if self.n_gone:
            parts.append(f"of {self.n_gone} the recording cannot be read")
        return "; ".join(parts) + "."

    def _about(self, row: int) -> Markup:
        facts = self.view.workspace.corpus.table.iloc[row]
        known = [name for name in ("speaker_id", *WHO_COLUMNS) if name in facts.index]
        words = [
            value_words(name, str(facts[name]))
            for name in known
            if isinstance(facts[name], str) and facts[name]
        ]
        return markup(
            part for place, word in enumerate(words) for part in (" · " if place else "", said(word))
        )

    def _player(self, row: int, clip_id: str) -> Markup | None:
        if not self.view.workspace.corpus.has_sound:
            return None
        address = self._known.get(row)
        if address is None:
            try:
                address = self._known[row] = self._address(row)
            except AudioError:
                self.n_gone += 1
                return element("span", "its recording cannot be read", class_="note")
        if self.n_bytes + len(address) > self.max_bytes:
            self.n_left_out += 1
            return element("span", "not in this file: no room for its sound", class_="note")
        self.n_bytes, self.n_taken = self.n_bytes + len(address), self.n_taken + 1
        return element("audio", src=address, controls=True, preload="metadata", aria_label=f"Play {clip_id}")

    def _address(self, row: int) -> str:
        corpus = self.view.workspace.corpus
        clip = corpus.table.iloc[row]
        waveform = reading.read(
            corpus.audio_file(row),
            start_s=float(clip["start_s"]),
            duration_s=min(MAX_HEARD_S, float(clip["duration_s"])),
            channel=int(clip["audio_channel"]),
            sample_rate_hz=RATE_HZ,
        )
        encoded = base64.b64encode(reading.encode_mp3(waveform, RATE_HZ)).decode("ascii")
        return f"data:audio/mpeg;base64,{encoded}"
