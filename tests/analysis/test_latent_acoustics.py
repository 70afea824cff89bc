"""What latents have to do with how clips sound, against brute force and planted truth; and the line that says so."""

import os
import shutil

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from sae_core.analysis import latent_acoustics
from sae_core.analysis.hints import ACOUSTIC_MEASURES, NOT_MEASURED, NOTHING, SILENT, hint
from sae_core.analysis.latent_acoustics import MIN_SPEAKERS, ClipSample
from sae_core.corpus import acoustics
from sae_core.corpus.acoustics import ACOUSTIC_COLUMNS, Acoustics
from sae_core.files.artifacts import write_table
from sae_core.files.errors import ArtifactError, StaleArtifactError
from sae_core.workspace.workspace import Workspace
from tests.planting import plant_measures
from tests.sealing import reseal

PITCH, BANDWIDTH = ACOUSTIC_COLUMNS.index("f0_median_hz"), ACOUSTIC_COLUMNS.index("bandwidth_hz")


def sample(table, *, n_speakers=40, is_valid=None):
    """Clips of speakers in turn."""
    n = len(table)
    found = Acoustics(table, pd.DataFrame({"row": []}), "planted")
    return ClipSample.draw(
        found, np.arange(n) % n_speakers, np.ones(n, bool) if is_valid is None else is_valid
    )


@pytest.mark.parametrize("seed", range(5))
def test_correlations_are_spearmans_with_silent_clips_as_zeros_and_ties_shared(seed):
    rng = np.random.default_rng(seed)
    table, is_valid = plant_measures(300, seed=seed), rng.random(300) < 0.9
    activation = np.where(rng.random(300) < 0.3, np.round(rng.exponential(size=300), 1), 0.0)
    found = sample(table, is_valid=is_valid)
    rows = np.flatnonzero((activation > 0) & is_valid)
    got = found.correlations(found.place_of_row[rows], activation[rows])
    assert got["measure"].tolist() == list(ACOUSTIC_COLUMNS)
    for row in got.itertuples():
        known = table[row.measure].notna().to_numpy() & is_valid
        assert row.n_clips == known.sum()
        wanted = spearmanr(activation[known], table[row.measure][known].astype(float)).statistic
        assert row.correlation == pytest.approx(wanted, abs=1e-12)


def test_bounds_are_those_of_drawing_speakers_and_ranking_anew():
    """The fast bounds keep the ranks of the whole; ranking each draw anew moves them by little."""
    rng = np.random.default_rng(3)
    voice = np.arange(400) % 40
    pitch = 150 + 40 * rng.normal(size=40)[voice] + 10 * rng.normal(size=400)
    activation = np.maximum(0, (pitch - 170) / 20 + rng.normal(size=400))
    found = sample(plant_measures(400, f0_median_hz=pitch))
    rows = np.flatnonzero(activation)
    got = found.correlations(rows, activation[rows]).iloc[PITCH]
    drawn = []
    for _ in range(400):
        clips = np.concatenate([np.flatnonzero(voice == speaker) for speaker in rng.integers(0, 40, 40)])
        drawn.append(spearmanr(activation[clips], pitch[clips]).statistic)
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert (got["low"], got["high"]) == (pytest.approx(low, abs=0.03), pytest.approx(high, abs=0.03))
    assert got["low"] < got["correlation"] < got["high"]


def test_few_voices_give_a_correlation_but_no_interval():
    table = plant_measures(400)
    rows = np.flatnonzero(np.arange(400) % 40 < MIN_SPEAKERS - 1)
    got = sample(table).correlations(rows, np.ones(len(rows)))
    assert got["low"].isna().all() and got["high"].isna().all() and got["correlation"].notna().all()
    assert not len(sample(table).ranges(rows))


def test_measures_that_no_clip_has_or_that_never_vary_are_left_out():
    table = plant_measures(100, snr_db=np.full(100, 20.0), syllables_per_s=np.full(100, np.nan))
    got = sample(table).correlations(np.arange(0, 100, 3), np.ones(34))
    assert set(ACOUSTIC_COLUMNS) - set(got["measure"]) == {"snr_db", "syllables_per_s"}


def test_ranges_hold_nine_tenths_of_the_clips_and_say_how_many_others():
    rng = np.random.default_rng(1)
    is_detected = np.zeros(400, bool)
    is_detected[:200] = rng.random(200) < 0.5
    hz = np.where(is_detected, rng.uniform(2500, 3500, 400), rng.uniform(3000, 8000, 400))
    got = (
        sample(plant_measures(400, bandwidth_hz=hz)).ranges(np.flatnonzero(is_detected)).set_index("measure")
    )
    found = got.loc["bandwidth_hz"]
    assert found["is_below"] and found["limit"] == 3400
    assert found["share"] == pytest.approx(np.mean(hz[is_detected] < 3400))
    assert found["other_fraction"] == pytest.approx(np.mean(hz[~is_detected] < 3400))
    assert found["excess_low"] < found["share"] - found["other_fraction"] < found["excess_high"]
    assert found["share_low"] < found["share"]


