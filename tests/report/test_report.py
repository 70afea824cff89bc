"""A report opens with the network off, says the numbers of its workspace, and takes no name for markup."""

import base64
import io
import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest
import soundfile

from sae_core.files.errors import ArtifactError
from sae_core.report import verification
from sae_core.report.document import ReportSettings, make_report
from sae_core.report.markup import element, markup, said
from sae_core.workspace.workspace import open_workspace
from tests.odd_workspaces import write_odd_workspace

EVIL = "<img src=http://e.test onerror=alert(1)> \"' &amp; </style><script>x</script>"
VOID = {"meta", "br", "hr", "img", "input", "link"}


class Reader(HTMLParser):
    """What an HTML file holds: its elements with attributes, its text, and tags that are not closed."""

    def __init__(self, html):
        super().__init__()
        self.found, self.open, self.text, self.faults = [], [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)

    def handle_data(self, data):
        self.text.append(data)

    def values(self, attribute):
        return [attributes[attribute] for _, attributes in self.found if attribute in attributes]

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


def assert_needs_nothing_else(read):
    """Nothing in it is fetched from anywhere, nothing in it can run, and it is well formed."""
    assert not read.faults and not read.open
    assert {tag for tag, _ in read.found}.isdisjoint({"script", "link", "iframe", "object", "embed", "form"})
    assert all(address.startswith("data:audio/mpeg;base64,") for address in read.values("src"))
    assert all(address.startswith("#") for address in read.values("href"))
    assert not [name for _, attributes in read.found for name in attributes if name.startswith("on")]
    (policy,) = [a["content"] for _, a in read.found if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'") and "script" not in policy
    style = "".join(read.text[: read.text.index("\n") if "\n" in read.text else 3])
    assert "url(" not in style and "@import" not in style


@pytest.fixture(scope="module")
def view(small_workspace):
    workspace = open_workspace(small_workspace)
    return workspace.sae(workspace.sae_names()[0])


@pytest.fixture(scope="module")
def report(view):
    return make_report(view)


def test_it_needs_no_network_and_says_the_numbers(view, report):
    read = Reader(report.html)
    assert_needs_nothing_else(read)
    titles = re.findall(r"<h2>(.*?)</h2>", report.html)
    assert titles == [
        "Data", "Method", "Quality of the SAE", "Confirmed latents", "Size and sparsity", "Movement between SAEs",
        "Steering", "Speaker verification", "Limits", "Settings",
    ]  # fmt: skip
    assert {f"#{a['id']}" for tag, a in read.found if tag == "section"} == set(read.values("href"))
    confirmed = view.predominant_latents().query("is_confirmed")
    assert len(confirmed)
    for line in confirmed.itertuples():
        assert f"has F1 {line.f1:.2f} ({line.f1_low:.2f}–{line.f1_high:.2f}) on" in read.words
    assert f"{view.metrics['held-out']['explained_variance']:.3f}" in read.words
    assert view.weights_fingerprint in read.words and view.workspace.corpus.audio_fingerprint in read.words
    assert "Not available" not in read.words


def test_its_sounds_play_and_are_bounded(view, report):
    sounds = Reader(report.html).values("src")
    assert len(sounds) == report.n_sounds > 5
    samples, rate_hz = soundfile.read(io.BytesIO(base64.b64decode(sounds[0].partition(",")[2])))
    assert 0.5 < len(samples) / rate_hz <= 8.2
    small = make_report(view, ReportSettings(latent=int(view.striking_latents(1)[0]), max_sound_bytes=60_000))
    kept = Reader(small.html).values("src")
    levels = [int(tag[1]) for tag, _ in Reader(small.html).found if re.fullmatch(r"h\d", tag)]
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert 0 < sum(map(len, kept)) <= 60_000 and small.n_left_out > 0
    assert "no room for its sound" in small.html


def test_names_are_text(small_workspace, view):
    workspace = open_workspace(small_workspace)
    opened = workspace.sae(view.name)
    workspace.name = EVIL
    table = workspace.corpus.table
    for column in ("clip_id", "speaker_id"):
        table[column] = EVIL + table[column].astype(str) + "\u202e\x00"
    for frame, column in ((opened.latents, "best_value"), (opened.predominant_latents(), "value")):
        frame[column] = frame[column].astype(object).where(frame[column].isna(), EVIL)
    latent = int(opened.predominant_latents().query("is_confirmed")["latent"].iloc[0])
    report = make_report(opened, ReportSettings(latent=latent))
    read = Reader(report.html)
    assert_needs_nothing_else(read)
    assert read.words.count("<img src=http://e.test onerror=alert(1)>") > 5
    report.html.encode("utf-8")


def test_markup_escapes_whatever_is_no_markup():
    assert element("p", "a<b", said("&"), 3, None, class_='"') == (
        '<p class="&quot;">a&lt;b<bdi>&amp;</bdi>3</p>'
    )
    assert markup("\x00\x1b\ud800 ü") == "\ufffd\ufffd\ufffd ü"
    assert markup("<", [element("br"), ("x", None)]) == "&lt;<br/>x"
    assert element("line", x1=0.0, y1=12.34, hidden=True, id=None) == '<line x1="0" y1="12.34" hidden/>'


def test_a_latent_that_is_not_there_is_told(view):
    with pytest.raises(ArtifactError, match=r"no latent #64.*from 0 to 63"):
        make_report(view, ReportSettings(latent=64))


@pytest.mark.parametrize("kind", ["no labels", "five clips", "other scripts", "dead latents", "no sound"])
def test_odd_workspaces_have_a_report(kind, tmp_path):
    workspace = open_workspace(write_odd_workspace(kind, tmp_path))
    view = workspace.sae(workspace.sae_names()[0])
    read = Reader(make_report(view).html)
    assert_needs_nothing_else(read)
    assert read.words.count("Settings") > 1
    assert_needs_nothing_else(Reader(make_report(view, ReportSettings(latent=view.n_latents - 1)).html))


def test_the_verb_writes_a_file(small_workspace, tmp_path, capsys):
    from sae_core.__main__ import main

    file = tmp_path / "report.html"
    asked = ["report", "--workspace", str(small_workspace), "--out", str(file)]
    assert main([*asked, "--latent", "3", "--max-mb", "0.1"]) == 0
    assert file.read_text("utf-8").startswith("<!doctype html>") and "sounds" in capsys.readouterr().out
    assert main([*asked, "--erase", "female"]) == 2
    assert main([*asked, "--latent", "900"]) == 1


def test_erasure_is_measured_where_it_is_asked_for(view, monkeypatch):
    monkeypatch.setattr(verification, "N_ERASED", 2)
    first = view.predominant_latents().query("is_confirmed").iloc[0]
    value = str(first["attribute"]), str(first["value"])
    read = Reader(verification.erasure_chapter(verification.Trialled(view), value))
    assert "After how many latents" in read.words and "greedy" in read.words and not read.faults
    assert [a["aria-label"] for tag, a in read.found if tag == "svg"] == [
        "balanced accuracy of a probe over the number of latents removed", "EER over the number of latents removed",
    ]  # fmt: skip
