"""What pages open on: a confirmed value where there is one, whatever the corpus speaks."""

import pandas as pd

from sae_core.analysis.first_value import _first_of, first_value
from sae_core.measures.attributes import SEEN_SPEAKERS, SOURCE_ATTRIBUTE, UNSEEN_SPEAKERS


def opens_on(lines):
    """The first value among (attribute, value, evidence, is_confirmed, speakers, clips)."""
    names = ["attribute", "value", "evidence", "is_confirmed", "n_reported_speakers", "n_reported_positive"]
    table = pd.DataFrame(lines, columns=names)
    return _first_of(table.assign(n_clips=table["n_reported_positive"]))


SPANISH = ("language", "es", UNSEEN_SPEAKERS, False, 9, 900)


def test_the_confirmed_value_with_most_speakers_comes_before_spanish():
    female, male = (
        ("gender", "female", UNSEEN_SPEAKERS, True, 5, 400),
        ("gender", "male", UNSEEN_SPEAKERS, True, 6, 90),
    )
    assert opens_on([SPANISH, female, male]) == ("gender", "male")
    assert opens_on([SPANISH, female, (*male[:3], False, 6, 90)]) == ("gender", "female")


def test_the_most_common_value_of_an_attribute_comes_after_its_others():
    english = ("language", "en", UNSEEN_SPEAKERS, True, 12, 950)
    assert opens_on([english, (*SPANISH[:3], True, 9, 900)]) == ("language", "es")
    assert opens_on([english, SPANISH]) == ("language", "en")


def test_what_speakers_are_comes_before_what_recordings_are():
    music = ("kind", "music", UNSEEN_SPEAKERS, True, 80, 900)
    assert opens_on([music, SPANISH]) == ("kind", "music")
    assert opens_on([music, (*SPANISH[:3], True, 2, 30)]) == ("language", "es")


def test_without_a_confirmed_value_the_best_tested_one_stands_in():
    seen = ("channel", "wideband", SEEN_SPEAKERS, False, 112, 1137)
    assert opens_on([seen, SPANISH]) == ("language", "es")
    assert opens_on([seen]) == ("channel", "wideband")


def test_on_a_workspace_it_is_confirmed_and_no_source(small_workspace):
    from sae_core.measures.naming import predominant_latents
    from sae_core.workspace.workspace import Workspace

    workspace = Workspace(small_workspace)
    view = workspace.sae(workspace.sae_names()[0])
    attribute, value = first_value(view)
    table = predominant_latents(view.statistics).set_index(["attribute", "value"])
    assert table.loc[(attribute, value), "is_confirmed"] == table["is_confirmed"].any()
    assert table.loc[(attribute, value), "evidence"] == UNSEEN_SPEAKERS
    assert attribute != SOURCE_ATTRIBUTE