def test_a_large_corpus_is_drawn_by_whole_speakers(monkeypatch):
    monkeypatch.setattr(latent_acoustics, "MAX_CLIPS", 105)
    found = sample(plant_measures(400), n_speakers=40)
    assert found.is_sample and len(found.speaker) == 100
    taken = np.flatnonzero(found.place_of_row >= 0) % 40
    assert len(np.unique(taken)) == 10
    assert np.array_equal(found.place_of_row, sample(plant_measures(400)).place_of_row)
    monkeypatch.setattr(latent_acoustics, "MAX_SPEAKERS", 4)
    assert len(sample(plant_measures(400)).speaker) == 40
    monkeypatch.setattr(latent_acoustics, "MAX_CLIPS", 10_000)
    assert len(sample(plant_measures(400)).speaker) == 40


@pytest.fixture
def planted(small_workspace, tmp_path):
    """A workspace, as links to the shared one, whose measures are still to be planted."""
    folder = tmp_path / "planted"
    shutil.copytree(small_workspace, folder, copy_function=os.link)
    return folder


def plant(folder, **columns):
    """Save measures and return the SAE's view of the workspace."""
    workspace = Workspace(folder)
    table = plant_measures(len(workspace.corpus), **columns)
    acoustics._save(folder, workspace.corpus, table, {})
    return workspace.sae(workspace.sae_names()[0])


def a_latent(view, *, is_named):
    """A latent of many voices, with or without a value."""
    facts = view.latents
    fits = facts["warning"].isna() & (facts["is_named"] == is_named) & (facts["n_speakers"] >= 20)
    return int(facts.loc[fits, "n_active"].idxmax())


def test_a_planted_bandwidth_is_said_with_the_value_that_holds(planted):
    view = plant(planted)
    latent = a_latent(view, is_named=True)
    told = view.index.rows_active(latent, view.threshold_of(latent))
    hz = np.random.default_rng(0).uniform(5000, 7000, len(view.workspace.corpus))
    hz[told] = 3310.0
    view = plant(planted, bandwidth_hz=hz)
    facts = view.latents.iloc[latent]
    line = hint(view, latent)
    assert line.startswith("is active on ") and facts["best_value"] in line
    assert f"(F1 {facts['best_f1']:.2f})" in line and line.endswith(" below 3.4 kHz bandwidth")
    assert hint(view, latent, say=lambda attribute, value: f"<{attribute} {value}>").startswith(
        "is active on <"
    )
    assert line == hint(Workspace(planted).sae(view.name), latent)


def test_what_does_not_differ_is_not_said(planted):
    """Measures that have nothing to do with any latent: no range is said of a single one."""
    view = plant(planted)
    lines = [hint(view, latent) for latent in range(view.n_latents)]
    assert not any("below" in line or "above" in line for line in lines)
    assert lines[a_latent(view, is_named=False)] == NOTHING


def test_a_difference_that_hangs_on_few_voices_is_not_said(planted):
    view = plant(planted)
    latent = a_latent(view, is_named=False)
    rows = view.index.rows_active(latent)
    speakers = view.workspace.corpus.speaker_groups
    hz = np.full(len(speakers), 6000.0)
    some = np.unique(speakers[rows])
    hz[np.isin(speakers, some[: len(some) // 2])] = 3000.0
    assert hint(plant(planted, bandwidth_hz=hz), latent) == NOTHING


def test_of_one_voice_only_the_warning_is_said(planted):
    view = plant(planted)
    latent = a_latent(view, is_named=False)
    hz = np.full(len(view.workspace.corpus), 6000.0)
    hz[view.index.rows_active(latent)] = 3000.0
    view = plant(planted, bandwidth_hz=hz)
    assert hint(view, latent) == "is active on clips below 3.1 kHz bandwidth"
    view.latents = view.latents.assign(warning="mostly one speaker: s1")
    assert hint(view, latent) == "mostly one speaker: s1"
    view.latents = view.latents.assign(n_active=0)
    assert hint(view, latent) == SILENT


def test_unmeasured_and_stale_clips_are_told_apart(planted):
    view = Workspace(planted).sae(Workspace(planted).sae_names()[0])
    latent = a_latent(view, is_named=False)
    assert hint(view, latent) == NOT_MEASURED
    with pytest.raises(ArtifactError, match="measure --workspace"):
        latent_acoustics.relate_to_sound(view, latent)
    view = plant(planted)
    assert hint(view, latent) == NOTHING
    acoustics._save(planted, view.workspace.corpus, plant_measures(len(view.workspace.corpus)), {})
    write_table(planted / "acoustics.parquet", plant_measures(len(view.workspace.corpus) - 1))
    reseal(planted / "acoustics.json")
    with pytest.raises(StaleArtifactError):
        acoustics.load_acoustics(planted, view.workspace.corpus)


def test_every_measure_has_words_and_a_grain():
    assert set(ACOUSTIC_MEASURES) == set(ACOUSTIC_COLUMNS) == set(latent_acoustics.GRAINS)
    assert ACOUSTIC_MEASURES["bandwidth_hz"].say(3400.0) == "3.4 kHz"
    assert ACOUSTIC_MEASURES["loudness_lufs"].say(-23.0) == "−23.0 LUFS"
