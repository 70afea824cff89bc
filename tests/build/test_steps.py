"""The steps of the chain: each does its work once, and again only when what it stands on has changed."""

from dataclasses import replace

import numpy as np
import pytest

from sae_core.build.steps import (
    best_sae,
    choose_config,
    embed_workspace,
    embedder_of,
    index_workspace,
    train_in_workspace,
)
from sae_core.corpus.clips import Corpus
from sae_core.embedding.embedders import EmbedderChoice
from sae_core.files.artifacts import ArtifactMeta
from sae_core.files.errors import CorpusError
from sae_core.sae.model import SaeConfig
from sae_core.sae.training import TrainingConfig
from sae_core.workspace.workspace import open_workspace


def times_of(folder):
    return {str(file): file.stat().st_mtime_ns for file in folder.rglob("*") if file.is_file()}


def test_finished_work_is_not_done_again(own_workspace):
    before = times_of(own_workspace / "saes")
    workspace = open_workspace(own_workspace)
    folder = own_workspace / "saes" / workspace.sae_names()[0]
    meta = ArtifactMeta.read(folder / "meta.json", kind="sae", remedy="")
    settings = {**meta.settings["config"], "prefixes": tuple(meta.settings["config"]["prefixes"])}
    config = SaeConfig(**{name: value for name, value in settings.items() if name != "format_version"})
    training = TrainingConfig(**meta.settings["training"])
    assert train_in_workspace(workspace, config, training) == folder
    index_workspace(own_workspace)
    assert times_of(own_workspace / "saes") == before
    train_in_workspace(workspace, config, replace(training, n_epochs=2))
    assert times_of(own_workspace / "saes") != before


def test_new_labels_rebuild_the_index_but_not_the_sae(own_workspace):
    corpus = Corpus.load(own_workspace)
    Corpus(
        corpus.table.assign(shift=np.where(np.arange(len(corpus)) % 2, "early", "late")),
        corpus.audio_root,
        (*corpus.attributes, "shift"),
    ).save(own_workspace)
    weights = {str(file): file.read_bytes() for file in own_workspace.glob("saes/*/weights.safetensors")}
    index_workspace(own_workspace)
    view = open_workspace(own_workspace).sae(open_workspace(own_workspace).sae_names()[0])
    assert "shift" in set(view.statistics.values["attribute"])
    assert weights == {
        str(file): file.read_bytes() for file in own_workspace.glob("saes/*/weights.safetensors")
    }


def test_an_index_broken_off_is_built_again(own_workspace):
    name = open_workspace(own_workspace).sae_names()[0]
    folder = own_workspace / "saes" / name
    before = (folder / "index_rows.npy").read_bytes()
    (folder / "index.json").unlink()
    (folder / "index_rows.npy").write_bytes(b"half")
    index_workspace(own_workspace, names=[name])
    assert (folder / "index_rows.npy").read_bytes() == before


def test_open_choices_are_filled_and_made_ones_kept(small_workspace):
    workspace = open_workspace(small_workspace)
    embeddings = workspace.embeddings(embedder_of(workspace, None))
    config = choose_config(
        workspace.corpus, embeddings, {"variant": None, "n_latents": 4, "k": None, "seed": 5}
    )
    assert (config.dim, config.n_latents, config.seed) == (embeddings.dim, 4, 5) and config.k <= 4
    with pytest.raises(ValueError, match="k = 9"):
        choose_config(workspace.corpus, embeddings, {"n_latents": 4, "k": 9})


def test_steps_without_what_they_stand_on_say_what_to_run(tmp_path, small_workspace):
    Corpus.load(small_workspace).save(tmp_path)
    workspace = open_workspace(tmp_path)
    with pytest.raises(CorpusError, match=r"no embeddings yet.*sae_core embed"):
        embedder_of(workspace, None)
    with pytest.raises(CorpusError, match=r"no embeddings by ge2e"):
        embedder_of(workspace, "ge2e")
    with pytest.raises(CorpusError, match=r"no SAE yet.*sae_core train"):
        index_workspace(tmp_path)


def test_the_best_sae_is_the_one_whose_chosen_latents_tell_values_best_on_held_out_voices(small_workspace):
    workspace = open_workspace(small_workspace)
    quality = {}
    for name in workspace.sae_names():
        statistics = workspace.sae(name).statistics
        held_out = [
            statistics.measures["f1"][statistics.predominant(value["attribute"], value["value"]), row]
            for row, value in statistics.values.iterrows()
            if value["evidence"] == "unseen speakers" and value["attribute"] != "source"
        ]
        quality[name] = np.mean(held_out)
    assert len(quality) == 2 and not any(np.isnan(list(quality.values())))
    assert quality[best_sae(workspace)] == max(quality.values())


def test_a_few_real_waveforms_go_through_ge2e_into_a_workspace(own_workspace):
    """The synthetic tones are no speech, but the network must take them, once, and only once."""
    corpus = Corpus.load(own_workspace)
    few = Corpus(corpus.table.head(12), corpus.audio_root, corpus.attributes)
    replace(few).save(own_workspace)
    found = embed_workspace(own_workspace, EmbedderChoice("ge2e", device="cpu"))
    assert found.vectors.shape == (12, 256) and len(found.failures) == 0
    before = times_of(own_workspace / "embeddings" / "ge2e")
    again = embed_workspace(own_workspace, EmbedderChoice("ge2e", device="cpu"))
    assert times_of(own_workspace / "embeddings" / "ge2e") == before
    assert np.array_equal(found.vectors, again.vectors)
    assert embedder_of(open_workspace(own_workspace), None) == "ge2e"
