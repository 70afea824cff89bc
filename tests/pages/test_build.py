"""The Build page: what is found is shown first, nothing starts twice, jobs are watched; and switching workspaces."""

import dataclasses
import io
import os
import shutil
import sys
import zipfile

import pytest


@pytest.fixture
def site(small_workspace, tmp_path, monkeypatch):
    """A server's places: two workspaces, `one` and `two`, and an import root with recordings; returns the folder."""
    for name in ("one", "two"):
        shutil.copytree(small_workspace, tmp_path / "workspaces" / name, copy_function=os.link)
    for file in sorted(small_workspace.rglob("*.wav"))[:6]:
        place = tmp_path / "root" / "calls" / "es"
        place.mkdir(parents=True, exist_ok=True)
        (place / file.name).write_bytes(file.read_bytes())
    names = sorted(file.name for file in (tmp_path / "root" / "calls" / "es").iterdir())
    rows = "".join(f"es/{name},es\n" for name in names)
    (tmp_path / "root" / "calls" / "labels.csv").write_text("audio_path,language\n" + rows)
    (tmp_path / "secret").mkdir()
    (tmp_path / "root" / "out").symlink_to(tmp_path / "secret")
    monkeypatch.setenv("VOXSCOPE_WORKSPACES", str(tmp_path / "workspaces"))
    monkeypatch.setenv("VOXSCOPE_IMPORT_ROOTS", str(tmp_path / "root"))
    return tmp_path


@pytest.fixture
def started(monkeypatch):
    """Every build that the page would have started: its plan and its workspace; no process begins."""
    import sae_core.build.jobs
    from sae_core.build.job_records import first_status, write_status

    builds = []

    def start(plan, workspace):
        builds.append((plan, workspace))
        write_status(workspace, dataclasses.replace(first_status(), state="cancelled"))

    monkeypatch.setattr(sae_core.build.jobs, "start_job", start)
    return builds


def zip_bytes(names, content, **others):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, own in {**dict.fromkeys(names, content), **others}.items():
            archive.writestr(name, own)
    return stream.getvalue()


def facts(app):
    return "\n".join(element.proto.body for element in app.get("html"))


def test_a_folder_is_looked_at_and_built_from(app_test, site, started, words):
    app = app_test(site / "workspaces" / "one", "build").run()
    assert not app.exception
    assert app.title[0].value == "New workspace"
    assert app.selectbox(key="build_folder").options == ["calls"]
    app.selectbox(key="build_folder").set_value("calls").run()
    assert app.query_params["in"] == "calls"
    found = facts(app)
    assert ">6 (6 wav)<" in found and "labels.csv" in found and "folder:" in found
    assert "8 autoencoders" in words(app)
    app.radio(key="build_embedder").set_value("ge2e").run()
    app.button(key="build_start").click().run()
    assert not app.exception
    ((plan, workspace),) = started
    assert workspace == site / "workspaces" / "calls"
    assert (plan.source, plan.embedder) == (str(site / "root" / "calls"), "ge2e")
    assert (plan.labels, plan.layout, plan.speakers, plan.splits) == (None,) * 4
    assert app.query_params["job"] == "calls"
    assert "cancelled" in words(app)


def box(app, label):
    """The select box with this label."""
    [found] = [box for box in app.selectbox if box.label == label]
    return found


def test_people_see_what_each_column_was_taken_for_and_choose_otherwise(app_test, site, started, words):
    calls = site / "root" / "calls"
    names = sorted(file.name for file in (calls / "es").iterdir())
    rows = [f"{name},{'ab'[place % 2]},x,note {place}" for place, name in enumerate(names)]
    (calls / "by hand.csv").write_text("\n".join(["file,who,part,text", *rows]))
    app = app_test(site / "workspaces" / "one", "build", **{"from": "folder", "in": "calls"}).run()
    assert not app.exception
    assert box(app, "Labels from").options[:4] == [
        "labels.csv (as found)", "labels.csv", "by hand.csv", "no table: the names of folders"
    ]  # fmt: skip
    shown = app.dataframe[0].value
    assert dict(zip(shown["Column"], shown["Taken for"], strict=True)) == {
        "audio_path": "recording", "language": "attribute language"
    }  # fmt: skip
    assert shown["Row 1"].tolist()[1] == "es"
    assert "by hand.csv (labels.csv describes as many recordings or more)" in facts(app)
    box(app, "Labels from").set_value("table by hand.csv").run()
    assert app.dataframe[0].value["Column"].tolist() == ["file", "who", "part", "text"]
    assert "who" in box(app, "Speakers from").options[1] or "column who" in box(app, "Speakers from").options
    box(app, "Speakers from").set_value("who").run()
    box(app, "Splits from").set_value("none").run()
    assert not app.exception
    assert "2, from column &#x27;who&#x27;" in facts(app)
    app.button(key="build_start").click().run()
    ((plan, _),) = started
    assert (plan.source, plan.labels) == (str(calls), str(calls / "by hand.csv"))
    assert (plan.speakers, plan.splits, plan.layout) == ("who", "none", None)


