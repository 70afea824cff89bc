"""Examinations: planted voices are found in their half of a sound, and every number against a plain computation."""

from collections import defaultdict

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

RATE_HZ = 16_000
HUMS_HZ = (200, 900)


@pytest.fixture(scope="module")
def view(small_workspace):
    from sae_core.workspace.workspace import open_workspace

    workspace = open_workspace(small_workspace)
    return workspace.sae(workspace.sae_names()[0])


@pytest.fixture(scope="module")
def voiced(voiced_workspace):
    from sae_core.workspace.workspace import open_workspace

    workspace = open_workspace(voiced_workspace)
    return workspace.sae(workspace.sae_names()[0])


@pytest.fixture(scope="module")
def examiner(voiced):
    from sae_core.analysis.probe import open_examiner

    return open_examiner(voiced)


class TwoHums:
    """An embedder that hears how much of each of two hums there is, and answers with the embeddings of two clips."""

    name, revision, dim, sample_rate_hz, min_duration_s = "synthetic", "planted", 192, RATE_HZ, 0.4

    def __init__(self, vectors):
        self.vectors = vectors
        self.n_calls = 0

    def embed(self, waveforms, lengths):
        self.n_calls += 1
        times_s = np.arange(waveforms.shape[1]) / RATE_HZ
        waves = np.exp(-2j * np.pi * np.outer(times_s, HUMS_HZ))
        loud = np.abs(waveforms.numpy() @ waves)
        mixed = (loud / np.maximum(loud.max(axis=1, keepdims=True), 1e-9)) @ self.vectors
        return torch.from_numpy((3.0 * mixed).astype(np.float32))


def hum(number, duration_s):
    times_s = np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
    return (0.3 * np.sin(2 * np.pi * HUMS_HZ[number] * times_s)).astype(np.float32)


def excerpt_of(samples):
    from sae_core.workspace.excerpts import Excerpt

    return Excerpt("planted", samples.astype(np.float32), RATE_HZ, 0.0, len(samples) / RATE_HZ, 1)


def two_unlike_clips(view):
    """The pair among the first clips that share fewest latents."""
    active = [set(view.codes.active(row)[0].tolist()) for row in range(40)]
    pairs = [(len(active[a] & active[b]), a, b) for a in range(40) for b in range(a)]
    _, first, second = min(pairs)
    assert active[first] - active[second] and active[second] - active[first]
    return first, second


def test_a_latent_fires_in_the_half_that_was_planted_with_it(view):
    from sae_core.analysis.probe import Examiner, examine_excerpt, time_latents

    rows = two_unlike_clips(view)
    embedder = TwoHums(np.asarray(view.embeddings.vectors[list(rows)]))
    examiner = Examiner(embedder)
    excerpt = excerpt_of(np.concatenate([hum(0, 4.0), hum(1, 4.0)]))
    found = examine_excerpt(view, examiner, excerpt)
    times = time_latents(view, examiner, excerpt, found)
    assert embedder.n_calls == 2, "one for the whole, one for all windows"
    halves = [times.ends_s <= 4.0, times.starts_s >= 4.0]
    assert all(half.sum() > 10 for half in halves)
    for half, row, other in zip(halves, rows, rows[::-1], strict=True):
        latents, activations = view.codes.active(row)
        alone = np.setdiff1d(latents, view.codes.active(other)[0])
        shown = [latent for latent in latents if latent in times.latents]
        assert set(alone) <= set(times.latents.tolist())
        for latent in shown:
            line = times.activations[times.latents.tolist().index(latent)]
            expected = float(activations[latents.tolist().index(latent)])
            np.testing.assert_allclose(line[half], expected, rtol=2e-3)
            if latent in alone:
                assert (line[halves[1] if row == rows[0] else halves[0]] == 0).all()


def test_windows_in_one_batch_are_the_windows_one_by_one(voiced, examiner, voiced_workspace):
    from sae_core.analysis.probe import examine_excerpt, time_latents
    from tests.voiced import clip_samples

    excerpt = excerpt_of(np.concatenate([clip_samples(voiced_workspace, row) for row in (0, 1, 7)]))
    found = examine_excerpt(voiced, examiner, excerpt)
    times = time_latents(voiced, examiner, excerpt, found)
    assert len(times.starts_s) == 30
    for place, (start_s, end_s) in enumerate(zip(times.starts_s, times.ends_s, strict=True)):
        piece = excerpt.waveform[round(start_s * RATE_HZ) : round(end_s * RATE_HZ)]
        vector = examiner.embed([piece])
        expected = voiced.model().encode(vector).dense()[0]
        np.testing.assert_allclose(times.activations[:, place], expected[times.latents], atol=2e-3)
    peaks = times.activations.max(axis=1)
    assert (peaks[~times.is_on_whole] > 0).all()
    assert times.latents[times.is_on_whole].tolist() == found.latents.tolist()


