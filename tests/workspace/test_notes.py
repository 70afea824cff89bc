"""Notes: nobody's words are lost, whatever comes from outside is checked, and a broken file says so."""

import json
import os
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sae_core.files.errors import ArtifactError
from sae_core.workspace.note_entries import (
    COMMENT,
    LABEL,
    MAX_NOTE_CHARS,
    STAR,
    TAG,
    UNSTAR,
    UNTAG,
    NoteEntry,
    Subject,
    clean_text,
    in_order,
    notes_from_json,
    notes_to_json,
)
from sae_core.workspace.notes import Notes, gather_notes

REPOSITORY = Path(__file__).parent.parent.parent
LATENT = Subject("topk-64-k8", "0123456789abcdef", 7)
CLIP = Subject(clip="anna-es-001")

subjects = st.one_of(
    st.builds(
        lambda sae, latent: Subject(f"sae-{sae}", "ab12", latent), st.integers(0, 3), st.integers(0, 2000)
    ),
    st.builds(lambda number: Subject(clip=f"clip {number}"), st.integers(0, 5)),
)

any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["kind", "entries", "subject", "uid"]), inner, max_size=4)
    ),
)


@st.composite
def entries_of(draw):
    kind = draw(st.sampled_from(list(MAX_NOTE_CHARS)))
    limit = MAX_NOTE_CHARS[kind]
    text = clean_text(f"x{draw(st.text(max_size=limit // 4))}", kind) if limit else ""
    time = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(microseconds=draw(st.integers(0, 10)))
    uid = f"{draw(st.integers(0, 2**128 - 1)):032x}"
    written_at = time.isoformat(timespec="microseconds")
    return NoteEntry(
        uid, draw(subjects), kind, text or ("x" if MAX_NOTE_CHARS[kind] else ""), "Ana", written_at
    )


class TestWords:
    def test_what_is_written_is_read_by_another(self, tmp_path):
        mine, theirs = Notes(tmp_path), Notes(tmp_path)
        assert theirs.of(LATENT).is_empty and not mine.path.exists()
        mine.write(LATENT, LABEL, text="hold  music\n", author=" Ana ")
        mine.write(LATENT, STAR, author="Ana")
        mine.write(LATENT, TAG, text="line", author="Ana")
        theirs.write(LATENT, COMMENT, text="also on #3\nin two banks", author="Bo")
        theirs._looked_at = 0.0  # as if it had last looked a while ago
        found = theirs.of(LATENT)
        assert (found.label, found.is_starred, found.tags) == ("hold music", True, ["line"])
        assert [(entry.text, entry.author) for entry in found.comments] == [
            ("also on #3\nin two banks", "Bo")
        ]
        assert "hold music" in found.words and "banks" in found.words
        assert Notes(tmp_path).latent_labels(LATENT.fingerprint) == {7: "hold music"}
        assert Notes(tmp_path).of(CLIP).is_empty

    def test_earlier_labels_stay_and_the_newest_shows(self, tmp_path):
        notes = Notes(tmp_path)
        for label in ("music", "hold music", "", "bank music"):
            notes.write(LATENT, LABEL, text=label, author="Ana")
        assert notes.of(LATENT).label == "bank music"
        assert [entry.text for entry in notes.of(LATENT).labels] == ["music", "hold music", "", "bank music"]

    def test_stars_and_tags_can_be_taken_back(self, tmp_path):
        notes = Notes(tmp_path)
        for kind, text in ((STAR, ""), (TAG, "a"), (TAG, "b"), (UNTAG, "a"), (UNSTAR, "")):
            notes.write(CLIP, kind, text=text, author="Ana")
        assert (notes.of(CLIP).is_starred, notes.of(CLIP).tags) == (False, ["b"])
        assert len(notes.of(CLIP).entries) == 5

    def test_an_sae_trained_again_is_another(self, tmp_path):
        notes = Notes(tmp_path)
        notes.write(LATENT, LABEL, text="hold music", author="Ana")
        again = replace(LATENT, fingerprint="fedcba9876543210")
        assert notes.of(again).is_empty and notes.latent_labels(again.fingerprint) == {}
        earlier = notes.of_earlier(again.sae, again.fingerprint, again.latent)
        assert [(subject, found.label) for subject, found in earlier] == [(LATENT, "hold music")]
        assert notes.of_earlier(LATENT.sae, LATENT.fingerprint, LATENT.latent) == []
        assert notes.of_latents(LATENT.fingerprint)[7].label == "hold music"
        # the same weights under another name are the same latents
        renamed = replace(LATENT, sae="best")
        assert notes.of(renamed).label == notes.of_latents(renamed.fingerprint)[7].label == "hold music"

    @pytest.mark.parametrize(
        ("kind", "text"),
        [
            (LABEL, "x" * 81),
            (TAG, " "),
            (COMMENT, "\n\x00"),
            (COMMENT, "x" * 4001),
            ("praise", "x"),
            (STAR, "x"),
        ],
    )
    def test_words_that_cannot_be_kept_are_refused(self, tmp_path, kind, text):
        with pytest.raises(ValueError, match="signs|words|kind"):
            Notes(tmp_path).write(CLIP, kind, text=text, author="Ana")
        assert not Notes(tmp_path).path.exists()

    @pytest.mark.parametrize("author", ["", " \t", "x" * 61])
    def test_nobody_writes_without_a_name(self, tmp_path, author):
        with pytest.raises(ValueError, match="author"):
            Notes(tmp_path).write(CLIP, LABEL, text="music", author=author)

    def test_signs_that_would_turn_or_hide_text_are_left_out(self):
        assert clean_text("a\u202eb\x00c\x1b[31m\ud800", LABEL) == "abc[31m?"
        assert clean_text("one\r\n two \x0b\u2028three\n", COMMENT) == "one\ntwo\n\nthree"
        assert clean_text("e\x00\u0301 👩\u200d🔧", LABEL) == "é 👩\u200d🔧"

    @given(st.text(max_size=60), st.sampled_from([LABEL, COMMENT]))
    def test_clean_text_is_clean(self, text, kind):
        once = clean_text(text or "x", LABEL if kind == LABEL else COMMENT) if text.strip() else ""
        assert once == "" or clean_text(once, kind) == once

    def test_a_subject_is_a_latent_or_a_clip(self):
        for wrong in ({}, {"sae": "a", "latent": 1}, {"clip": "a", "latent": 3}, {"clip": "a\x00"},
                      {"sae": "a", "fingerprint": "b", "latent": -2}, {"clip": "x" * 1001}):  # fmt: skip
            with pytest.raises(ValueError, match="subject|name"):
                Subject(**wrong)


