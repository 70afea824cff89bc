"""People of a shared server: passwords and roles through the file, and files that are none."""

import json

import pytest

from sae_core.__main__ import main
from sae_core.files.errors import ArtifactError
from sae_core.workspace.people import EVERYWHERE, OWNER, ROLES, People, Person

pytest.importorskip("argon2")
WORD = "correct horse battery"


def test_passwords_and_roles_come_back_from_the_file_that_only_its_owner_reads(tmp_path):
    path = tmp_path / "people.json"
    People({}).with_person("Ána B", WORD, {EVERYWHERE: "read", "calls": "build"}).save(path)
    assert path.stat().st_mode & 0o777 == 0o600 and WORD not in path.read_text()
    found = People.load(path)
    ana = found.person("Ána B", WORD)
    assert ana is not None and ana.role_in("calls") == "build" and ana.role_in("demo") == "read"
    assert found.person("Ána B", WORD + "!") is None and found.person("nobody", WORD) is None
    changed = found.with_person("Ána B", None, {EVERYWHERE: "annotate"})
    assert changed.person("Ána B", WORD).roles == {EVERYWHERE: "annotate", "calls": "build"}
    assert len(changed.without("Ána B")) == 0


@pytest.mark.parametrize("held", [*ROLES, None])
@pytest.mark.parametrize("asked", ROLES)
def test_a_role_includes_those_that_may_less(held, asked):
    person = Person("ana", {} if held is None else {"demo": held})
    expected = held is not None and ROLES.index(held) >= ROLES.index(asked)
    assert person.may(asked, "demo") is expected
    assert not person.may("read", "another") and OWNER.may(asked, "another")


@pytest.mark.parametrize(
    ("name", "password", "roles"),
    [
        ("", WORD, {}), ("a/b", WORD, {}), ("ana\n", WORD, {}), ("ana", "short", {}), ("ana", "x" * 300, {}),
        ("ana", None, {}),
        ("ana", WORD, {EVERYWHERE: "owner"}),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(name, password, roles):
    with pytest.raises(ValueError, match=r"name|password|role"):
        People({}).with_person(name, password, roles)


@pytest.mark.parametrize(
    "content",
    [
        "[]", "{}", '{"format_version": 2, "people": {}}', '{"format_version": 1, "people": {"ana": {"roles": {}}}}',
        '{"format_version": 1, "people": {"ana": {"password": "x", "roles": {"*": "owner"}}}}',
        '{"format_version": 1, "people": {"ana": 3}}',
    ],
)  # fmt: skip
def test_files_that_are_no_list_of_people_are_named(tmp_path, content):
    (tmp_path / "people.json").write_text(content)
    with pytest.raises(ArtifactError, match=r"people\.json"):
        People.load(tmp_path / "people.json")


def test_a_hash_that_is_none_lets_nobody_in(tmp_path):
    entry = {"password": "plain text of old", "roles": {EVERYWHERE: "build"}}
    (tmp_path / "p.json").write_text(json.dumps({"format_version": 1, "people": {"ana": entry}}))
    assert People.load(tmp_path / "p.json").person("ana", "plain text of old") is None


def test_the_verbs_keep_the_list(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", __import__("io").StringIO(f"{WORD}\n"))
    assert main(["people", "add", "ana", "--role", "annotate", "--workspace", "calls"]) in (0, None)
    assert People.load(tmp_path / "people.json").person("ana", WORD).roles == {"calls": "annotate"}
    main(["people", "add", "ana", "--role", "build", "--keep-password"])
    capsys.readouterr()
    main(["people", "list"])
    assert capsys.readouterr().out == "ana: build, annotate in calls\n"
    main(["people", "remove", "ana"])
    assert not len(People.load(tmp_path / "people.json"))
