"""Every verb, on workspaces and folders that are missing, tiny, damaged or odd: done, or an error with its remedy."""

import os
import shutil
from pathlib import Path

import pytest
import soundfile

from sae_core.__main__ import main
from tests.foreign import write_sae
from tests.odd_workspaces import write_odd_workspace
from tests.recordings import voice
from tests.verbs import VERBS, fault_of

FORMAT1 = Path(__file__).parent.parent / "workspaces" / "format1"
SMALL = "--latents 8 --k 2 --epochs 1"
INPUTS = {
    "import": (
        "{w} --workspace {new} --no-measure",
        "{calls} --workspace {w} --no-measure",
        "{calls} --workspace {new} --labels {w}/corpus.json",
    ),
    "embed": ("--workspace {w} --embedder ge2e",),
    "train": ("--workspace {w} --epochs 1", f"--workspace {{w}} {SMALL}"),
    "index": ("--workspace {w}", "--workspace {w} --rebuild", "--workspace {w} --sae topk-16-k4"),
    "info": ("{w}", "{w} --verify"),
    "build": (
        f"{{w}} --workspace {{new}} --embedder ge2e --variants topk {SMALL} --at-once 1",
        f"{{w}} --embedder ge2e --variants topk {SMALL} --at-once 1",
        "--workspace {w}",
    ),
    "sweep": (f"--workspace {{w}} {SMALL} --variants topk --at-once 1 --csv {{new}}/t.csv",),
    "import-vectors": ("{w}/clips.parquet --workspace {w}", "{w} --workspace {new}"),
    "guess": ("--workspace {w}", "--workspace {w} --csv {w}"),
    "import-sae": ("{sae} --workspace {w}", "{w} --workspace {w}", "{sae}/cfg.json --workspace {w}"),
    "export-sae": (
        "topk-16-k4 --to saelens --out {new}/out --workspace {w}",
        "topk-16-k4 --to sparsify --out {w} --workspace {w}",
    ),
    "scores": ("--workspace {w} --csv {new}/s.csv", "--workspace {w} --scores {w}/corpus.json --trials {w}"),
    "fairness": ("--workspace {w} --by gender,language", "--workspace {w} --by size --csv {w}"),
    "steering export": (
        "--latents 1,2x0.5 --out {new}/recipe --onnx {new}/r.onnx --workspace {w}",
        "--value language=es --out {w} --workspace {w}",
    ),
    "steering erase": (
        "--value language=es --steps 2 --workspace {w} --csv {new}/e.csv",
        "--value language=es --steps 2 --workspace {w} --csv {w}",
    ),
    "steer": ("{w}/clips.parquet {new}/v.npy --recipe {w}", "{w}/embeddings/planted {w} --recipe {new}"),
    "trust": ("--workspace {w}",),
    "report": ("--workspace {w} --out {new}/r.html", "--workspace {w} --out {w} --latent 3"),
    "backup": ("--workspace {w} --out {new}/b.zip", "--workspace {w} --out {w}/corpus.json"),
    "restore": ("{sae}/cfg.json --workspace {w}", "{new}/b.zip --workspace {w} --replace"),
    "people add": (
        "ana --role read --keep-password --file {new}/people.json",
        "ana --keep-password --file {w}/corpus.json",
    ),
    "people remove": ("ana --file {w}/corpus.json",),
    "people list": ("--file {w}/corpus.json", "--file {new}/people.json"),
    "lineage": ("--workspace {w} topk-16-k4 matryoshka-32-k4", "--workspace {w} matryoshka-32-k4 --csv {w}"),
    "map": ("--workspace {w} --rebuild", "--workspace {w} --sae all"),
    "serve": (
        "--workspace {w} --port 0",
        "--workspaces {w} --port 0",
        "--workspace {w} --import-root {w} --port 0",
    ),
    "measure": ("--workspace {w} --processes 1", "--workspace {w} --processes 1 --rebuild"),
    "notes export": ("--workspace {w} --file {new}/notes.json", "--workspace {w} --file {w}"),
    "notes import": ("{w}/corpus.json --workspace {w}", "{notes} --workspace {w}"),
    "demo open": ("--workspace {w} --port 0",),
    "demo build": ("--out {w} --cache {new}",),
    "demo synthetic": ("--workspace {w} --clips 3 --speakers 2 --audio",),
}


def test_each_verb_has_inputs_here():
    assert set(INPUTS) == set(VERBS)


def write_calls(folder, n, *, same=False):
    folder.mkdir(parents=True)
    for number in range(n):
        soundfile.write(folder / f"{number}.wav", voice(1.0, 8_000, seed=0 if same else number), 8_000)
    return folder


def imported(folder, n, **how):
    from sae_core.corpus.importing import import_corpus

    import_corpus(write_calls(folder / "calls", n, **how), folder)
    return folder


def five_identical(folder):
    from sae_core.build.steps import embed_workspace
    from sae_core.embedding.embedders import EmbedderChoice

    embed_workspace(imported(folder, 5, same=True), EmbedderChoice("ge2e"))
    return folder


def finished(folder, *without):
    shutil.copytree(FORMAT1, folder)
    for name in without:
        shutil.rmtree(folder / name)
    return folder


def damaged(folder, name, content):
    for file in finished(folder).rglob(name):
        file.write_text(content, "utf-8")
    return folder


def write_bundle(folder):
    """A demo of two clips."""
    from sae_core.files.artifacts import write_json

    imported(folder, 2)
    write_json(folder / "demo.json", {"content": "planted"})
    return folder