WRITER = """
import sys
from pathlib import Path
from sae_core.workspace.notes import Notes
from sae_core.workspace.note_entries import Subject
who, folder = sys.argv[1], Path(sys.argv[2])
for number in range(25):
    Notes(folder).write(Subject(clip="shared"), "comment", text=f"{who} {number}", author=who)
    Notes(folder).write(Subject(clip="shared"), "label", text=f"{who} {number}", author=who)
"""


class TestTogether:
    def test_two_processes_keep_all_their_words(self, tmp_path):
        writers = [
            subprocess.Popen([sys.executable, "-c", WRITER, who, str(tmp_path)], cwd=REPOSITORY)
            for who in ("Ana", "Bo")
        ]
        assert [writer.wait(timeout=60) for writer in writers] == [0, 0]
        found = Notes(tmp_path).of(Subject(clip="shared"))
        for who in ("Ana", "Bo"):
            for entries in (found.comments, found.labels):
                assert [e.text for e in entries if e.author == who] == [f"{who} {n}" for n in range(25)]
        assert found.label == found.labels[-1].text

    def test_threads_of_one_server_keep_all_their_words(self, tmp_path):
        notes, seen = Notes(tmp_path), []

        def write(who):
            for number in range(15):
                entry = notes.write(LATENT, COMMENT, text=str(number), author=who)
                seen.append(entry.uid in [other.uid for other in notes.of(LATENT).entries])

        threads = [threading.Thread(target=write, args=(f"person {number}",)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(notes.of(LATENT).comments) == 60
        assert len(seen) == 60 and all(seen)  # everyone reads what was just written

    def test_a_file_held_by_another_is_waited_for_and_then_told(self, tmp_path, monkeypatch):
        notes = Notes(tmp_path)
        notes.write(CLIP, LABEL, text="music", author="Ana")
        holder = sqlite3.connect(notes.path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        assert Notes(tmp_path).of(CLIP).label == "music"  # who writes keeps nobody from reading
        monkeypatch.setattr("sae_core.workspace.notes_file.BUSY_TIMEOUT_S", 0.1)
        with pytest.raises(ArtifactError, match="busy.*not kept yet"):
            notes.write(CLIP, LABEL, text="speech", author="Bo")
        holder.execute("COMMIT")
        holder.close()
        notes.write(CLIP, LABEL, text="speech", author="Bo")
        assert notes.of(CLIP).label == "speech"


class TestExport:
    @given(st.lists(entries_of(), max_size=12, unique_by=lambda entry: entry.uid))
    def test_export_and_import_bring_everything_back(self, entries):
        text = notes_to_json(entries, workspace="here")
        assert notes_from_json(text.encode(), where="x") == in_order(entries)
        again = gather_notes(notes_from_json(text.encode(), where="x"))
        assert again == gather_notes(entries)

    def test_an_import_adds_and_overwrites_nothing(self, tmp_path):
        here, there = Notes(tmp_path / "a"), Notes(tmp_path / "b")
        for notes in (here, there):
            notes.path.parent.mkdir()
        here.write(LATENT, LABEL, text="music", author="Ana")
        there.merge(here.entries())
        here.write(LATENT, LABEL, text="hold music", author="Ana")
        there.write(LATENT, COMMENT, text="heard it too", author="Bo")
        forged = replace(there.entries()[0], text="forged")
        report = here.merge(
            [*notes_from_json(notes_to_json(there.entries(), workspace="b").encode(), where="b"), forged]
        )
        assert (report.n_new, report.n_known) == (1, 2)
        assert here.of(LATENT).label == "hold music"
        assert [entry.text for entry in here.of(LATENT).labels] == ["music", "hold music"]
        assert [entry.text for entry in here.of(LATENT).comments] == ["heard it too"]
        assert here.merge(here.entries()).n_new == 0

    def good(self):
        entry = NoteEntry.now(LATENT, LABEL, "music", author="Ana")
        return json.loads(notes_to_json([entry], workspace="here"))

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"\xff\xfe", "not valid JSON"),
            (b"[" * 100_000, "not valid JSON"),
            (b"[]", "no notes"),
            (b'{"kind": "voxscope-notes"}', "format version"),
            (b'{"kind": "voxscope-notes", "format_version": 1, "entries": {}}', "no list"),
            (b'{"kind": "voxscope-notes", "format_version": 1, "entries": [3]}', "entry 1 cannot be used"),
        ],
    )
    def test_files_that_are_no_export_are_refused(self, content, message):
        with pytest.raises(ArtifactError, match=message):
            notes_from_json(content, where="notes.json")

    @pytest.mark.parametrize(
        "change",
        [
            {"uid": "../../etc/passwd"}, {"uid": 3}, {"kind": "drop"}, {"text": "x" * 81}, {"text": "a\x00b"},
            {"text": None}, {"author": ""}, {"written_at": "yesterday"}, {"written_at": "2026-01-01"},
            {"written_at": "9999-01-01T00:00:00.000000+00:00"}, {"extra": "x"}, {"subject": []},
            {"subject": {"clip": "a", "latent": 1}}, {"subject": {"clip": ["a"]}}, {"subject": {"evil": "x"}},
            {"subject": {"sae": "a", "fingerprint": "b", "latent": True}},
            {"subject": {"sae": "a", "fingerprint": "b", "latent": 10**400}},
            {"subject": {"sae": "a", "fingerprint": "b", "latent": 1.5}},
        ],
    )  # fmt: skip
    def test_entries_that_cannot_be_are_named_by_number(self, tmp_path, change):
        whole = self.good()
        whole["entries"].append({**whole["entries"][0], "uid": "f" * 32, **change})
        with pytest.raises(ArtifactError, match=r"notes\.json: entry 2 cannot be used"):
            notes_from_json(json.dumps(whole).encode(), where="notes.json")

    def test_an_export_too_large_is_refused_before_it_is_read(self, monkeypatch):
        monkeypatch.setattr("sae_core.workspace.note_entries.MAX_NOTES_BYTES", 100)
        with pytest.raises(ArtifactError, match="larger than"):
            notes_from_json(b" " * 101, where="x")
        monkeypatch.undo()
        monkeypatch.setattr("sae_core.workspace.note_entries.MAX_ENTRIES", 0)
        with pytest.raises(ArtifactError, match="at most 0"):
            notes_from_json(json.dumps(self.good()).encode(), where="x")

    @given(any_json)
    def test_whatever_json_comes_only_one_kind_of_error_leaves(self, value):
        whole = {"kind": "voxscope-notes", "format_version": 1, "entries": [value]}
        for content in (json.dumps(value), json.dumps(whole)):
            with pytest.raises(ArtifactError):
                notes_from_json(content.encode(), where="x")