def test_no_table_at_all_can_be_chosen_and_what_cannot_be_is_not_built(app_test, site, started, words):
    (site / "root" / "calls" / "empty.csv").write_text("a,b\n1,2\n")
    app = app_test(site / "workspaces" / "one", "build", **{"from": "folder", "in": "calls"}).run()
    box(app, "Labels from").set_value("table empty.csv").run()
    assert "cannot be imported as it is" in app.warning[0].value
    assert app.button(key="build_start").disabled
    box(app, "Labels from").set_value("layout folder").run()
    assert "no speaker is known" in facts(app).lower() and "by its speaker" not in words(app)
    app.button(key="build_start").click().run()
    ((plan, _),) = started
    assert (plan.labels, plan.layout) == (None, "folder")


def test_both_sides_of_calls_are_offered_as_speakers_of_their_own(app_test, site, started):
    import numpy as np
    import soundfile

    quiet, loud = np.full(6_000, 0.01), np.full(6_000, 0.3)
    noise = np.random.default_rng(0).normal(size=(12_000, 2)) * 0.3
    sides = np.stack([np.r_[quiet, loud], np.r_[loud, quiet]], 1) * noise
    for number in range(2):
        soundfile.write(site / "root" / "calls" / f"call {number}.wav", sides, 8_000)
    app = app_test(site / "workspaces" / "one", "build", **{"from": "folder", "in": "calls"}).run()
    assert "2 of the 8 recordings looked at have two different sides" in app.info[-1].value
    app.segmented_control(key="build_sides").set_value("split").run()
    assert not [field for field in app.number_input if field.key == "build_channel"]
    app.button(key="build_start").click().run()
    ((plan, _),) = started
    assert (plan.channels, plan.channel) == ("split", None)


def test_what_an_import_understood_and_heard_is_told_on_its_build(app_test, site, words):
    from sae_core.build.job_records import StepStatus, first_status, write_status
    from sae_core.corpus.acoustics import measure_workspace
    from sae_core.corpus.importing import import_corpus

    workspace = site / "workspaces" / "calls"
    import_corpus(site / "root" / "calls", workspace)
    measure_workspace(workspace, n_processes=1)
    steps = [StepStatus(step.name, "done", "over", 1.0) for step in first_status().steps]
    write_status(workspace, dataclasses.replace(first_status(), state="finished", steps=tuple(steps)))
    app = app_test(site / "workspaces" / "one", "build", job="calls").run()
    assert not app.exception
    assert "labels.csv describes 6 of 6 recordings" in facts(app)
    assert "**Data check**: " in words(app)
    assert any("Compare copies" in link.proto.label for link in app.get("page_link"))


@pytest.mark.parametrize("inside", ["..", "../secret", "out", "/etc", "calls/../../secret"])
def test_an_address_cannot_lead_out_of_the_root(app_test, site, words, inside):
    app = app_test(site / "workspaces" / "one", "build", **{"from": "folder", "in": inside}).run()
    assert not app.exception
    assert "is no folder below this import root" in words(app)


def test_a_zip_is_unpacked_into_its_workspace(app_test, site, started, words):
    app = app_test(site / "workspaces" / "one", "build", **{"from": "zip"}).run()
    labels = b"audio_path,language\nes/a.wav,es\nfr/b.wav,fr\n"
    content = zip_bytes(["mine/es/a.wav", "mine/fr/b.wav"], b"RIFF....", **{"mine/labels.csv": labels})
    app.file_uploader[0].upload("my calls!.zip", content, "application/zip").run()
    assert not app.exception, app.exception
    assert ">2 (2 wav)<" in facts(app)
    app.button(key="build_start").click().run()
    ((plan, workspace),) = started
    assert workspace == site / "workspaces" / "my calls"
    assert (plan.source, plan.labels) == ("recordings/mine", None)
    assert (workspace / "recordings" / "mine" / "es" / "a.wav").read_bytes() == b"RIFF...."
    app.button(key="build_new").click().run()
    assert not app.file_uploader[0].value


