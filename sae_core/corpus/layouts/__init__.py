"""How folders of recordings are laid out: a file a layout, tried in the order of `IMPORTERS`.

Another layout is one more file here with `read(folder) -> Rows`, `recognise(glimpse)` and a `LAYOUT` text, and one line
in `IMPORTERS`; all that follows (opening recordings, cutting, names, splits, failures) is the same for every layout.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sae_core.corpus.folders import Glimpse, glimpse
from sae_core.corpus.layouts import common_voice, fleurs, kaldi, librispeech, musan, nemo, voxceleb, voxlingua
from sae_core.corpus.layouts import folder as plain_folder
from sae_core.corpus.rows import Rows


@dataclass(frozen=True)
class Importer:
    """A way to read a folder.

    layout: what it expects to find there, in words. recognise: a look at the folder → the evidence that it is laid out
    so, or nothing. read: the folder → its rows.
    """

    layout: str
    recognise: Callable[[Glimpse], str | None]
    read: Callable[[Path], Rows]


# The layout with the strongest evidence of itself first: the first that recognises a folder reads it.
IMPORTERS = {
    "common-voice": Importer(common_voice.LAYOUT, common_voice.recognise, common_voice.read),
    "fleurs": Importer(fleurs.LAYOUT, fleurs.recognise, fleurs.read),
    "librispeech": Importer(librispeech.LAYOUT, librispeech.recognise, librispeech.read),
    "musan": Importer(musan.LAYOUT, musan.recognise, musan.read),
    "voxlingua107": Importer(voxlingua.LAYOUT, voxlingua.recognise, voxlingua.read),
    "voxceleb": Importer(voxceleb.LAYOUT, voxceleb.recognise, voxceleb.read),
    "nemo": Importer(nemo.LAYOUT, nemo.recognise, nemo.read),
    "kaldi": Importer(kaldi.LAYOUT, kaldi.recognise, kaldi.read),
    "folder": Importer(plain_folder.LAYOUT, plain_folder.recognise, plain_folder.read),
}


def recognise_layout(folder: Path) -> tuple[str, str]:
    """Which of `IMPORTERS` a folder is laid out for, and the evidence for that in words; only its top is looked at."""
    seen = glimpse(Path(folder))
    for name, importer in IMPORTERS.items():
        evidence = importer.recognise(seen)
        if evidence is not None:
            return name, evidence
    raise AssertionError("a plain folder fits anything")