SITUATIONS = {
    "missing": lambda folder: folder,
    "empty": lambda folder: folder.mkdir() or folder,
    "a file": lambda folder: folder.write_text("x") and folder,
    "recordings": lambda folder: write_calls(folder, 2),
    "one clip": lambda folder: imported(folder, 1),
    "one clip, embedded": lambda folder: write_odd_workspace("one clip", folder),
    "five identical": five_identical,
    "no labels": lambda folder: write_odd_workspace("no labels", folder),
    "no audio": lambda folder: finished(folder, "audio"),
    "dead latents": lambda folder: write_odd_workspace("dead latents", folder),
}
DAMAGES = {
    "workspace.json": "{", "corpus.json": "[]", "build.json": "{", "plan.json": "[]", "meta.json": "{",
    "config.json": "[]", "index.json": "{",
}  # fmt: skip
SITUATIONS |= {
    f"damaged {name}": lambda folder, name=name, content=content: damaged(folder, name, content)
    for name, content in DAMAGES.items()
}
QUICK = ("missing", "empty", "a file", "one clip")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Each situation, made once."""
    places = {}

    def make(situation):
        if situation not in places:
            places[situation] = SITUATIONS[situation](tmp_path_factory.mktemp("made") / "w")
        return places[situation]

    return make


# every verb in every situation, each of its ways of being asked in the situations that people meet most
WALKS = [
    pytest.param(verb, words, situation, marks=() if situation in QUICK else pytest.mark.slow)
    for situation in SITUATIONS
    for verb in INPUTS
    for words in (INPUTS[verb][:1] if situation.startswith("damaged") else INPUTS[verb])
]


@pytest.mark.parametrize(("verb", "words", "situation"), WALKS)
def test_verbs_do_their_work_or_say_what_to_do(verb, words, situation, made, tmp_path, monkeypatch):
    from sae_core.build import workspace_maps
    from sae_core.demo import bundle
    from tests.plain_maps import lay_out_plainly

    monkeypatch.setattr(workspace_maps, "lay_out", lay_out_plainly)
    monkeypatch.setattr(bundle, "BUNDLE", write_bundle(tmp_path / "bundle"))
    monkeypatch.setattr(os, "execve", lambda *_: None)  # no server is started
    monkeypatch.setattr(os, "chdir", lambda _: None)
    monkeypatch.setenv("PATH", "")  # nothing is fetched
    whole, own = made(situation), tmp_path / "w"
    if whole.is_dir():
        shutil.copytree(whole, own)
    elif whole.is_file():
        shutil.copy(whole, own)
    (tmp_path / "notes.json").write_text("[")
    places = {
        "w": own,
        "new": tmp_path / "new",
        "notes": tmp_path / "notes.json",
        "calls": tmp_path / "calls",
        "sae": write_sae(tmp_path / "sae"),
    }
    write_calls(tmp_path / "calls", 2)
    fault = fault_of([*verb.split(), *(word.format(**places) for word in words.split())])
    assert not fault, fault


@pytest.mark.parametrize("action", ["open", "synthetic --clips 3"])
def test_a_demo_replaces_no_workspace_of_others(action, tmp_path, monkeypatch, made, capsys):
    from sae_core.demo import bundle

    monkeypatch.setattr(bundle, "BUNDLE", write_bundle(tmp_path / "bundle"))
    own = Path(shutil.copytree(made("one clip"), tmp_path / "w"))
    before = {file: file.read_bytes() for file in own.rglob("*") if file.is_file()}
    assert main(["demo", *action.split(), "--workspace", str(own)]) == 1
    assert "choose another: --workspace" in capsys.readouterr().err
    assert {file: file.read_bytes() for file in own.rglob("*") if file.is_file()} == before


ODD_VALUES = {
    int: ("-1", "0", "9" * 20),
    float: ("-1", "0", "nan", "inf", "1e308"),
    Path: ("", "/proc/version", "{w}", "{w}/clips.parquet/x", "x" * 300),
    None: ("", "\u200b", "../../x", "x" * 300, "-1", "0"),
}
NEEDS_MORE = ("build", "demo build", "demo open", "embed")  # packages to fetch, or a minute of work
TAKERS = [
    (verb, action.option_strings[-1], ODD_VALUES.get(action.type, ODD_VALUES[int]))
    for verb, parser in VERBS.items()
    if verb not in NEEDS_MORE
    for action in parser._actions
    if action.option_strings and action.nargs != 0 and not action.choices and action.dest != "workspace"
]
# two odd values for each option, others for the next, so that each kind of option meets all of them
OPTIONS = [
    (verb, option, values[(2 * turn + place) % len(values)])
    for turn, (verb, option, values) in enumerate(TAKERS)
    for place in range(2)
]


@pytest.mark.slow
@pytest.mark.parametrize(("verb", "option", "value"), OPTIONS)
def test_odd_values_of_options_are_taken_or_refused_in_words(
    verb, option, value, made, tmp_path, monkeypatch
):
    from sae_core.build import workspace_maps
    from tests.plain_maps import lay_out_plainly

    if (option, value) == ("--clips", "9" * 20):
        pytest.skip("as many clips as the disk holds")
    monkeypatch.setattr(workspace_maps, "lay_out", lay_out_plainly)
    monkeypatch.setattr(os, "execve", lambda *_: None)
    monkeypatch.setattr(os, "chdir", lambda _: None)
    own = Path(shutil.copytree(made("dead latents"), tmp_path / "w"))
    places = {"w": own, "new": tmp_path / "new", "calls": write_calls(tmp_path / "calls", 2)}
    places |= {"notes": tmp_path / "notes.json", "sae": write_sae(tmp_path / "sae")}
    words = INPUTS[verb][1 if verb in ("train", "import") else 0].split()
    fault = fault_of([*verb.split(), *(word.format(**places) for word in [*words, f"{option}={value}"])])
    assert not fault, fault
