"""The command line: from a folder of recordings to a served workspace, and what is said when that cannot be."""

import os
import socket

import pytest

from sae_core.__main__ import main, with_action
from sae_core.files.processes import job_environment
from tests.verbs import VERBS


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_explains_itself_and_its_options(name, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([*name.split(), "--help"])
    assert stopped.value.code == 0
    assert VERBS[name].description in " ".join(capsys.readouterr().out.split())
    for action in VERBS[name]._actions:
        assert action.help, f"{name} {action.dest} has no help"


def test_a_folder_of_recordings_becomes_an_explorable_workspace(small_workspace, tmp_path, capsys):
    voices, workspace = tmp_path / "voices", tmp_path / "w"
    for number, file in enumerate(sorted(small_workspace.rglob("*.wav"))[:48]):
        folder = voices / "calls" / f"speaker{number % 12}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / file.name).write_bytes(file.read_bytes())
    (voices / "calls" / "speaker0" / "broken.wav").write_text("no sound")
    steps = [
        (["import", str(voices), "--workspace", str(workspace)], "embed"),
        (["embed", "--workspace", str(workspace), "--embedder", "ge2e"], "train"),
        (
            [
                "train",
                "--workspace",
                str(workspace),
                "--variant",
                "topk",
                "--latents",
                "16",
                "--k",
                "4",
                "--epochs",
                "3",
            ],
            "index",
        ),
        (["index", "--workspace", str(workspace)], "serve"),
    ]
    for arguments, following in steps:
        assert main(arguments) == 0
        said = capsys.readouterr().out
        assert said.strip().split("\n")[-1].startswith(f"next: python -m sae_core {following}"), said
        if arguments[0] == "import":
            assert "48 clips" in said and "1 could not be used" in said
            assert "48 of 48 clips measured" in said
    assert main(["info", str(workspace)]) == 0
    said = capsys.readouterr().out
    assert "48 clips, 12 speakers" in said and "saes/ge2e-topk-16-k4" in said and "ready" in said
    assert "acoustics" in said
    assert "missing" not in said and "stale" not in said


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["embed", "--workspace", "{tmp}", "--embedder", "ge2e"], 1, ["{tmp}", "import"]),
        (["train", "--workspace", "{tmp}/absent"], 1, ["absent", "import"]),
        (["index", "--workspace", "{tmp}"], 1, ["import"]),
        (["info", "{tmp}"], 1, ["no clips yet"]),
        (["import", "{tmp}/absent", "--workspace", "{tmp}/w"], 1, ["absent"]),
        (["train", "--workspace", "{small}", "--latents", "4", "--k", "9"], 2, ["k = 9"]),
        (["train", "--workspace", "{small}", "--embedder", "ge2e"], 1, ["no embeddings by ge2e", "embed"]),
        (["embed", "--workspace", "{small}", "--embedder", "nonsense"], 2, ["nonsense", "ge2e"]),
    ],
)
def test_what_cannot_be_done_is_said_with_its_remedy(
    arguments, status, words, tmp_path, small_workspace, capsys
):
    places = {"tmp": tmp_path, "small": small_workspace}
    assert main([argument.format(**places) for argument in arguments]) == status
    said = capsys.readouterr().err
    assert "Traceback" not in said
    for word in words:
        assert word.format(**places) in said


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ([], []),
        (["demo"], ["demo", "open"]),
        (["demo", "--port", "8502"], ["demo", "open", "--port", "8502"]),
        (["demo", "build", "--out", "x"], ["demo", "build", "--out", "x"]),
        (["demo", "--help"], ["demo", "--help"]),
        (["demo", "opne"], ["demo", "opne"]),
        (["notes"], ["notes"]),
        (["info", "demo"], ["info", "demo"]),
    ],
)
def test_demo_alone_opens_it(typed, meant):
    assert with_action(typed) == meant


@pytest.mark.parametrize("called", ["voxscope", "python -m sae_core"])
def test_commands_are_named_as_the_program_was_called(called, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("sys.argv", ["/bin/voxscope" if called == "voxscope" else "/sae_core/__main__.py"])
    assert main(["train", "--workspace", str(tmp_path / "absent")]) == 1
    assert f"run: {called} import" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--help"])
    assert f"usage: {called} " in capsys.readouterr().out


def test_interrupting_keeps_what_is_done(monkeypatch, capsys, small_workspace):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("sae_core.workspace.workspace.Workspace.parts", stop)
    assert main(["info", str(small_workspace)]) == 130
    assert "run the same command again" in capsys.readouterr().err


def test_serving_a_taken_port_says_so(small_workspace, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["serve", "--workspace", str(small_workspace), "--port", str(port)]) == 1
    assert f"port {port} is in use" in capsys.readouterr().err


def test_serving_hands_the_workspace_to_the_app(small_workspace, monkeypatch):
    handed = {}

    def take_over(program, command, environment):
        handed.update(program=program, command=command, environment=environment, folder=os.getcwd())

    monkeypatch.setattr(os, "execve", take_over)
    monkeypatch.setenv("MALLOC_ARENA_MAX", "7")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    monkeypatch.chdir(small_workspace.parent)
    assert main(["serve", "--workspace", small_workspace.name, "--port", "8765", "--headless"]) == 0
    assert handed["environment"]["VOXSCOPE_WORKSPACE"] == str(small_workspace)
    assert handed["environment"]["MALLOC_ARENA_MAX"] == "7", "what somebody set was overruled"
    assert handed["environment"]["OPENBLAS_NUM_THREADS"] == "1"
    assert "PYTHONSAFEPATH" not in handed["environment"], "pages/ would not be found"
    assert "OPENBLAS_NUM_THREADS" not in job_environment(handed["environment"]), (
        "builds have the machine's cores"
    )
    assert handed["command"][1:] == [
        "-m",
        "pages.serving.server",
        "8765",
        "--host",
        "127.0.0.1",
        "--headless",
    ]
    assert os.path.exists(os.path.join(handed["folder"], "app.py"))