def test_silence_fires_nothing(voiced, examiner, voiced_workspace):
    from sae_core.analysis.probe import examine_excerpt, time_latents
    from tests.voiced import clip_samples

    samples = np.concatenate([clip_samples(voiced_workspace, 0), np.zeros(4 * RATE_HZ, np.float32)])
    excerpt = excerpt_of(samples)
    times = time_latents(voiced, examiner, excerpt, examine_excerpt(voiced, examiner, excerpt))
    np.testing.assert_array_equal(times.is_silent, times.starts_s >= 1.5)
    assert (times.activations[:, times.is_silent] == 0).all()
    assert (times.activations[:, ~times.is_silent].max(axis=0) > 0).all()


@given(n_samples=st.integers(4_000, 121 * RATE_HZ), rate_hz=st.sampled_from([8_000, 16_000, 22_050]))
def test_windows_cover_a_sound_evenly_and_are_bounded(n_samples, rate_hz):
    from sae_core.analysis.probe import MAX_WINDOWS, MIN_HOP_S, WINDOW_S, plan_windows

    starts, length = plan_windows(n_samples, rate_hz)
    assert 1 <= len(starts) <= MAX_WINDOWS
    assert length == min(n_samples, round(WINDOW_S * rate_hz))
    assert starts[0] >= 0 and starts[-1] + length <= n_samples
    if len(starts) > 1:
        hops = np.diff(starts)
        assert starts[0] == 0 and starts[-1] + length == n_samples
        assert hops.max() - hops.min() <= 1 and hops.min() >= MIN_HOP_S * rate_hz - 1
        assert hops.max() <= length, "no sample between two windows"
    else:
        assert n_samples - length < MIN_HOP_S * rate_hz


def test_a_clip_brought_again_is_the_clip(voiced, examiner):
    from sae_core.analysis.probe import examine, examine_excerpt, nearest_clips
    from sae_core.workspace.excerpts import clip_excerpt

    excerpt = clip_excerpt(voiced.workspace.corpus, 5, sample_rate_hz=RATE_HZ)
    brought = examine_excerpt(voiced, examiner, excerpt)
    stored = examine(voiced, np.array(voiced.embeddings.vectors[5]), row=5)
    np.testing.assert_allclose(brought.vector, stored.vector, atol=1e-5)
    assert brought.latents.tolist() == stored.latents.tolist()
    assert nearest_clips(voiced, brought, n=1)["row"].tolist() == [5]
    assert 5 not in nearest_clips(voiced, stored, n=71)["row"].tolist()


@pytest.mark.parametrize("row", [None, 11])
def test_how_unusual_is_counted_over_the_other_clips(view, row):
    from sae_core.analysis.probe import examine, how_unusual

    vector = np.array(view.embeddings.vectors[11]) if row is not None else mixed_vector(view)
    found = examine(view, vector, row=row)
    dense = view.codes.dense()
    others = np.array([clip != row for clip in range(len(dense))])
    facts = how_unusual(view, found)
    assert facts["latent"].tolist() == found.latents.tolist()
    for _, line in facts.iterrows():
        here, column = np.float32(line["activation"]), dense[others, int(line["latent"])]
        active = column[column > 0]
        assert line["n_active"] == len(active)
        assert line["share_weaker"] == pytest.approx((active < here).mean() if len(active) else 1.0)
        assert line["firing_rate"] == pytest.approx((column > 0).mean())
        assert line["share_as_strong"] == pytest.approx((column >= here).mean())
        assert line["is_above"] == (here > view.threshold_of(int(line["latent"])))


def mixed_vector(view):
    vector = np.asarray(view.embeddings.vectors[[3, 200]]).sum(axis=0)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def test_nearest_clips_and_voices_are_those_of_a_plain_search(view):
    from sae_core.analysis.probe import examine, nearest_clips, nearest_speakers

    row = 17
    found = examine(view, np.array(view.embeddings.vectors[row]), row=row)
    table, vectors = view.workspace.corpus.table, np.asarray(view.embeddings.vectors)
    cosines = {clip: float(vectors[clip] @ vectors[row]) for clip in range(len(vectors)) if clip != row}
    expected = sorted(cosines, key=lambda clip: -cosines[clip])[:9]
    near = nearest_clips(view, found, n=9)
    assert near["row"].tolist() == expected
    np.testing.assert_allclose(near["cosine"], [cosines[clip] for clip in expected], atol=1e-6)
    by_voice = defaultdict(list)
    for clip, cosine in cosines.items():
        by_voice[table["speaker_id"].iloc[clip]].append((cosine, clip))
    means = {voice: np.mean([cosine for cosine, _ in clips]) for voice, clips in by_voice.items()}
    voices = nearest_speakers(view, found, n=4)
    assert voices["speaker_id"].tolist() == sorted(means, key=lambda voice: -means[voice])[:4]
    for _, line in voices.iterrows():
        clips = by_voice[line["speaker_id"]]
        assert (line["n_clips"], line["row"]) == (len(clips), max(clips)[1])
        assert line["cosine"] == pytest.approx(means[line["speaker_id"]], abs=1e-6)


