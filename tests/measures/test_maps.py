"""Maps of points: laid out so that alike lies together, the same for the same seed, stored whole, never mixed up."""

import numpy as np
import pytest

from sae_core.files.artifacts import write_array
from sae_core.files.errors import ArtifactError, StaleArtifactError
from sae_core.measures.maps import MapSettings, PointMap, lay_out, read_map_meta
from sae_core.sae.codes import SparseCodes

PARENTS = {"embeddings": "abc"}
N_GROUPS, N_EACH = 4, 40


@pytest.fixture(scope="module")
def grouped():
    """Points round four far directions, the group of each, and two rows that have no place."""
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(N_GROUPS), N_EACH)
    points = np.eye(16)[group] + 0.15 * rng.normal(size=(len(group), 16))
    is_placed = np.ones(len(group), dtype=bool)
    is_placed[[3, 90]] = False
    return points.astype(np.float32), group, is_placed


@pytest.fixture(scope="module")
def laid_out(grouped):
    points, _, is_placed = grouped
    return lay_out(points, is_placed, MapSettings(seed=3))


def share_with_own_kind(found, group):
    """Of the points, the share whose nearest point on the map is of the same group."""
    places, kinds = found.places, group[found.rows]
    far = ((places[:, None] - places[None]) ** 2).sum(axis=2)
    np.fill_diagonal(far, np.inf)
    return (kinds[far.argmin(axis=1)] == kinds).mean()


@pytest.mark.slow
def test_alike_lies_together(laid_out, grouped):
    assert share_with_own_kind(laid_out, grouped[1]) > 0.97
    assert np.abs(laid_out.xy).max() == pytest.approx(1, abs=1e-6)
    assert laid_out.settings["umap"]
    assert laid_out.settings["seed"] == 3


@pytest.mark.slow
def test_points_without_a_place_lie_at_zero_and_leave_the_others_alone(laid_out, grouped):
    points, _, is_placed = grouped
    np.testing.assert_array_equal(laid_out.is_placed, is_placed)
    np.testing.assert_array_equal(laid_out.xy[~is_placed], 0)
    without = lay_out(points[is_placed], np.ones(is_placed.sum(), dtype=bool), MapSettings(seed=3))
    np.testing.assert_array_equal(without.xy, laid_out.xy[is_placed])


@pytest.mark.slow
def test_the_seed_decides(laid_out, grouped):
    points, _, is_placed = grouped
    other = lay_out(points, is_placed, MapSettings(seed=4))
    assert np.abs(other.xy - laid_out.xy).max() > 0.05


@pytest.mark.slow
def test_sparse_codes_are_laid_out_without_their_unused_slots(grouped):
    _, group, is_placed = grouped
    rng = np.random.default_rng(1)
    latents = np.stack([group, N_GROUPS + rng.integers(0, 30, len(group)), np.zeros(len(group))], axis=1)
    activations = np.stack(
        [np.full(len(group), 2.0), rng.random(len(group)) / 2, np.zeros(len(group))], axis=1
    )
    codes = SparseCodes(latents.astype(np.int32), activations.astype(np.float32), 40)
    found = lay_out(codes, is_placed, MapSettings())
    assert share_with_own_kind(found, group) > 0.97


@pytest.mark.slow
def test_at_most_so_many_points_are_placed(grouped):
    points, _, is_placed = grouped
    found = lay_out(points, is_placed, MapSettings(max_points=20))
    assert found.is_placed.sum() == 20
    assert not (found.is_placed & ~is_placed).any()


def test_too_few_points_are_refused(grouped):
    points, _, _ = grouped
    only_three = np.arange(len(points)) < 3
    with pytest.raises(ValueError, match="at least 4 points, not 3"):
        lay_out(points, only_three, MapSettings())


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"n_neighbors": 1}, "n_neighbors must be at least 2"),
        ({"min_dist": 1.5}, "min_dist must lie between 0 and 1"),
        ({"max_points": 2}, "max_points must be at least 4"),
    ],
)
def test_settings_are_checked(wrong, words):
    with pytest.raises(ValueError, match=words):
        MapSettings(**wrong)


@pytest.fixture
def plain():
    rng = np.random.default_rng(5)
    is_placed = rng.random(500) < 0.8
    xy = np.where(is_placed[:, None], rng.uniform(-1, 1, (500, 2)), 0).astype(np.float32)
    return PointMap(xy, is_placed, {"seed": 5})


def test_rows_are_the_placed_ones_in_a_fixed_fair_order(plain):
    np.testing.assert_array_equal(np.sort(plain.rows), np.flatnonzero(plain.is_placed))
    np.testing.assert_array_equal(PointMap(plain.xy, plain.is_placed, {}).rows, plain.rows)
    half = plain.rows[: len(plain.rows) // 2]
    assert abs((half < 250).mean() - 0.5) < 0.1


def test_a_point_is_found_by_its_row(plain):
    row = int(plain.rows[17])
    assert plain.point_of(row) == 17
    assert plain.point_of(int(np.flatnonzero(~plain.is_placed)[0])) is None


def test_packed_places_are_within_half_a_step(plain):
    unpacked = np.frombuffer(plain.packed(), dtype="<u2").reshape(-1, 2) / 65535 * 2 - 1
    assert len(plain.packed()) == 4 * len(plain.rows)
    np.testing.assert_allclose(unpacked, plain.xy[plain.rows], atol=1.0001 / 65535)


def test_a_stored_map_comes_back_equal(plain, tmp_path):
    plain.save(tmp_path, "clips", parents=PARENTS)
    found = PointMap.load(tmp_path, "clips", parents=PARENTS, remedy="run map")
    np.testing.assert_array_equal(found.xy, plain.xy)
    np.testing.assert_array_equal(found.rows, plain.rows)
    assert found.settings == plain.settings


def test_a_map_of_other_data_is_stale(plain, tmp_path):
    plain.save(tmp_path, "clips", parents=PARENTS)
    with pytest.raises(StaleArtifactError, match=r"earlier embeddings.*run: map"):
        PointMap.load(tmp_path, "clips", parents={"embeddings": "new"}, remedy="run: map")


def test_a_missing_or_half_written_map_names_the_file(plain, tmp_path):
    with pytest.raises(ArtifactError, match=r"map_clips\.json"):
        PointMap.load(tmp_path, "clips", parents=PARENTS, remedy="run: map")
    plain.save(tmp_path, "clips", parents=PARENTS)
    (tmp_path / "map_clips_placed.npy").unlink()
    with pytest.raises(ArtifactError, match=r"map_clips_placed\.npy.*run: map"):
        PointMap.load(tmp_path, "clips", parents=PARENTS, remedy="run: map")


@pytest.mark.parametrize(
    "damaged",
    [
        np.zeros((499, 2), np.float32),
        np.zeros((500, 3), np.float32),
        np.zeros((500, 2), np.float64),
        np.full((500, 2), np.nan, np.float32),
    ],
)
def test_a_damaged_map_is_refused(plain, tmp_path, damaged):
    plain.save(tmp_path, "clips", parents=PARENTS)
    write_array(tmp_path / "map_clips.npy", damaged)
    meta = read_map_meta(tmp_path, "clips", parents=PARENTS, remedy="")
    meta.write(tmp_path / "map_clips.json", files=tuple(meta.files))
    with pytest.raises(ArtifactError, match="does not fit"):
        PointMap.load(tmp_path, "clips", parents=PARENTS, remedy="run: map")