class TestBrokenFiles:
    def broken(self, tmp_path, content):
        (tmp_path / "notes.sqlite").write_bytes(content)
        return Notes(tmp_path)

    def check(self, notes, message):
        before = notes.path.read_bytes()
        with pytest.raises(ArtifactError, match=message) as caught:
            notes.of(LATENT)
        assert str(notes.path) in str(caught.value)
        assert notes.latent_labels(LATENT.fingerprint) == {}
        with pytest.raises(ArtifactError, match=message):
            notes.write(LATENT, LABEL, text="x", author="Ana")
        assert notes.path.read_bytes() == before  # nothing is lost

    def test_a_damaged_file_says_so_and_is_left_as_it_is(self, tmp_path):
        self.check(
            self.broken(tmp_path, b"no database at all, " * 300), "damaged or no notes file.*notes import"
        )

    def test_a_file_cut_short_says_so(self, tmp_path):
        notes = Notes(tmp_path)
        for number in range(80):
            notes.write(CLIP, COMMENT, text=f"{number} " * 60, author="Ana")
        whole = notes.path.read_bytes()
        notes.path.write_bytes(whole[:4096] + os.urandom(len(whole) - 8192))
        with pytest.raises(ArtifactError, match="damaged"):
            Notes(tmp_path).entries()
        assert Notes(tmp_path).latent_labels("any") == {}

    def test_a_database_of_something_else_is_left_alone(self, tmp_path):
        other = sqlite3.connect(tmp_path / "notes.sqlite")
        other.execute("CREATE TABLE shopping (item TEXT)")
        other.execute("PRAGMA journal_mode = WAL")
        other.commit()
        other.close()
        self.check(Notes(tmp_path), "no notes file of VoxScope")

    def test_notes_of_a_newer_voxscope_are_left_alone(self, tmp_path):
        notes = Notes(tmp_path)
        notes.write(CLIP, LABEL, text="music", author="Ana")
        database = sqlite3.connect(notes.path)
        database.execute("PRAGMA user_version = 9")
        database.close()
        self.check(Notes(tmp_path), "newer VoxScope.*update")

    def test_an_entry_put_in_by_another_hand_is_not_believed(self, tmp_path):
        notes = Notes(tmp_path)
        notes.write(CLIP, LABEL, text="music", author="Ana")
        database = sqlite3.connect(notes.path)
        database.execute("UPDATE entries SET kind = 'drop'")
        database.commit()
        database.close()
        with pytest.raises(ArtifactError, match="entry that cannot be read"):
            Notes(tmp_path).of(CLIP)

    def test_words_with_sql_in_them_are_only_words(self, tmp_path):
        notes = Notes(tmp_path)
        evil = "x'); DROP TABLE entries; --"
        notes.write(Subject(clip=evil), LABEL, text=evil, author="Robert'); --")
        assert Notes(tmp_path).of(Subject(clip=evil)).label == evil

    def test_an_empty_file_holds_no_notes_yet(self, tmp_path):
        notes = self.broken(tmp_path, b"")
        assert notes.entries() == []
        notes.write(CLIP, LABEL, text="music", author="Ana")
        assert notes.of(CLIP).label == "music"

    def test_a_folder_that_is_gone_says_so(self, tmp_path):
        notes = Notes(tmp_path / "gone")
        assert notes.entries() == []
        with pytest.raises(ArtifactError, match="cannot be used"):
            notes.write(CLIP, LABEL, text="music", author="Ana")

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_a_folder_that_may_only_be_read_still_shows_its_notes(self, tmp_path):
        notes = Notes(tmp_path)
        notes.write(CLIP, LABEL, text="music", author="Ana")
        tmp_path.chmod(0o555)
        try:
            assert Notes(tmp_path).of(CLIP).label == "music"
            with pytest.raises(ArtifactError, match="cannot be used"):
                Notes(tmp_path).write(CLIP, LABEL, text="speech", author="Ana")
        finally:
            tmp_path.chmod(0o755)


def test_verbs_take_notes_away_and_bring_them_in(own_workspace, tmp_path, capsys):
    from sae_core.__main__ import main

    Notes(own_workspace).write(LATENT, LABEL, text="hold music", author="Ana")
    file = tmp_path / "notes.json"
    assert main(["notes", "export", "--workspace", str(own_workspace), "--file", str(file)]) == 0
    (own_workspace / "notes.sqlite").unlink()
    for said in ("1 entries added, 0 were there", "0 entries added, 1 were there"):
        assert main(["notes", "import", str(file), "--workspace", str(own_workspace)]) == 0
        assert said in capsys.readouterr().out
    assert Notes(own_workspace).of(LATENT).label == "hold music"
    assert main(["notes", "import", str(tmp_path / "none.json"), "--workspace", str(own_workspace)]) != 0
    assert "cannot be read" in capsys.readouterr().err