def test_a_place_on_the_map_is_the_weighted_mean_of_the_nearest_places(voiced):
    from dataclasses import replace

    from sae_core.analysis.probe import examine, place_on_map
    from sae_core.build.workspace_maps import open_map

    found_map = open_map(voiced, "clips")
    is_placed = found_map.is_placed.copy()
    is_placed[[2, 9]] = False
    found_map = replace(found_map, is_placed=is_placed)
    vectors = np.asarray(voiced.embeddings.vectors).astype(np.float64)
    vector = vectors[2] + 0.4 * vectors[50]
    found = examine(voiced, (vector / np.linalg.norm(vector)).astype(np.float32))
    position = place_on_map(voiced, found, found_map, n=5)
    cosines = vectors @ (vector / np.linalg.norm(vector))
    nearest = [row for row in sorted(range(72), key=lambda row: -cosines[row]) if row not in (2, 9)][:5]
    weights = [1 / (1 - cosines[row]) for row in nearest]
    expected = sum(w * found_map.xy[row] for w, row in zip(weights, nearest, strict=True)) / sum(weights)
    assert position.rows.tolist() == nearest
    np.testing.assert_allclose([position.x, position.y], expected, atol=1e-3)
    assert not position.is_own and position.spread > 0
    copy = place_on_map(voiced, examine(voiced, np.array(voiced.embeddings.vectors[30])), found_map)
    np.testing.assert_allclose([copy.x, copy.y], found_map.xy[30], atol=0.02)
    own = examine(voiced, np.array(voiced.embeddings.vectors[30]), row=30)
    placed = place_on_map(voiced, own, found_map)
    assert placed.is_own and 30 not in placed.rows
    assert (placed.x, placed.y) == tuple(float(part) for part in found_map.xy[30])
    unplaced = place_on_map(voiced, examine(voiced, np.array(voiced.embeddings.vectors[2]), row=2), found_map)
    assert not unplaced.is_own and not {2, 9} & set(unplaced.rows.tolist())


def test_a_vector_of_nothing_is_refused(view):
    from sae_core.analysis.probe import examine
    from sae_core.files.errors import AudioError

    with pytest.raises(AudioError, match="nothing that synthetic could describe"):
        examine(view, np.zeros(192, np.float32))


def test_an_embedder_that_is_not_here_says_what_to_do(view, voiced, monkeypatch):
    from sae_core.analysis.probe import open_examiner
    from sae_core.embedding import embedders
    from sae_core.files.errors import ArtifactError, StaleArtifactError

    with pytest.raises(ArtifactError, match="was embedded by 'synthetic', which is no embedder"):
        open_examiner(view)

    def no_weights(name, **_):
        raise ArtifactError("the model 'titanet_large' cannot be fetched", remedy="give --model PATH")

    monkeypatch.setattr(embedders, "open_embedder", no_weights)
    with pytest.raises(
        ArtifactError, match=r"cannot be opened on this machine: the model .* → .* --model PATH"
    ):
        open_examiner(voiced)
    other = TwoHums(None)
    monkeypatch.setattr(embedders, "open_embedder", lambda name, **_: other)
    with pytest.raises(StaleArtifactError, match="other weights of ge2e"):
        open_examiner(voiced)


def test_many_threads_get_what_one_gets(voiced, examiner, voiced_workspace):
    from concurrent.futures import ThreadPoolExecutor

    from tests.voiced import clip_samples

    sounds = [clip_samples(voiced_workspace, row) for row in range(8)]
    alone = [examiner.embed([sound])[0] for sound in sounds]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda sound: examiner.embed([sound])[0], sounds))
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_the_model_that_a_workspace_was_embedded_with_is_the_one_that_is_opened(voiced, monkeypatch):
    from sae_core.analysis.probe import open_examiner
    from sae_core.embedding import embedders
    from sae_core.files.errors import StaleArtifactError

    asked = []

    def remember(name, *, model, options, **_):
        asked.append((name, model, options["layer"]))
        return TwoHums(None)

    monkeypatch.setattr(embedders, "open_embedder", remember)
    earlier = {"embedder": "ge2e", "embedder_model": "/m.safetensors"}
    now = {"opened_with": {"ge2e": {"model": "/n", "layer": 3}, "whisper": {"layer": 2}}}
    for settings in (earlier, {"embedder": "other"}, {}, now):
        monkeypatch.setattr(voiced.workspace, "settings", settings)
        with pytest.raises(StaleArtifactError, match="--model NAME_OR_PATH"):
            open_examiner(voiced)
    assert asked == [
        ("ge2e", "/m.safetensors", None), ("ge2e", None, None), ("ge2e", None, None), ("ge2e", "/n", 3)
    ]  # fmt: skip
