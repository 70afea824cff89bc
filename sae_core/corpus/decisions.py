"""What people decided about a corpus after looking at it: clips to leave out, names of speakers that are one.

An import applies them, so that they hold for everything that is computed afterwards and can be taken back at any time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd


@dataclass(frozen=True)
class Decisions:
    """left_out: ids of clips that an import passes over. renamed: name of a speaker → the name it is counted under."""

    left_out: frozenset[str] = frozenset()
    renamed: Mapping[str, str] = field(default_factory=dict)

    def name_of(self, speaker: str) -> str:
        """The name that a speaker is counted under, through any chain of decisions; a circle ends where it closes."""
        seen = {speaker}
        while (further := self.renamed.get(speaker)) is not None and further not in seen:
            seen.add(further)
            speaker = further
        return speaker

    def rename(self, speakers: pd.Series) -> pd.Series:
        """The speakers of some rows under the names they are counted under; null stays null."""
        if not self.renamed:
            return speakers
        names = {name: self.name_of(name) for name in speakers.dropna().unique()}
        return speakers.map(names).astype(speakers.dtype)

    def is_kept(self, clip_ids: pd.Series) -> pd.Series:
        """Which clips an import keeps."""
        return ~clip_ids.isin(self.left_out)


NO_DECISIONS = Decisions()
