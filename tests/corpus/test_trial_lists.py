"""Lists of trials that came with a corpus: kept, counted, replaced, and asked of embedded clips."""

import pandas as pd
import pytest

from sae_core.corpus.trial_lists import TrialList, keep_trial_lists, kept_trial_lists, read_kept_trials
from sae_core.files.errors import ArtifactError, CorpusError


def trials(*rows):
    return pd.DataFrame(rows, columns=["is_target", "enrol", "test"])


def test_lists_are_kept_counted_and_replaced(tmp_path):
    assert kept_trial_lists(tmp_path) == ()
    keep_trial_lists(tmp_path, {})
    assert not (tmp_path / "trials").exists()
    one = trials((True, "a", "b"), (False, "a", None), (False, "b", "c"))
    empty = trials((True, None, "b"))
    keep_trial_lists(tmp_path, {"one.txt": one, "empty.txt": empty})
    assert kept_trial_lists(tmp_path) == (TrialList("one.txt", 3, 2),)
    kept = read_kept_trials(tmp_path, "one.txt")
    assert list(kept.itertuples(index=False, name=None)) == [(True, "a", "b"), (False, "b", "c")]
    keep_trial_lists(tmp_path, {"two.txt": one})
    assert [found.name for found in kept_trial_lists(tmp_path)] == ["two.txt"]
    assert len(list((tmp_path / "trials").glob("*.parquet"))) == 1
    with pytest.raises(CorpusError, match=r"no list of trials 'one\.txt' \(it has two\.txt\)"):
        read_kept_trials(tmp_path, "one.txt")


@pytest.mark.parametrize(
    "index",
    [
        '{"x": {"n_listed": 1, "n_kept": 1, "file": "../../clips.parquet"}}',
        '{"x": 3}',
        '{"x": {"file": "y"}}',
        "[1]",
        "{",
    ],
)
def test_a_damaged_index_is_told_and_leads_nowhere(tmp_path, index):
    keep_trial_lists(tmp_path, {"x": trials((True, "a", "b"))})
    (tmp_path / "trials" / "lists.json").write_text(index)
    with pytest.raises(ArtifactError, match=r"lists\.json"):
        read_kept_trials(tmp_path, "x")


def test_a_list_is_asked_of_embedded_clips_and_a_long_one_in_part(own_workspace, monkeypatch):
    from sae_core.analysis import trial_sets
    from sae_core.analysis.trial_sets import draw_trials, open_trial_list
    from sae_core.workspace.workspace import open_workspace

    workspace = open_workspace(own_workspace)
    view = workspace.sae(workspace.sae_names()[0])
    drawn = draw_trials(view, n_trials=400)
    ids, pairs = workspace.corpus.table["clip_id"], drawn.clip_trials
    sides = {"enrol": ids.iloc[pairs.enrol_rows].to_numpy(), "test": ids.iloc[pairs.test_rows].to_numpy()}
    table = pd.DataFrame({"is_target": pairs.is_target, **sides})
    gone = trials((True, "a clip of long ago", ids.iloc[0]))
    keep_trial_lists(own_workspace, {"veri_test.txt": pd.concat([table, gone])})
    asked = open_trial_list(view, "veri_test.txt")
    assert asked.verified.eer == drawn.verified.eer
    assert asked.published_list == TrialList("veri_test.txt", len(table) + 1, len(table) + 1)
    assert asked.is_listed and asked.n_not_drawn == 0
    monkeypatch.setattr(trial_sets, "MAX_LISTED_TRIALS", 100)
    part = open_trial_list(view, "veri_test.txt")
    assert len(part.trials) == 100 and part.n_not_drawn == len(table) - 100
    of_whole = set(zip(asked.clip_trials.enrol_rows, asked.clip_trials.test_rows, strict=True))
    assert set(zip(part.clip_trials.enrol_rows, part.clip_trials.test_rows, strict=True)) < of_whole
    with pytest.raises(CorpusError, match="no list of trials"):
        open_trial_list(view, "list_test_all.txt")
