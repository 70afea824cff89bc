"""The library that users import: its list of names is closed, documented, and does what a notebook expects."""

import ast
import inspect
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.test_house import CORE, REPOSITORY, _rooms

REFERENCE = REPOSITORY / "docs" / "reference" / "library.md"


def _names_for_type_checkers() -> set[str]:
    tree = ast.parse((CORE / "__init__.py").read_text("utf-8"))
    checked = next(node for node in tree.body if isinstance(node, ast.If))
    return {alias.name for node in checked.body for alias in node.names}


def _functions_of_the_api() -> set[str]:
    tree = ast.parse((CORE / "api.py").read_text("utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name[0] != "_"}


def test_the_list_of_names_is_closed():
    import sae_core

    names = set(sae_core.__all__)
    assert len(names) == len(sae_core.__all__)
    assert names == _names_for_type_checkers()
    assert {name for name in names if name.islower()} == _functions_of_the_api()
    assert set(sae_core._HOMES) == {name for name in names if not name.islower()}
    assert not names & set(_rooms(CORE)), "a room of that name would take its place once it is imported"
    assert names <= set(dir(sae_core))
    with pytest.raises(AttributeError, match="no attribute 'neural'"):
        _ = sae_core.neural


def test_every_name_can_be_had_and_says_what_it_is():
    import sae_core

    for name in sae_core.__all__:
        found = getattr(sae_core, name)
        said = found.__doc__ or ""
        assert len(said) > 30, name
        assert not said.startswith(f"{name}("), f"{name} has only the docstring that dataclasses make up"
        assert found.__name__ == name


def test_every_parameter_that_is_not_plain_is_explained():
    from sae_core import api

    plain = {"workspace", "view", "sae", "latent", "n", "progress", "path", "name", "clip", "before", "after"}
    plain |= {"attribute", "value", "codes", "kind", "first", "second", "sample_rate_hz"}
    for name in _functions_of_the_api():
        function = getattr(api, name)
        for parameter in set(inspect.signature(function).parameters) - plain:
            assert re.search(rf"\b{parameter}\b", function.__doc__), f"{name}: {parameter}"


def test_every_name_is_in_the_reference():
    import sae_core

    shown = re.findall(r"^::: sae_core\.(?:[\w.]+\.)?(\w+)$", REFERENCE.read_text("utf-8"), re.MULTILINE)
    assert sorted(shown) == sorted(sae_core.__all__)


@pytest.fixture(scope="module")
def view(small_workspace: Path):
    import sae_core

    return sae_core.open_sae(small_workspace, "synthetic-topk-64-k8-s1")


def test_encoding_gives_the_codes_that_are_stored(view):
    import sae_core

    vectors = np.array(view.embeddings.vectors)
    for given in (view.embeddings, vectors, 3.5 * vectors.astype(np.float64)):
        codes = sae_core.encode(view, given)
        np.testing.assert_allclose(codes.activations, view.codes.activations, atol=1e-4)
    nothing = sae_core.encode(view.model(), np.zeros((2, vectors.shape[1])))
    assert not nothing.activations.any()


def test_decoding_is_the_same_with_the_model_and_without(view):
    import sae_core

    codes = view.codes.take(np.arange(20))
    np.testing.assert_allclose(
        sae_core.decode(view, codes), sae_core.decode(view.model(), codes), rtol=1e-4, atol=1e-5
    )


def test_the_clips_of_a_latent_are_its_strongest(view):
    import sae_core

    latent = int(np.argmax(view.index.n_active()))
    found = sae_core.clips_of(view, latent, n=5)
    assert len(found) == 5
    dense = view.codes.dense()[:, latent]
    np.testing.assert_allclose(found["activation"], np.sort(dense)[::-1][:5])
    np.testing.assert_allclose(dense[found["row"]], found["activation"])
    assert found["clip_id"].tolist() == sae_core.clips(view.workspace)["clip_id"][found["row"]].tolist()
    heard = sae_core.listening_examples(view, latent, n=3)
    assert (dense[heard["row"]][heard["group"] == "hard_negatives"] == 0).all()
    assert set(heard["group"]) <= {"strongest", "middle", "near_threshold", "hard_negatives"}
    assert heard["activation"].tolist() == pytest.approx(dense[heard["row"]].tolist())


def test_tables_have_the_columns_that_are_promised(view):
    import sae_core

    ours = set(sae_core.latents(view).columns)
    for prefix in re.findall(r"`(\w+_)`", sae_core.latents.__doc__):
        assert {f"{prefix}value", f"{prefix}f1", f"{prefix}f1_low", f"{prefix}f1_high"} <= ours
    promised = {"attribute", "value", "latent", "threshold", "precision", "recall", "f1", "f1_low", "f1_high"}
    assert promised | {"evidence", "is_confirmed"} <= set(sae_core.predominant_latents(view).columns)
    assert "is_named" in ours


def test_tables_handed_out_are_copies(view):
    import sae_core

    def clips(view):
        return sae_core.clips(view.workspace)

    for ask in (sae_core.latents, sae_core.predominant_latents, clips):
        handed_out = ask(view)
        handed_out["latent"] = -1
        del handed_out[handed_out.columns[1]]
        assert not (ask(view).get("latent", pd.Series([0])) == -1).all()
        assert len(ask(view).columns) >= len(handed_out.columns)


def test_steering_adds_decoder_directions(view):
    """Against the plain way: the codes changed, decoded, and what the SAE leaves out added back."""
    import sae_core

    latent = int(np.argmax(view.index.n_active()))
    vectors = np.array(view.embeddings.vectors)
    codes = view.codes
    doubled = sae_core.SparseCodes(
        np.array(codes.latents),
        np.where(codes.latents == latent, 2 * codes.activations, codes.activations),
        codes.n_latents,
    )
    plain = vectors - sae_core.decode(view, codes) + sae_core.decode(view, doubled)
    plain /= np.linalg.norm(plain, axis=1, keepdims=True)
    np.testing.assert_allclose(sae_core.steer(view, {latent: 2}), plain, atol=1e-5)
    np.testing.assert_allclose(sae_core.steer(view, {latent: 2}, clips=[7, 3]), plain[[7, 3]], atol=1e-5)
    np.testing.assert_allclose(sae_core.steer(view, {latent: 1}), vectors, atol=1e-6)
    changed = sae_core.steer(view, [sae_core.Change(latent, "scale", 2.0)])
    np.testing.assert_allclose(changed, plain, atol=1e-5)
    rebuilt = sae_core.steer(view, {latent: 1}, keep_error=False)
    decoded = sae_core.decode(view, codes)
    np.testing.assert_allclose(rebuilt, decoded / np.linalg.norm(decoded, axis=1, keepdims=True), atol=1e-5)


def test_verification_and_steering_agree_on_the_same_trials(view):
    import sae_core

    latent = int(np.argmax(view.index.n_active()))
    compared = sae_core.verify(view, {latent: 0})
    assert set(compared.results) == {"embedding", "reconstruction", "sparse codes", "steered"}
    outcome = sae_core.measure_steering(view, {latent: 0})
    assert outcome.before.eer == pytest.approx(compared.results["embedding"].eer)
    assert outcome.after.eer == pytest.approx(compared.results["steered"].eer)
    assert set(sae_core.verify(view).results) == {"embedding", "reconstruction", "sparse codes"}


def test_verification_takes_a_list_of_trials(view, tmp_path: Path):
    import sae_core

    corpus = view.workspace.corpus
    groups, names = corpus.speaker_groups, corpus.table["clip_id"]
    rows = [(0, row) for row in range(1, 200)]
    text = "".join(f"{int(groups[a] == groups[b])} {names[a]} {names[b]}\n" for a, b in rows)
    (tmp_path / "trials.txt").write_text(text)
    found = sae_core.verify(view, trials=tmp_path / "trials.txt").results["embedding"]
    assert (found.n_targets, found.n_nontargets) == (
        sum(groups[a] == groups[b] for a, b in rows),
        sum(groups[a] != groups[b] for a, b in rows),
    )
    with pytest.raises(ValueError, match="either among or trials"):
        sae_core.verify(view, trials="list", among=("language", "es"))


def test_a_match_is_split_exactly_and_clips_go_by_row_or_by_id(view):
    import sae_core

    names = view.workspace.corpus.table["clip_id"]
    by_row, by_id = sae_core.explain_match(view, 4, 9), sae_core.explain_match(view, names[4], names[9])
    vectors = view.embeddings.vectors
    assert by_row.parts.sum() == pytest.approx(float(vectors[4] @ vectors[9]), abs=1e-6)
    assert by_id.score == by_row.score
    with pytest.raises(ValueError, match="no clip with the clip_id"):
        sae_core.explain_match(view, "nobody", 1)
    with pytest.raises(ValueError, match="from 0 to 599"):
        sae_core.explain_match(view, 0, 600)


def test_two_saes_side_by_side(small_workspace: Path, view):
    import sae_core

    other = sae_core.open_sae(small_workspace, "synthetic-matryoshka-64-k8-s1")
    attribute, value = sae_core.predominant_latents(view).iloc[0][["attribute", "value"]]
    moved = sae_core.follow_clips(view, other, attribute, value)
    n_flowing = moved.flows()["n"].sum()
    assert n_flowing == len(moved.rows) > 0
    traced = sae_core.trace_latents(view, other)
    assert len(traced.predecessors) == len(traced.successors) == 64


def test_what_is_wrong_is_said_before_anything_is_computed(view):
    import sae_core

    with pytest.raises(ValueError, match="latents 0 to 63, not 64"):
        sae_core.steer(view, {64: 0})
    with pytest.raises(ValueError, match="no latent is changed"):
        sae_core.measure_steering(view, {})
    with pytest.raises(ValueError, match="row numbers from 0 to 599"):
        sae_core.steer(view, {0: 0}, clips=[600])
    with pytest.raises(sae_core.ArtifactError, match="no SAE named"):
        sae_core.open_sae(view.workspace, "synthetic-topk-1-k1")
    with pytest.raises(sae_core.CorpusError, match="is not a folder"):
        sae_core.open_workspace("/nowhere/at/all")


def test_a_folder_becomes_a_workspace_that_a_recording_is_held_against(
    voiced_workspace: Path, tmp_path: Path
):
    """The whole chain on hums of twelve speakers, labelled by a table in memory."""
    import sae_core

    known = sae_core.clips(voiced_workspace)
    table = known[["audio_path", "speaker_id", "language"]]
    recordings, workspace = sae_core.open_workspace(voiced_workspace).corpus.audio_root, tmp_path / "made"
    report = sae_core.import_corpus(recordings, workspace, labels=table, progress=False)
    assert report.evidence == "the table says what is where"
    assert report.corpus.table["speaker_id"].tolist() == table["speaker_id"].tolist()
    assert len(sae_core.measure_acoustics(workspace, n_processes=1, progress=False).table) == len(table)
    embeddings = sae_core.embed(workspace, "ge2e", progress=False)
    assert embeddings.vectors.shape == (len(table), 256)
    trained = sae_core.train(workspace, n_latents=16, k=4, variant="topk", n_epochs=20, progress=False)
    assert trained.config.name == "topk-16-k4"
    found = sae_core.index(workspace, trained, progress=False)
    assert (found.name, found.n_latents) == ("ge2e-topk-16-k4", 16)
    grown = sae_core.sweep(
        workspace, n_latents=[16], ks=[2, 4], variants=["topk"], n_epochs=20, progress=False
    )
    assert set(grown.table["sae"]) == {"ge2e-topk-16-k2", "ge2e-topk-16-k4"}

    clip = recordings / table["audio_path"][5]
    probed = sae_core.probe(found, clip)
    assert int(np.argmax(probed.cosines)) == 5
    samples = sae_core.waveform(workspace, 5)
    assert len(samples) == round(16_000 * sae_core.clips(workspace)["duration_s"][5])
    with pytest.raises(sae_core.AudioError, match="cannot be read"):
        sae_core.probe(found, recordings / "nothing.wav")


def test_maps_are_read_as_tables(voiced_workspace: Path):
    import sae_core

    points = sae_core.map_points(sae_core.open_sae(voiced_workspace))
    assert list(points.columns) == ["row", "x", "y"]
    assert points["row"].tolist() == list(range(72))
    assert points[["x", "y"]].abs().to_numpy().max() <= 1
    assert isinstance(points, pd.DataFrame)
