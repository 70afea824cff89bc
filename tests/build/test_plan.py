"""A whole build in this process: plans that survive JSON, every step once, and only what is left when run again."""

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

SMALL = {
    "embedder": "ge2e",
    "variants": ("topk", "matryoshka"),
    "n_latents": (8, 16),
    "ks": (4,),
    "n_epochs": 2,
    "n_at_once": 1,
}


@pytest.fixture(scope="module")
def voices(small_workspace, tmp_path_factory):
    """A folder of 48 recordings by 12 voices in two kinds of folder."""
    folder = tmp_path_factory.mktemp("voices")
    for number, file in enumerate(sorted(small_workspace.rglob("*.wav"))[:48]):
        place = folder / ("calls", "games")[number % 2] / f"voice{number % 12}"
        place.mkdir(parents=True, exist_ok=True)
        (place / file.name).write_bytes(file.read_bytes())
    (folder / "calls" / "voice0" / "broken.wav").write_text("no sound")
    return folder


@pytest.fixture(scope="module")
def built(voices, tmp_path_factory):
    """A finished build: its workspace, its plan, and the moments it reported."""
    from sae_core.build.plan import BuildPlan, build_workspace

    workspace, plan, moments = tmp_path_factory.mktemp("built") / "w", BuildPlan(str(voices), **SMALL), []
    build_workspace(plan, workspace, report=moments.append)
    return workspace, plan, moments


numbers = st.lists(st.integers(4, 5000), min_size=1, max_size=3).map(tuple)


@given(
    source=st.text(min_size=1).filter(lambda text: "\0" not in text),
    window_s=st.none() | st.floats(0.5, 60),
    channel=st.none() | st.integers(0, 7),
    n_latents=st.none() | numbers,
    ks=st.none() | st.just((1, 4)),
    seeds=st.none() | st.just((0, 3)),
    n_epochs=st.none() | st.integers(1, 99),
)
def test_a_plan_survives_json(**fields):
    from sae_core.build.plan import BuildPlan

    plan = BuildPlan(embedder="ge2e", **fields)
    assert BuildPlan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


@pytest.mark.parametrize(
    "wrong",
    [
        {"source": ""},
        {"source": "x", "embedder": "nobody"},
        {"source": "x", "window_s": 0.1},
        {"source": "x", "channel": -1},
        {"source": "x", "layout": "nothing like it"},
        {"source": "x", "variants": ["none"]},
        {"source": "x", "n_latents": [4], "ks": [8]},
        {"source": "x", "n_latents": [0]},
        {"source": "x", "ks": [2.5]},
        {"source": "x", "n_epochs": 0},
        {"source": "x", "n_at_once": "2"},
        {"source": 3},
        {"source": "x", "shell": "rm"},
        {},
    ],
)
def test_a_plan_that_cannot_be_is_refused(wrong):
    from sae_core.build.plan import BuildPlan
    from sae_core.files.errors import CorpusError

    with pytest.raises((ValueError, CorpusError)):
        BuildPlan.from_json(wrong)


@pytest.mark.parametrize("n_train", [1, 40, 300, 5_000, 10_000_000])
def test_the_suggested_grid_fits_a_corpus_of_any_size(n_train):
    from sae_core.build.plan import suggest_grid

    grid = suggest_grid(n_train)
    assert len(grid.configs(192)) == 8
    assert all(8 * config.k <= max(grid.n_latents) for config in grid.configs(192))
    assert suggest_grid(n_train, seeds=(0, 1), ks=(4,)).seeds == (0, 1)


