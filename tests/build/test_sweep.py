"""The sweep: what it trains and skips, what goes on when something fails, and its table against the SAEs themselves."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sae_core.build import steps
from sae_core.build.sweep import (
    SWEEP_MEASURES,
    SweepGrid,
    best_of_each,
    combine_seeds,
    probe_ceiling,
    run_sweep,
    tabulate_saes,
)
from sae_core.demo.planted import write_synthetic_workspace
from sae_core.files.artifacts import read_json
from sae_core.files.errors import ArtifactError
from sae_core.sae.training import TrainingConfig
from sae_core.workspace.workspace import Workspace

TINY = TrainingConfig(n_epochs=2, batch_size=64)
GRID = SweepGrid(("topk", "matryoshka"), (16, 32), (2, 4), (0,))


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    """A workspace with embeddings and no SAE; copied, never changed."""
    folder = tmp_path_factory.mktemp("sweep") / "untrained"
    write_synthetic_workspace(folder, n_clips=400, n_speakers=60, seed=3, with_audio=False)
    return folder


@pytest.fixture(scope="module")
def swept(untrained, tmp_path_factory):
    """The same after a sweep, with what the sweep returned."""
    folder = shutil.copytree(untrained, tmp_path_factory.mktemp("sweep") / "swept")
    return folder, run_sweep(folder, GRID, TINY)


def test_every_place_of_the_grid_is_trained_and_indexed(swept):
    folder, report = swept
    names = {f"synthetic-{config.name}" for config in GRID.configs(192)}
    assert len(names) == 8 and set(Workspace(folder).sae_names()) == names == set(report.table["sae"])
    assert report.failures.empty
    assert all((folder / "saes" / name / "index.json").exists() for name in names)
    assert read_json(folder / "workspace.json")["default_sae"] in names


def test_a_second_sweep_trains_only_what_is_new(swept, tmp_path, monkeypatch):
    folder = shutil.copytree(swept[0], tmp_path / "again")
    trained = []
    real = steps.train_in_workspace

    def note(workspace, config, *args, **kwargs):
        trained.append(config.name)
        return real(workspace, config, *args, **kwargs)

    monkeypatch.setattr("sae_core.build.sweep.train_in_workspace", note)
    report = run_sweep(folder, GRID, TINY)
    assert trained == [] and report.table.equals(swept[1].table)
    shutil.rmtree(folder / "saes" / "synthetic-topk-32-k4")
    run_sweep(folder, SweepGrid(("topk",), (32,), (2, 4), (0, 1)), TINY)
    assert sorted(trained) == ["topk-32-k2-s1", "topk-32-k4", "topk-32-k4-s1"]


def test_one_that_fails_is_listed_and_the_others_go_on(untrained, tmp_path, monkeypatch):
    folder = shutil.copytree(untrained, tmp_path / "failing")
    real = steps.train_in_workspace

    def fail(workspace, config, *args, **kwargs):
        if config.k == 2:
            raise ArtifactError("diverged", where="here", remedy="train slower")
        return real(workspace, config, *args, **kwargs)

    monkeypatch.setattr("sae_core.build.sweep.train_in_workspace", fail)
    report = run_sweep(folder, SweepGrid(("topk",), (16,), (2, 4)), TINY)
    assert report.failures["sae"].tolist() == ["synthetic-topk-16-k2"]
    assert "train slower" in report.failures["reason"].iloc[0]
    assert set(report.table["sae"]) == {"synthetic-topk-16-k4"}
    with pytest.raises(ArtifactError, match="no SAE of the grid"):
        run_sweep(folder, SweepGrid(("topk",), (16,), (2,)), TINY)


@pytest.mark.slow
def test_several_at_once_are_the_same_saes(untrained, swept, tmp_path):
    folder = shutil.copytree(untrained, tmp_path / "side")
    seen = []
    grid = SweepGrid(("topk", "matryoshka"), (16,), (2,))
    report = run_sweep(folder, grid, TINY, n_at_once=2, progress=lambda *told: seen.append(told))
    expected = swept[1].table
    expected = expected[expected["sae"].isin(report.table["sae"])].set_index(["sae", "attribute", "value"])
    found = report.table.set_index(["sae", "attribute", "value"]).loc[expected.index]
    np.testing.assert_allclose(found["f1"], expected["f1"], atol=1e-5)
    assert (2, 2, "synthetic-topk-16-k2") in seen or (2, 2, "synthetic-matryoshka-16-k2") in seen


def test_the_table_says_what_each_sae_says(swept):
    folder, report = swept
    workspace = Workspace(folder)
    for line in report.table.itertuples():
        view = workspace.sae(line.sae)
        row = view.statistics.value_row(line.attribute, line.value)
        assert line.latent == view.statistics.measures["selection_f1"][:, row].argmax()
        for measure in SWEEP_MEASURES:
            assert getattr(line, measure) == pytest.approx(
                view.statistics.measures[measure][line.latent, row]
            )
        held_out = view.metrics["held-out"]
        assert (line.explained_variance, line.dead_fraction) == (
            held_out["explained_variance"],
            held_out["dead_fraction"],
        )
        assert (line.variant, line.n_latents, line.k) == tuple(
            view.config[name] for name in ("variant", "n_latents", "k")
        )
        assert not (line.is_confirmed and line.evidence == "seen speakers")
    known = report.table.dropna(subset=["auroc_low"])
    assert len(known) > 0
    assert (known["auroc_low"] <= known["auroc"] + 1e-6).all() and (
        known["auroc"] <= known["auroc_high"] + 1e-6
    ).all()


def test_one_value_is_the_same_rows(swept):
    folder, report = swept
    value = report.table["value"].iloc[0]
    attribute = report.table["attribute"].iloc[0]
    chosen = tabulate_saes(Workspace(folder), attribute=attribute, value=value)
    table = report.table
    expected = table[(table["attribute"] == attribute) & (table["value"] == value)]
    assert chosen.sort_values("sae", ignore_index=True).equals(expected.sort_values("sae", ignore_index=True))


def test_stale_saes_are_left_out(swept, tmp_path):
    folder = shutil.copytree(swept[0], tmp_path / "stale")
    (folder / "saes" / "synthetic-topk-16-k2" / "index.json").unlink()
    assert "synthetic-topk-16-k2" not in set(tabulate_saes(Workspace(folder))["sae"])


def test_a_probe_is_kept_beside_the_embeddings(swept, untrained):
    folder, report = swept
    line = report.table.iloc[0]
    ceiling = probe_ceiling(Workspace(folder), line["embedder"], line["attribute"], line["value"])
    assert ceiling["f1_low"] <= ceiling["f1"] <= ceiling["f1_high"]
    assert probe_ceiling(Workspace(untrained), line["embedder"], line["attribute"], line["value"]) is None


def seeds_table():
    """Two seeds at one place of the grid, one at another."""
    places = [("topk", 16, 2, 0), ("topk", 16, 2, 1), ("matryoshka", 16, 2, 0)]
    table = pd.DataFrame(places, columns=["variant", "n_latents", "k", "seed"]).assign(prefixes="")
    table["sae"] = [
        f"{variant}-s{seed}" for variant, seed in zip(table["variant"], table["seed"], strict=True)
    ]
    table["latent"], table["attribute"], table["value"] = [3, 4, 5], "language", "es"
    table["f1"], table["f1_low"], table["f1_high"] = [0.4, 0.6, 0.9], [0.3, 0.5, 0.8], [0.5, 0.9, 1.0]
    table["selection_f1"] = [0.7, 0.5, 0.6]
    for name in ("explained_variance", "l0", "dead_fraction"):
        table[name] = [0.2, 0.4, 0.8]
    return table


def test_seeds_are_put_together():
    combined = combine_seeds(seeds_table(), "f1").set_index("variant")
    topk = combined.loc["topk"]
    assert topk["n_seeds"] == 2 and combined.loc["matryoshka", "n_seeds"] == 1
    assert topk[["value", "low", "high", "seed_low", "seed_high"]].tolist() == pytest.approx(
        [0.5, 0.4, 0.7, 0.4, 0.6]
    )
    assert topk["explained_variance"] == pytest.approx(0.3)
    assert (topk["sae"], topk["latent"]) == ("topk-s0", 3)
    with pytest.raises(ValueError, match="measure must be one of"):
        combine_seeds(seeds_table(), "lift")


def test_the_best_is_chosen_on_selection_clips_alone():
    best = best_of_each(seeds_table())
    assert best["sae"].tolist() == ["topk-s0"] and best["f1"].tolist() == [0.4]


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"variants": ("gated",)}, "variant must be one of"),
        ({"n_latents": (4,), "ks": (8,)}, "holds no SAE"),
        ({"seeds": ()}, "holds no SAE"),
    ],
)
def test_a_grid_that_cannot_be_is_refused(grid, message):
    with pytest.raises(ValueError, match=message):
        SweepGrid(**grid)


def test_a_place_named_twice_is_trained_once():
    assert len(SweepGrid(("topk", "topk"), (16, 16), (2,)).configs(8)) == 1
    with pytest.raises(ValueError, match="n_at_once"):
        run_sweep(Path(), GRID, TINY, n_at_once=0)


def test_sweep_and_lineage_from_the_command_line(swept, tmp_path, capsys):
    from sae_core.__main__ import main

    folder = shutil.copytree(swept[0], tmp_path / "cli")
    table = tmp_path / "out" / "table.csv"
    options = [
        "--variants",
        "topk,matryoshka",
        "--latents",
        "16,32",
        "--k",
        "2,4",
        "--epochs",
        "2",
        "--csv",
        str(table),
    ]
    assert main(["sweep", "--workspace", str(folder), *options, "--at-once", "1"]) == 0
    assert set(pd.read_csv(table)["sae"]) == set(swept[1].table["sae"])
    assert "best on the selection clips" in capsys.readouterr().out
    kin = tmp_path / "kin.csv"
    assert (
        main(
            [
                "lineage",
                "synthetic-topk-16-k2",
                "synthetic-topk-32-k4",
                "--workspace",
                str(folder),
                "--csv",
                str(kin),
            ]
        )
        == 0
    )
    assert "topk-16-k2:" in capsys.readouterr().out and "beyond_chance" in pd.read_csv(kin)
    assert main(["lineage", "synthetic-matryoshka-32-k4", "--workspace", str(folder)]) == 0
    assert "refine an earlier one" in capsys.readouterr().out
    assert main(["lineage", "synthetic-topk-16-k2", "--workspace", str(folder)]) == 2
    assert "no Matryoshka SAE" in capsys.readouterr().err
    assert main(["sweep", "--workspace", str(folder), "--variants", "gated"]) == 2
