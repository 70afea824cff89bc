"""Groups of clips by attributes and acoustic measures, under names for people."""

import numpy as np

from pages.shared.caching import cached
from pages.shared.wording import value_words
from sae_core.analysis.fairness import crossed_groups
from sae_core.workspace.workspace import SaeView

Groups = dict[str, np.ndarray]


@cached(keep=16)
def groups_of(view: SaeView, by: tuple[str, ...]) -> Groups:
    """Groups of clips by their names for people; where two would be called the same, by their labels."""
    found = crossed_groups(view.workspace, by)
    words = {
        keys: ", ".join(value_words(name, key) for name, key in zip(by, keys, strict=True)) for keys in found
    }
    said = list(words.values())
    return {
        name if said.count(name := words[keys]) == 1 else ", ".join(keys): mask
        for keys, mask in found.items()
    }