@pytest.mark.parametrize("n_train", [1, 100, 452, 1_600, 1_792, 100_000])
def test_a_small_corpus_is_trained_on_for_enough_steps(n_train):
    from sae_core.build.plan import epochs_for
    from sae_core.sae.model import SaeConfig
    from sae_core.sae.training import TrainingConfig

    chosen = TrainingConfig(n_epochs=epochs_for(n_train)).for_corpus(
        n_train, SaeConfig(dim=8, n_latents=16, k=2)
    )
    assert 400 <= chosen.n_epochs * (n_train // chosen.batch_size) < 10_000


def test_an_embedder_that_is_not_installed_stops_a_build_before_anything_is_done(
    voices, tmp_path, monkeypatch
):
    from sae_core.build.plan import BuildPlan, build_workspace
    from sae_core.files.errors import MissingDependencyError

    monkeypatch.setitem(sys.modules, "nemo", None)
    with pytest.raises(MissingDependencyError, match=r"needs nemo.*pip install 'voxscope\[titanet\]'"):
        build_workspace(BuildPlan(str(voices), embedder="titanet"), tmp_path / "w")
    assert not (tmp_path / "w").exists()


def test_a_build_leaves_a_workspace_that_opens(built):
    from sae_core.build.plan import BUILD_STEPS
    from sae_core.build.workspace_maps import stored_maps
    from sae_core.workspace.workspace import Workspace

    path, _, moments = built
    workspace = Workspace(path)
    assert workspace.name == "w"
    assert len(workspace.corpus) == 48
    assert len(workspace.sae_names()) == 4
    assert stored_maps(workspace.sae(workspace.sae_names()[0])) == ["clips", "codes", "directions"]
    assert all(part.state == "ready" for part in workspace.parts())
    ended = {moment.step: moment.outcome for moment in moments if moment.outcome is not None}
    assert tuple(ended) == BUILD_STEPS
    assert "1 could not be imported" in ended["import"]
    assert [moment.step for moment in moments if not moment.n_total and moment.outcome is None] == list(
        BUILD_STEPS
    )
    assert all(0 <= moment.n_done <= moment.n_total for moment in moments)


def test_a_build_run_again_touches_nothing(built):
    from sae_core.build.plan import build_workspace

    path, plan, _ = built
    kept = {file: file.stat().st_mtime_ns for file in path.glob("*/*/*") if file.is_file()}
    kept[path / "clips.parquet"] = (path / "clips.parquet").stat().st_mtime_ns
    assert len(kept) > 40
    build_workspace(plan, path)
    assert {file: file.stat().st_mtime_ns for file in kept} == kept


def test_a_build_that_stopped_goes_on_where_it_was(voices, tmp_path):
    from sae_core.build.plan import BuildPlan, build_workspace

    plan = BuildPlan(str(voices), **SMALL)

    def stop_after_first_sae(moment):
        if moment.step == "sweep" and moment.note.startswith("ge2e-topk-16"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_workspace(plan, tmp_path / "w", report=stop_after_first_sae)
    finished = sorted((tmp_path / "w").glob("saes/*/meta.json"))
    assert 1 <= len(finished) < 4
    kept = {
        file: file.stat().st_mtime_ns for file in [*finished, *(tmp_path / "w").glob("embeddings/*/*.npy")]
    }
    heard = []

    def stop_before_index(moment):
        heard.append(moment)
        if moment.step == "index":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_workspace(plan, tmp_path / "w", report=stop_before_index)
    assert {file: file.stat().st_mtime_ns for file in kept} == kept
    assert len(list((tmp_path / "w").glob("saes/*/meta.json"))) == 4
    assert not [moment for moment in heard if moment.step in ("import", "embed") and moment.n_total]


def test_clips_of_another_workspace_are_taken_as_they_are(built, tmp_path):
    from sae_core.build.plan import BuildPlan, build_workspace
    from sae_core.corpus.clips import Corpus

    path, _, _ = built

    def stop_before_embed(moment):
        if moment.step == "embed":
            raise KeyboardInterrupt

    other = BuildPlan(str(path), embedder="ge2e", takes_clips=True)
    with pytest.raises(KeyboardInterrupt):
        build_workspace(other, tmp_path / "other", report=stop_before_embed)
    first, second = Corpus.load(path), Corpus.load(tmp_path / "other")
    assert first.table.equals(second.table)
    assert first.audio_file(3) == second.audio_file(3)


def test_other_clips_are_not_built_upon(built, small_workspace):
    from sae_core.build.plan import BuildPlan, build_workspace
    from sae_core.files.errors import CorpusError

    path, plan, _ = built
    before = (path / "clips.parquet").read_bytes()
    for other in (
        BuildPlan(str(small_workspace / "audio"), **SMALL),
        BuildPlan(plan.source, window_s=1.0, **SMALL),
    ):
        with pytest.raises(CorpusError, match="other settings.*choose another --workspace"):
            build_workspace(other, path)
    assert (path / "clips.parquet").read_bytes() == before
    build_workspace(BuildPlan(str(path), **SMALL), path)


def test_a_build_finds_groups_of_latents_of_every_sae_while_that_is_cheap(built, monkeypatch):
    from sae_core.build import plan as plans
    from sae_core.workspace.integrity import verify_workspace
    from sae_core.workspace.workspace import Workspace

    path, plan, _ = built
    names = Workspace(path).sae_names()
    assert all(Workspace(path).sae(name).groups() is not None for name in names)
    assert {part.name for part in verify_workspace(Workspace(path))} >= {
        f"saes/{name}/groups" for name in names
    }
    monkeypatch.setattr(plans, "GROUPS_AT_ONCE", 0)
    words = plans._trust(plan, path, lambda *_: None)
    # those of the others are there and are kept
    assert words == "groups of latents of 1 of 4 SAEs"


def test_lineage_is_stored_as_it_is_traced(built):
    from sae_core.analysis.movement import refine_sae, trace_saes
    from sae_core.files.artifacts import read_table
    from sae_core.workspace.workspace import Workspace

    path, _, _ = built
    workspace = Workspace(path)
    table = read_table(path / "lineage.parquet")
    expected = {
        ("ge2e-topk-8-k4", "ge2e-topk-16-k4"): trace_saes(
            workspace.sae("ge2e-topk-8-k4"), workspace.sae("ge2e-topk-16-k4")
        ).edges,
        ("ge2e-matryoshka-16-k4", "ge2e-matryoshka-16-k4"): refine_sae(
            workspace.sae("ge2e-matryoshka-16-k4")
        ),
    }
    for (before, after), edges in expected.items():
        stored = table[(table["before"] == before) & (table["after"] == after)]
        assert (
            stored[["predecessor", "successor"]].to_numpy().tolist()
            == edges[["predecessor", "successor"]].to_numpy().tolist()
        )
    pairs = set(map(tuple, table[["before", "after"]].to_numpy().tolist()))
    assert not [pair for pair in pairs if pair[0].split("-")[0] != pair[1].split("-")[0]]


def test_recordings_without_any_label_can_be_built(small_workspace, tmp_path):
    from sae_core.build.plan import BuildPlan, build_workspace
    from sae_core.build.sweep import best_of_each, tabulate_saes
    from sae_core.workspace.workspace import Workspace

    (tmp_path / "plain").mkdir()
    for file in sorted(small_workspace.rglob("*.wav"))[:12]:
        (tmp_path / "plain" / file.name).write_bytes(file.read_bytes())
    plan = BuildPlan(str(tmp_path / "plain"), **SMALL | {"n_latents": (8,)})
    outcomes = build_workspace(plan, tmp_path / "w")
    assert outcomes["sweep"] == "2 SAEs"
    table = tabulate_saes(Workspace(tmp_path / "w"))
    assert not len(table) and not len(best_of_each(table))