def test_a_folder_of_links_that_lead_out_says_so(app_test, site, started):
    (site / "secret" / "a.wav").write_bytes(b"RIFF")
    (site / "root" / "links").mkdir()
    (site / "root" / "links" / "a.wav").symlink_to(site / "secret" / "a.wav")
    app = app_test(site / "workspaces" / "one", "build", **{"from": "folder", "in": "links"}).run()
    assert "There are no recordings here" in app.info[0].value
    assert "a symbolic link that leads outside the folder" in facts(app)


def test_a_hostile_zip_is_told_and_leaves_nothing(app_test, site, started, words):
    app = app_test(site / "workspaces" / "one", "build", **{"from": "zip"}).run()
    app.file_uploader[0].upload("bad.zip", zip_bytes(["../evil.wav"], b"x"), "application/zip").run()
    assert not app.exception
    assert "'../evil.wav', which has a name that leads elsewhere" in words(app)
    assert sorted(os.listdir(site / "workspaces")) == ["one", "two"] and not started


def test_a_taken_name_and_an_impossible_grid_cannot_start(app_test, site, started, words):
    app = app_test(site / "workspaces" / "one", "build", **{"from": "folder", "in": "calls"}).run()
    app.text_input[0].set_value("two").run()
    assert "There is a workspace named two already" in words(app)
    assert app.button(key="build_start").disabled
    app.text_input[0].set_value("../three").run()
    assert app.button(key="build_start").disabled
    app.text_input[0].set_value("three").run()
    assert not app.button(key="build_start").disabled
    app.segmented_control(key="build_grid").set_value("own").run()
    app.multiselect(key="build_latents").set_value([16]).run()
    app.multiselect(key="build_ks").set_value([64]).run()
    assert "grid holds no SAE" in "".join(warning.value for warning in app.warning)
    assert app.button(key="build_start").disabled


def test_a_workspace_without_sae_leads_to_the_page_and_can_be_finished_there(app_test, site, started, words):
    shutil.rmtree(site / "workspaces" / "two" / "saes")
    app = app_test(site / "workspaces" / "one", "latents", workspace="two").run()
    assert "python -m sae_core train" in words(app)
    assert "Build page" in "".join(link.proto.label for link in app.get("page_link"))
    app = app_test(site / "workspaces" / "one", "build", workspace="two", **{"from": "here"}).run()
    assert "**two** lacks" in words(app)
    app.button(key="build_start").click().run()
    ((plan, workspace),) = started
    assert workspace == site / "workspaces" / "two" and plan.source == str(workspace)


def test_a_server_without_any_workspace_can_build_its_first(app_test, site, words, monkeypatch):
    app = app_test(site / "workspaces" / "one", "build")
    monkeypatch.setenv("VOXSCOPE_WORKSPACE", "")
    monkeypatch.setenv("VOXSCOPE_WORKSPACES", str(site / "none yet"))
    app.run()
    assert not app.exception
    assert app.button(key="build_up").disabled
    assert not any(box.key == "workspace_choice" for box in app.selectbox)


def test_titanet_cannot_be_chosen_where_nemo_is_not_installed(app_test, site, monkeypatch):
    monkeypatch.setitem(sys.modules, "nemo", None)
    app = app_test(site / "workspaces" / "one", "build").run()
    embedder = app.radio(key="build_embedder")
    assert embedder.value == "campplus"
    captions = list(embedder.proto.captions)
    assert "not installed" in captions[0] and "not installed" not in captions[1]
    assert not app.warning
    embedder.set_value("titanet").run()
    assert not app.exception
    assert "pip install 'voxscope[titanet]'" in app.warning[0].value
    assert app.button(key="build_start").disabled


def test_jobs_are_told_as_they_are(app_test, site, words):
    from sae_core.build.job_records import JobStatus, StepStatus, first_status, write_status

    done = StepStatus("import", "done", "60 clips", 1.2)
    running = StepStatus("measure", "running")
    steps = (done, running, *first_status().steps[2:])
    for state, said in (
        ("running", "stopped unexpectedly"),
        ("failed", "**What to do:** get one."),
        ("finished", ""),
    ):
        status = JobStatus(state, steps, problem="no disk" * (state == "failed"), remedy="get one")
        write_status(site / "workspaces" / "two", status)
        app = app_test(site / "workspaces" / "one", "build", job="two").run()
        assert not app.exception
        assert said in words(app)
        assert [error.value for error in app.error] == ["no disk."] * (state == "failed")
        assert "60 clips" in words(app)
        labels = [link.proto.label for link in app.get("page_link")]
        assert ("**Open two**" in labels) == (state == "finished")


