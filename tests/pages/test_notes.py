"""Notes in the app: written by people with names, shown wherever the latent appears, as text, and never lost."""

import json

import pytest

from sae_core.workspace.note_entries import COMMENT, LABEL, STAR, TAG, Subject, notes_to_json

EVIL = "<b>x</b> **loud** :red[y] ![z](http://e.test/z.png)"


@pytest.fixture(autouse=True)
def _look_every_time(monkeypatch):
    """Notes look for news of other processes twenty times a second at most: a test is quicker than that."""
    monkeypatch.setattr("sae_core.workspace.notes.FRESH_S", 0)


@pytest.fixture
def workspace(own_workspace):
    from sae_core.workspace.workspace import open_workspace

    return open_workspace(own_workspace)


@pytest.fixture
def view(workspace):
    return workspace.sae(workspace.sae_names()[0])


def named(app, author="Ana"):
    """The same page for somebody who has given a name."""
    app.session_state["author of notes"] = author
    return app


def widget(kind, key):
    return next(element for element in kind if str(element.key).startswith(key))


def test_a_label_shows_in_every_place(app_test, own_workspace, workspace, view, drawn, words):
    app = named(app_test(own_workspace, "latents", latent="7").run())
    widget(app.text_input, "notes_label").set_value("hold music").run()
    assert view.label_of(7) == "hold music"
    shown = app.dataframe[0].value.set_index("latent")
    assert shown.loc[7, "label"] == "hold music" and (shown["label"] != "").sum() == 1
    assert "hold music" in app.header[0].value
    app.button(key="notes_star").click().run()
    app.text_input(key="q").set_value("hold mus").run()
    assert app.dataframe[0].value["latent"].tolist() == [7]
    app.text_input(key="q").set_value("").run()
    app.toggle(key="starred").set_value(True).run()
    assert app.dataframe[0].value["latent"].tolist() == [7]
    other = int(view.similar_latents(7, n=1)["latent"].iloc[0])
    near = drawn(app_test(own_workspace, "latents", latent=str(other)).run(), "near_by_cosine")["bars"]
    assert "#7 “hold music”" in [bar["label"] for bar in near]
    row = int(view.index.top(7, 1)[0][0])
    clip = str(workspace.corpus.table["clip_id"].iloc[row])
    bars = drawn(app_test(own_workspace, "clips", clip=clip).run(), "active_latents")["bars"]
    assert "#7 “hold music”" in [bar["label"] for bar in bars]
    match = app_test(own_workspace, "match", a=clip, latent="7").run()
    assert "#7 “hold music”" in match.dataframe[-1].value["name"].tolist()
    assert "“hold music”" in drawn(match, "match_sounds")["label"]
    assert "#7 “hold music”" in view.name_of(7)


def test_nobody_writes_without_a_name_and_no_words_are_lost(app_test, own_workspace, workspace):
    app = app_test(own_workspace, "latents", latent="7").run()
    widget(app.text_input, "notes_label").set_value("hold music").run()
    assert "Enter your name" in app.warning[0].value
    assert workspace.notes.entries() == []
    app.run()
    assert widget(app.text_input, "notes_label").value == "hold music"
    app.text_input(key="notes_author").set_value("Ana").run()
    assert not app.warning
    assert widget(app.text_input, "notes_label").value == "hold music"
    assert [(entry.text, entry.author) for entry in workspace.notes.entries()] == [("hold music", "Ana")]
    assert not any("Ana" in str(value) for value in app.query_params.values())


def test_two_visitors_keep_each_others_words(app_test, own_workspace, workspace, view, words):
    ana, bo = (
        named(app_test(own_workspace, "latents", latent="7").run(), author) for author in ("Ana", "Bo")
    )
    widget(ana.text_input, "notes_label").set_value("music").run()
    widget(bo.text_input, "notes_label").set_value("hold music").run()
    for app, text in ((ana, "in two banks"), (bo, "and in a third")):
        widget(app.text_area, "notes_comment").set_value(text)
        app.button(key="notes_add").click().run()
        assert widget(app.text_area, "notes_comment").value == ""
    found = workspace.notes.of(view.subject(7))
    assert [entry.text for entry in found.labels] == ["music", "hold music"]
    assert [(entry.author, entry.text) for entry in found.comments] == [
        ("Ana", "in two banks"),
        ("Bo", "and in a third"),
    ]
    ana.run()
    assert widget(ana.text_input, "notes_label").value == "hold music"
    assert "“music”" in words(ana)  # the earlier label stays to be seen
    assert [text.value for text in ana.get("text")] == ["in two banks", "and in a third"]


def test_tags_are_given_and_taken_one_by_one(app_test, own_workspace, workspace, view):
    notes = workspace.notes
    app = named(app_test(own_workspace, "latents", latent="7").run())
    widget(app.multiselect, "notes_tags").set_value(["line", "bank"]).run()
    notes.write(view.subject(7), TAG, text="late", author="Bo")
    app.run()
    widget(app.multiselect, "notes_tags").set_value(["bank", "late"]).run()
    assert notes.of(view.subject(7)).tags == ["bank", "late"]


