"""Guessed values on the pages: shown as guesses, with what is known of their latents, and playable."""

import shutil

import pytest

from sae_core.build.guessing import guess_workspace, named_latents
from sae_core.workspace.guesses import write_named
from sae_core.workspace.workspace import Workspace


@pytest.fixture(scope="module")
def guessed(small_workspace, tmp_path_factory):
    """The small planted workspace, and what its own named latents guess of it beside its labels."""
    folder = tmp_path_factory.mktemp("guessed") / "w"
    shutil.copytree(small_workspace, folder, ignore=shutil.ignore_patterns("*.sqlite*"))
    named = folder.with_name("named")
    shutil.copytree(small_workspace / "saes", named / "saes")
    write_named(named, named_latents(Workspace(small_workspace)))
    guess_workspace(folder, named=named)
    return folder


def test_the_overview_says_what_is_guessed_and_plays_it(app_test, guessed, words, drawn):
    app = app_test(guessed, "overview").run()
    assert not app.exception
    guesses = Workspace(guessed).guesses()
    said = words(app)
    assert "Guessed, not labelled" in said and "(guessed)" in said
    most = guesses.summary[guesses.summary["n_clips"] > 0].iloc[0]
    assert f"{most['n_clips']:,} (" in said and f"{most['f1']:.2f}" in said
    cards = drawn(app, "guessed_clips")["clips"]
    assert cards and all("guessed: " in str(card) for card in cards)


def test_a_clip_says_what_is_guessed_of_it(app_test, guessed):
    guesses = Workspace(guessed).guesses()
    line = guesses.table.iloc[0]
    app = app_test(guessed, "clips", clip=str(line["clip_id"])).run()
    assert not app.exception
    assert "(guessed)" in facts_of(app)
    assert str(line["value"]) in facts_of(app)
    quiet = next(row for row in range(guesses.n_clips) if not guesses.of_clip(row))
    other = app_test(guessed, "clips", clip=str(Workspace(guessed).corpus.table["clip_id"][quiet])).run()
    assert "(guessed)" not in facts_of(other)


def facts_of(app):
    """The facts of the chosen clip."""
    return "".join(element.proto.body for element in app.get("html"))