def place_of(block, value):
    """Where a heading stands in the tree of a page: a number for each level."""
    for number, child in getattr(block, "children", {}).items():
        if getattr(child, "type", "") in ("header", "subheader") and child.value == value:
            return [number]
        if (below := place_of(child, value)) is not None:
            return [number, *below]
    return None


def test_a_build_that_has_ended_stands_where_it_stood(app_test, site):
    """Elsewhere the browser would show it inside what is left of the other until all of it is there."""
    from sae_core.build import jobs
    from sae_core.build.job_records import first_status, write_status

    workspace = site / "workspaces" / "calls"
    with jobs._claimed(workspace):
        write_status(workspace, first_status())
        app = app_test(site / "workspaces" / "one", "build", job="calls").run()
        assert app.button(key="build_cancel")
        running = place_of(app.main, "calls")
        write_status(workspace, dataclasses.replace(first_status(), state="finished"))
        app.run()
    assert running and place_of(app.main, "calls") == running


def test_pace_is_told_in_words():
    from pages.parts.build.job import duration_words, pace_words
    from sae_core.build.job_records import first_status

    status = dataclasses.replace(first_status(), n_done=120, n_total=1412, rate=14.25, eta_s=90.7)
    assert pace_words(status) == "120 of 1,412 · 14.2 per second · 2 min left"
    assert (
        pace_words(dataclasses.replace(status, rate=0.1, eta_s=30.0))
        == "120 of 1,412 · 10.0 s each · 30 s left"
    )
    assert pace_words(first_status()) == "beginning …"
    assert duration_words(7200.0) == "2.0 h"


def test_workspaces_are_switched_and_choices_stay_behind(app_test, site):
    app = app_test(site / "workspaces" / "one", "latents").run()
    switch = app.selectbox(key="workspace_choice")
    assert (switch.options, switch.value) == (["one", "two"], "one")
    assert app.query_params["workspace"] == "one"
    app.query_params["latent"] = "5"
    app.run()
    assert app.session_state["choice of latent"] == "5"
    app.selectbox(key="workspace_choice").set_value("two").run()
    assert not app.exception
    assert app.query_params["workspace"] == "two"
    assert app.session_state["choice of latent"] != "5"
    app.switch_page("pages/clips.py").run()
    assert app.query_params["workspace"] == "two"


@pytest.mark.parametrize(
    "page", [None, "latents", "clips", "map", "movement", "steering", "match", "verification", "sweep"]
)
def test_what_is_not_in_this_workspace_does_no_harm(app_test, site, page):
    odd = {
        "sae": "nobody",
        "latent": "99999",
        "clip": "not here",
        "a": "nor here",
        "value": "x=y",
        "steer": "q:9",
    }
    app = app_test(site / "workspaces" / "one", page, workspace="two", **odd).run()
    assert not app.exception
    assert not [heading for heading in app.header if "went wrong" in heading.value]


@pytest.mark.parametrize("name", ["../secret", "three", "..", "/etc"])
def test_an_unknown_workspace_is_told_and_another_can_be_chosen(app_test, site, words, name):
    app = app_test(site / "workspaces" / "one", "latents", workspace=name).run()
    assert not app.exception
    assert "there is no workspace named" in words(app).lower()
    assert app.selectbox(key="workspace_choice").options == ["one", "two"]
    app.selectbox(key="workspace_choice").set_value("two").run()
    assert app.header[0].value.startswith("Latent #")


def test_a_lone_workspace_needs_no_switch(app_test, small_workspace):
    app = app_test(small_workspace, "latents").run()
    assert not any(box.key == "workspace_choice" for box in app.selectbox)
    assert "workspace" not in app.query_params


def test_several_workspaces_stay_open_and_few(site, monkeypatch):
    from pages.shared import session

    shelf, opened = session._Shelf(), []
    monkeypatch.setattr(session, "_open", lambda path: opened.append(path.name) or path.name)
    for name in "abcdef":
        (site / "workspaces" / name).mkdir()
        (site / "workspaces" / name / "clips.parquet").touch()
    for name in "ababcdcdabe":
        assert shelf.open(site / "workspaces" / name) == name
    assert opened == list("abcde")
    shelf.open(site / "workspaces" / "a")
    shelf.open(site / "workspaces" / "c")
    assert opened == list("abcdec")
    os.utime(site / "workspaces" / "c" / "clips.parquet", (5, 5))
    shelf.open(site / "workspaces" / "c")
    assert opened == list("abcdecc")