def test_words_of_people_are_shown_as_text(app_test, own_workspace, workspace, view, words):
    from pages.shared.wording import plain

    subject = view.subject(7)
    for kind in (LABEL, TAG, COMMENT, LABEL):
        workspace.notes.write(subject, kind, text=EVIL[:40] if kind == TAG else EVIL, author=EVIL)
    app = app_test(own_workspace, "latents", latent="7").run()
    assert not app.exception
    assert EVIL not in words(app) and plain(EVIL) in app.header[0].value
    assert [text.value for text in app.get("text")] == [EVIL]
    for page in ("map", "movement", "sweep", "steering", "notes", "overview"):
        app = app_test(own_workspace, page, latent="7", sae=view.name, mark="7").run()
        assert not app.exception and EVIL not in words(app), page


def test_plain_takes_the_meaning_from_every_sign():
    from pages.shared.wording import plain

    assert plain("a *b* [c](d)") == r"a \*b\* \[c\](d)"
    assert "http://" not in plain("http://e.test").replace("\\", "")
    assert "www." not in plain("www.e.test").replace("\\", "")
    assert ":material" not in plain(":material/home:").replace("\\", "")
    assert plain("two\nlines  here") == "two lines here"


def test_an_sae_trained_again_says_whose_notes_these_were(app_test, own_workspace, workspace, view, words):
    from dataclasses import replace

    earlier = replace(view.subject(7), fingerprint="0123456789abcdef")
    workspace.notes.write(earlier, LABEL, text="hold music", author="Ana")
    app = named(app_test(own_workspace, "latents", latent="7").run(), "Bo")
    assert "trained again" in words(app) and "hold music" in words(app)
    assert "hold music" not in app.header[0].value
    assert "label" not in app.dataframe[0].value
    app.button(key="notes_over 0123456789abcdef").click().run()
    assert "hold music" in app.header[0].value
    assert "not here" in str(app_test(own_workspace, "notes").run().dataframe[0].value["note"].tolist())


def test_clips_carry_notes_that_the_search_finds(app_test, own_workspace, workspace, drawn):
    clips = workspace.corpus.table["clip_id"]
    app = named(app_test(own_workspace, "clips", clip=str(clips.iloc[42])).run())
    widget(app.text_input, "notes_label").set_value("echo on the line").run()
    app.button(key="notes_star").click().run()
    assert "“echo on the line”" in drawn(app, "chosen_clip")["clips"][0]["chips"]
    app.text_input(key="find").set_value("echo").run()
    assert app.dataframe[0].value["clip_id"].tolist() == [clips.iloc[42]]
    app.text_input(key="find").set_value("").run()
    app.toggle(key="starred").set_value(True).run()
    assert app.dataframe[0].value["clip_id"].tolist() == [clips.iloc[42]]


def test_the_notes_page_lists_filters_and_brings_in(app_test, own_workspace, workspace, view, words):
    app = app_test(own_workspace, "notes").run()
    assert "No notes yet" in app.info[0].value
    clip = str(workspace.corpus.table["clip_id"].iloc[3])
    notes = workspace.notes
    notes.write(view.subject(7), LABEL, text="hold music", author="Ana")
    notes.write(view.subject(7), STAR, author="Ana")
    notes.write(Subject(clip=clip), COMMENT, text="a cough", author="Bo")
    app.run()
    table = app.dataframe[0].value
    assert table["what"].tolist() == [clip, f"#7 of {view.name}"]
    assert table["last_comment"].tolist() == ["a cough", ""] and (table["note"] == "").all()
    app.text_input(key="words").set_value("bo").run()
    assert app.dataframe[0].value["what"].tolist() == [clip]
    app.text_input(key="words").set_value("").run()
    app.toggle(key="starred").set_value(True).run()
    assert app.dataframe[0].value["label"].tolist() == ["hold music"]
    whole = notes_to_json(notes.entries(), workspace="there")
    more = json.loads(whole)
    more["entries"][0] = {**more["entries"][0], "uid": "f" * 32, "text": "ringing"}
    app = app_test(own_workspace, "notes").run()
    app.file_uploader[0].set_value(("n.json", json.dumps(more).encode(), "application/json")).run()
    app.button(key="notes_import").click().run()
    assert "1 new note" in app.success[0].value and "2 were here already" in app.success[0].value
    assert len(notes.of(view.subject(7)).labels) == 2
    app.file_uploader[0].set_value(("n.json", b"{}", "application/json")).run()
    app.button(key="notes_import").click().run()
    assert "no notes of VoxScope" in app.error[0].value.replace("\\", "")


def test_a_damaged_notes_file_stops_nothing_else(app_test, own_workspace, workspace, words, drawn):
    (own_workspace / "notes.sqlite").write_bytes(b"no database " * 400)
    for page in ("latents", "clips", "match", "notes"):
        app = app_test(own_workspace, page).run()
        assert not app.exception
        if page != "match":
            told = [warning.value.replace("\\", "") for warning in app.warning]
            assert len(told) == 1 and "damaged" in told[0] and "notes import" in told[0]
    assert len(drawn(app_test(own_workspace, "latents").run(), "clips_strongest")["clips"]) > 0
