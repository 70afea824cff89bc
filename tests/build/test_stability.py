"""Stability kept beside SAEs: made by a sweep over seeds, read again, gone when a seed is trained anew."""

import numpy as np
import pytest

from sae_core.build.stability import store_stability
from sae_core.build.sweep import SweepGrid, run_sweep
from sae_core.demo.planted import write_synthetic_workspace
from sae_core.measures.stability import match_directions
from sae_core.sae.training import TrainingConfig
from sae_core.workspace.workspace import Workspace

NAMES = ["synthetic-topk-16-k2", "synthetic-topk-16-k2-s1"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stability") / "w"
    write_synthetic_workspace(folder, n_clips=300, n_speakers=60, seed=3)
    training = TrainingConfig(n_epochs=6, batch_size=64)
    run_sweep(folder, SweepGrid(("topk",), (16,), (2,), (0, 1)), training)
    run_sweep(folder, SweepGrid(("topk",), (8,), (2,), (0,)), training)
    return folder


def test_each_seed_is_compared_with_the_other_and_one_alone_with_none(folder):
    workspace = Workspace(folder)
    one, other = (workspace.sae(name) for name in NAMES)
    found = one.stability()
    cosine, mcc = match_directions(one.directions(), other.directions())
    assert found.peers == (NAMES[1],) and found.pw_mcc == pytest.approx(mcc)
    np.testing.assert_allclose(found.table["cosine"], cosine, atol=1e-6)
    assert other.stability().pw_mcc == pytest.approx(mcc, abs=1e-6)
    assert workspace.sae("synthetic-topk-8-k2").stability() is None


def test_finished_work_is_kept_and_damage_is_no_answer(folder):
    file = folder / "saes" / NAMES[0] / "stability.parquet"
    before = file.stat().st_mtime_ns
    assert store_stability(folder) == NAMES
    assert file.stat().st_mtime_ns == before
    file.write_bytes(b"lost")
    assert Workspace(folder).sae(NAMES[0]).stability() is None
    store_stability(folder)
    assert Workspace(folder).sae(NAMES[0]).stability() is not None


def test_another_seed_makes_the_stability_old(folder):
    run = SweepGrid(("topk",), (16,), (2,), (2,))
    from sae_core.build.steps import index_workspace, train_in_workspace

    workspace = Workspace(folder)
    # stored in half the precision, it is another seed all the same
    training = TrainingConfig(n_epochs=6, batch_size=64, stored_as="float16")
    train_in_workspace(workspace, run.configs(192)[0], training)
    index_workspace(folder, names=["synthetic-topk-16-k2-s2"])
    assert Workspace(folder).sae(NAMES[0]).stability() is None
    store_stability(folder)
    assert Workspace(folder).sae(NAMES[0]).stability().table["n_seeds"].iloc[0] == 2
