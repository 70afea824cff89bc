"""Text of others is shown as text: no picture of it is fetched, no link made, no colour or formula drawn, anywhere."""

import re
import shutil
from collections.abc import Iterator

import numpy as np
import pytest
from google.protobuf.message import Message

from sae_core.build.steps import index_workspace
from sae_core.corpus.clips import Corpus
from sae_core.files.artifacts import write_json
from sae_core.files.formats import FORMAT_VERSION
from sae_core.workspace.note_entries import Subject
from sae_core.workspace.workspace import open_workspace

PAGES = [
    *(None, "latents", "clips", "map", "match", "probe", "sweep", "movement", "universality", "steering"),
    *("erasure", "verification", "build", "data_check", "notes"),
]
HOSTILE = "![p](https://evil.example/p.png) [l](https://evil.example) :red[r] $a$ <img src=x>"
LIVE = (
    r"(?<!\\)\]\(https?://evil",
    r"(?<!\\):red\[",
    r"(?<!\\)\$a(?<!\\)\$",
    r"(?<![\\\w])https?://evil\.example",
)
# fields of Streamlit's elements that its front end reads as Markdown
READ_AS_MARKDOWN = {"body", "label", "help", "content", "caption", "captions", "title", "text"}
PLAIN_ELEMENTS = {"text", "code", "json", "arrow_data_frame", "arrowDataFrame", "text_input", "text_area"}


@pytest.fixture(scope="module")
def folder(small_workspace, tmp_path_factory):
    """A workspace in which everything that people can name is named in Markdown."""
    folder = shutil.copytree(small_workspace, tmp_path_factory.mktemp("hostile") / "workspace")
    corpus = Corpus.load(folder)
    table = corpus.table.copy()
    for name in corpus.attributes:
        known = table[name].notna()
        table.loc[known, name] = table.loc[known, name].astype(str) + f" {HOSTILE}"
    table["speaker_id"] = table["speaker_id"] + f" {HOSTILE}"
    renamed = table.rename(columns={"language": f"language {HOSTILE}"})
    names = tuple(f"language {HOSTILE}" if name == "language" else name for name in corpus.attributes)
    Corpus(renamed, corpus.audio_root, names).save(folder)
    write_json(folder / "workspace.json", {"format_version": FORMAT_VERSION, "name": HOSTILE})
    index_workspace(folder)
    workspace = open_workspace(folder)
    view = workspace.sae(workspace.sae_names()[0])
    for latent in range(view.n_latents):
        workspace.notes.write(view.subject(latent), "label", text=HOSTILE[:80], author=HOSTILE[:60])
    for clip in workspace.corpus.table["clip_id"].head(40):
        for kind, text in (("label", HOSTILE[:80]), ("tag", HOSTILE[:40]), ("comment", HOSTILE)):
            workspace.notes.write(Subject(clip=str(clip)), kind, text=text, author=HOSTILE[:60])
    return folder


def markdown_in(message: Message, inside: str = "") -> Iterator[tuple[str, str]]:
    """Every text that the front end will read as Markdown, with the path of the field that holds it."""
    if message.DESCRIPTOR.name in ("Html", "Text", "Code"):  # HTML is looked at below, the others are plain
        return
    for field, value in message.ListFields():
        path = f"{inside}.{field.name}"
        if field.name in PLAIN_ELEMENTS:
            continue
        values = value if field.is_repeated else [value]
        for one in values:
            if isinstance(one, Message):
                yield from markdown_in(one, path)
            elif isinstance(one, str) and field.name in READ_AS_MARKDOWN:
                yield path, one


@pytest.mark.parametrize("page", PAGES)
def test_nobodys_words_become_markdown(app_test, folder, page):
    app = app_test(folder, page).run()
    assert not app.exception
    assert not [sub.value for sub in app.header if "went wrong" in sub.value]
    wrong = [
        f"{path}: {text[:200]}"
        for element in elements_of(app._tree)
        for path, text in markdown_in(element)
        for pattern in LIVE
        if re.search(pattern, text)
    ]
    assert not wrong, "\n".join(dict.fromkeys(wrong))
    pages = [proto.body for proto in elements_of(app._tree) if proto.DESCRIPTOR.name == "Html"]
    assert not [page[:200] for page in pages if "<img" in page]


def elements_of(node) -> Iterator[Message]:
    """The messages of every element and block on a page."""
    proto = getattr(node, "proto", None)
    if isinstance(proto, Message):
        yield proto
    for child in getattr(node, "children", {}).values():
        yield from elements_of(child)


def test_the_check_sees_what_is_not_escaped():
    from streamlit.proto.Markdown_pb2 import Markdown

    assert any(re.search(LIVE[0], text) for _, text in markdown_in(Markdown(body=f"a {HOSTILE}")))


def test_figures_make_no_links_of_what_others_wrote():
    import plotly.graph_objects as go

    from pages.shared.charts import without_links

    link = '<a href="https://evil.example">l</a>'
    figure = go.Figure(go.Bar(x=[1, 2], y=[link, "es"], text=[f"<b>{link}</b>", "<b>b</b>"]))
    figure.update_layout(title_text=link, annotations=[{"text": link}])
    drawn = str(without_links(figure).to_dict())
    assert "<a" not in drawn and "</a" not in drawn and "&lt;a href" in drawn
    assert "<b>b</b>" in drawn, "what the app itself sets in bold stays bold"
    plain = go.Figure(go.Bar(x=np.arange(3), y=["a", "b", "c"]))
    assert without_links(plain) is plain
