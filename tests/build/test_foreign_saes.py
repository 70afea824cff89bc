"""SAEs of other libraries in a workspace: imported, indexed, described and shown like those trained here."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.foreign import write_sae


@pytest.fixture(scope="module")
def workspace(small_workspace, tmp_path_factory):
    """The small workspace with an imported SAE, indexed through the command line."""
    from sae_core.__main__ import main

    folder = tmp_path_factory.mktemp("foreign")
    copy = Path(shutil.copytree(small_workspace, folder / "workspace"))
    place = write_sae(folder / "theirs")
    assert main(["import-sae", str(place), "--workspace", str(copy), "--name", "theirs"]) == 0
    assert main(["index", "--workspace", str(copy), "--sae", "theirs"]) == 0
    return copy


@pytest.fixture
def view(workspace):
    from sae_core.workspace.workspace import open_workspace

    return open_workspace(workspace).sae("theirs")


def test_its_codes_are_its_own_formula(view, workspace):
    from safetensors.numpy import load_file

    theirs = load_file(workspace.parent / "theirs" / "sae_weights.safetensors")
    scores = (view.embeddings.vectors - theirs["b_dec"]) @ theirs["W_enc"] + theirs["b_enc"]
    expected = np.where((scores > theirs["threshold"]) & view.embeddings.is_valid[:, None], scores, 0)
    np.testing.assert_allclose(view.codes.dense(), expected, atol=1e-5)
    assert view.codes.k == view.config["k"] == (expected > 0).sum(1).max()


def test_its_quality_is_measured_on_the_clips_of_the_workspace(view):
    rows = view.workspace.corpus.rows_in("held-out")
    rows = rows[view.embeddings.is_valid[rows]]
    vectors = view.embeddings.vectors[rows].astype(float)
    rebuilt = view.decoder().decode(view.codes.take(rows)).astype(float)
    fvu = ((vectors - rebuilt) ** 2).sum() / ((vectors - vectors.mean(0)) ** 2).sum()
    assert view.metrics["held-out"]["explained_variance"] == pytest.approx(1 - fvu, abs=1e-4)
    assert view.metrics.get("n_train") is None


def test_info_lists_it_and_every_digest_is_kept(workspace, capsys):
    from sae_core.__main__ import main

    capsys.readouterr()
    assert main(["info", str(workspace), "--verify"]) == 0
    said = capsys.readouterr().out
    assert "saes/theirs" in said
    assert "damaged" not in said


def test_importing_it_again_changes_nothing_and_another_needs_a_name(workspace, tmp_path):
    from sae_core.build.foreign_saes import import_foreign
    from sae_core.files.errors import ArtifactError

    before = {file: file.stat().st_mtime_ns for file in (workspace / "saes").rglob("*") if file.is_file()}
    import_foreign(workspace, workspace.parent / "theirs", name="theirs")
    other = write_sae(tmp_path / "other", architecture="topk", k=3)
    with pytest.raises(ArtifactError, match=r"another SAE has that name.*--name"):
        import_foreign(workspace, other, name="theirs")
    assert before == {
        file: file.stat().st_mtime_ns for file in (workspace / "saes").rglob("*") if file.is_file()
    }


def test_by_default_its_name_says_embeddings_and_settings(own_workspace, tmp_path):
    from sae_core.build.foreign_saes import import_foreign

    folder = import_foreign(own_workspace, write_sae(tmp_path / "a", architecture="topk", k=3))
    assert folder.name == "synthetic-imported-topk-40-k3"


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "x" * 101])
def test_a_name_that_leads_elsewhere_is_refused(own_workspace, tmp_path, name):
    from sae_core.build.foreign_saes import import_foreign

    with pytest.raises(ValueError, match="cannot be a name"):
        import_foreign(own_workspace, write_sae(tmp_path / "a"), name=name)


def test_a_dimension_that_fits_nothing_names_what_is_there(own_workspace, tmp_path):
    from sae_core.build.foreign_saes import import_foreign
    from sae_core.files.errors import ArtifactError

    before = sorted(own_workspace.rglob("*"))
    place = write_sae(tmp_path / "a", dim=256)
    with pytest.raises(ArtifactError, match=r"embeddings of 256 numbers.*synthetic \(192\)") as told:
        import_foreign(own_workspace, place)
    assert "embed" in str(told.value.remedy)
    with pytest.raises(ArtifactError, match=r"no embeddings by 'other'.*synthetic \(192\)"):
        import_foreign(own_workspace, place, embedder="other")
    assert sorted(own_workspace.rglob("*")) == before


def test_several_embeddings_of_its_dimension_have_to_be_told_apart(own_workspace, tmp_path):
    from sae_core.build.foreign_saes import import_foreign
    from sae_core.files.errors import ArtifactError

    shutil.copytree(own_workspace / "embeddings" / "synthetic", own_workspace / "embeddings" / "twin")
    place = write_sae(tmp_path / "a")
    with pytest.raises(ArtifactError, match="as several have.*--embedder NAME"):
        import_foreign(own_workspace, place)
    assert import_foreign(own_workspace, place, embedder="twin").name.startswith("twin-imported-jumprelu")


def test_what_cannot_be_written_leaves_nothing(own_workspace, tmp_path, monkeypatch):
    from sae_core.build import foreign_saes

    def fail(*_: object) -> None:
        raise RuntimeError("the disk is gone")

    monkeypatch.setattr(foreign_saes, "_metrics", fail)
    before = sorted(own_workspace.rglob("*"))
    with pytest.raises(RuntimeError):
        foreign_saes.import_foreign(own_workspace, write_sae(tmp_path / "a"))
    assert sorted(own_workspace.rglob("*")) == before


def test_training_does_not_replace_it(own_workspace, tmp_path):
    from sae_core.build.foreign_saes import import_foreign
    from sae_core.build.steps import train_in_workspace
    from sae_core.files.errors import ArtifactError
    from sae_core.sae.model import SaeConfig
    from sae_core.sae.training import TrainingConfig
    from sae_core.workspace.workspace import open_workspace

    import_foreign(own_workspace, write_sae(tmp_path / "a"), name="synthetic-topk-16-k2")
    with pytest.raises(ArtifactError, match="imported SAE has the name"):
        train_in_workspace(open_workspace(own_workspace), SaeConfig(192, 16, 2), TrainingConfig(n_epochs=1))


def test_variants_that_are_only_imported_are_not_trained(own_workspace):
    from sae_core.build.steps import train_in_workspace
    from sae_core.sae.model import SaeConfig
    from sae_core.sae.training import TrainingConfig
    from sae_core.workspace.workspace import open_workspace

    with pytest.raises(ValueError, match="relu SAEs can be imported .*, not trained"):
        train_in_workspace(
            open_workspace(own_workspace), SaeConfig(192, 16, 2, "relu"), TrainingConfig(n_epochs=1)
        )


def test_an_sae_goes_out_and_comes_back_with_the_same_activations(own_workspace, tmp_path):
    import sae_core
    from sae_core.__main__ import main

    name = "synthetic-matryoshka-64-k8-s1"
    out = tmp_path / "out"
    command = ["export-sae", name, "--workspace", str(own_workspace), "--to", "saelens", "--out", str(out)]
    assert main(command) == 0
    again = sae_core.import_sae(out, own_workspace, progress=False)
    codes = sae_core.open_sae(own_workspace, name).codes
    vectors = sae_core.open_sae(own_workspace, name).embeddings.vectors
    assert again.config.prefixes == (16, 64)
    np.testing.assert_allclose(again.encode(vectors).dense(), codes.dense(), atol=1e-5)
    assert main(command) == 1
    command[1] = "none"
    assert main([*command[:-1], str(tmp_path / "more")]) == 1
    assert not (tmp_path / "more").exists()


class TestCard:
    def test_index_writes_what_the_page_shows(self, view):
        from sae_core.analysis.model_card import model_card

        text = (view.folder / "card.md").read_text("utf-8")
        assert text == model_card(view)
        assert "imported from SAELens (jumprelu), file sae\\_weights.safetensors" in text
        assert "JumpReLU (arXiv 2407.14435)" in text
        assert "may have been among them" in text

    def test_it_says_what_the_tables_say(self, small_workspace):
        from sae_core.analysis.model_card import model_card
        from sae_core.workspace.workspace import open_workspace

        for name in (workspace := open_workspace(small_workspace)).sae_names():
            view = workspace.sae(name)
            lines = model_card(view).splitlines()
            values = view.predominant_latents()
            confirmed = values[values["is_confirmed"]]
            assert f"{len(confirmed)} of {len(values)} values." in "\n".join(lines)
            for _, value in confirmed.iterrows():
                shown = f"| #{value['latent']} | {value['f1']:.2f} ({value['f1_low']:.2f}–{value['f1_high']:.2f}) |"
                assert any(
                    line.startswith(f"| {value['attribute']} | {value['value']} {shown}") for line in lines
                )
            named = view.latents["latent"][view.latents["is_named"]]
            assert all(any(line.startswith(f"| #{latent} | ") for line in lines) for latent in named)
            held_out = view.metrics["held-out"]
            assert f"| held-out | {held_out['explained_variance']:.3f} |" in "\n".join(lines)
            counts = workspace.corpus.table["split"].value_counts()
            assert any(line.startswith(f"| train | {counts['train']} |") for line in lines)

    def test_labels_of_people_are_in_it_as_plain_text(self, own_workspace):
        from sae_core.analysis.model_card import model_card
        from sae_core.workspace.workspace import open_workspace

        workspace = open_workspace(own_workspace)
        view = workspace.sae(workspace.sae_names()[0])
        workspace.notes.write(view.subject(5), "label", author="Ada", text="calm | <b>slow</b> # voice")
        assert "| #5 | calm \\| \\<b\\>slow\\</b\\> \\# voice |" in model_card(view)
