"""Resampling whole speakers: every clip of a voice goes with it, and many voices cost no more than some."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sae_core.measures import intervals


@given(st.lists(st.integers(0, 60), min_size=1, max_size=200), st.integers(1, 80))
def test_units_are_whole_speakers_of_about_one_size(groups, most):
    before, intervals.MAX_UNITS = intervals.MAX_UNITS, most
    try:
        n_units, unit = intervals.resampling_units(np.array(groups))
    finally:
        intervals.MAX_UNITS = before
    assert set(unit.tolist()) == set(range(n_units)) and n_units == min(len(set(groups)), most)
    assert len({(group, int(number)) for group, number in zip(groups, unit, strict=True)}) == len(set(groups))
    sizes = np.bincount([unit[groups.index(group)] for group in set(groups)])
    assert sizes.max() - sizes.min() <= 1


def test_units_of_many_speakers_leave_an_interval_as_wide_as_it_is(monkeypatch):
    rng = np.random.default_rng(5)
    speaker = np.repeat(np.arange(900), rng.integers(1, 30, 900))
    is_told = rng.random(len(speaker)) < rng.beta(2, 3, 900)[speaker]

    def share_bounds():
        counted = intervals.SpeakerCounts.over(speaker, np.ones(len(speaker), dtype=bool))
        counts = counted.count([np.flatnonzero(is_told), np.arange(len(speaker))]).T.toarray()
        draws = intervals.draw_speakers(counted.n_speakers, seed=0) @ counts
        return intervals.bounds((draws[:, 0] / draws[:, 1])[:, None])[0]

    exact = share_bounds()
    monkeypatch.setattr(intervals, "MAX_UNITS", 150)
    assert exact[1] - exact[0] > 0.02
    np.testing.assert_allclose(share_bounds(), exact, atol=0.005)
