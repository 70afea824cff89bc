"""Names from addresses and forms lead to workspaces and import roots, and nowhere else."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st


@pytest.fixture
def ground(tmp_path):
    """A folder of workspaces (a, b with clips; one empty; a link out), two import roots, and a secret beside them."""
    for name in ("a", "b", "empty"):
        (tmp_path / "workspaces" / name).mkdir(parents=True)
    for name in ("a", "b"):
        (tmp_path / "workspaces" / name / "clips.parquet").touch()
    (tmp_path / "secret" / "deep").mkdir(parents=True)
    (tmp_path / "secret" / "clips.parquet").touch()
    (tmp_path / "workspaces" / "link").symlink_to(tmp_path / "secret")
    for name in ("calls/es/far", "calls/fr", "calls/.hidden", "music"):
        (tmp_path / "roots" / name).mkdir(parents=True)
    (tmp_path / "roots" / "calls" / "out").symlink_to(tmp_path / "secret")
    (tmp_path / "roots" / "calls" / "in").symlink_to(tmp_path / "roots" / "calls" / "es")
    (tmp_path / "roots" / "calls" / "file.wav").touch()
    return tmp_path


def places_of(ground, opened="a"):
    from sae_core.workspace.places import Places

    roots = [ground / "roots" / "calls", ground / "roots" / "music"]
    return Places.choose(
        ground / "workspaces" / opened if opened else None, ground / "workspaces", roots=roots
    )


def test_workspaces_are_those_with_clips_the_opened_one_first(ground):
    places = places_of(ground, "b")
    assert list(places.workspaces()) == ["b", "a"]
    assert places.workspace(None) == places.workspace("b") == ground / "workspaces" / "b"
    assert places.workspace("a") == ground / "workspaces" / "a"
    assert places_of(ground, None).workspace(None) == ground / "workspaces" / "a"


def test_a_folder_named_workspaces_is_taken_for_the_folder_of_them(ground, tmp_path):
    from sae_core.workspace.places import Places

    assert Places.choose(ground / "workspaces" / "a").folder == ground / "workspaces"
    alone = Places.choose(ground / "secret")
    assert alone.folder is None
    assert list(alone.workspaces()) == ["secret"]


@pytest.mark.parametrize(
    "name",
    ["../secret", "link", "..", ".", "", "/", "a/../b", "nobody", "a/", "a\0", "empty", "%2e%2e/secret"],
)
def test_no_name_leads_to_another_folder(ground, name):
    from sae_core.files.errors import ArtifactError

    with pytest.raises(ArtifactError, match="no workspace named"):
        places_of(ground).workspace(name)


@given(name=st.text(max_size=80))
def test_a_claimed_workspace_lies_just_below_or_is_refused(tmp_path_factory, name):
    from sae_core.files.errors import ArtifactError
    from sae_core.workspace.places import Places, is_name

    folder = tmp_path_factory.mktemp("claims")
    places = Places.choose(None, folder)
    try:
        path = places.claim(name)
    except ArtifactError:
        assert list(folder.iterdir()) == []
        return
    assert is_name(name) and path.parent == folder and path.is_dir()
    with pytest.raises(ArtifactError, match="already"):
        places.claim(name)


@pytest.mark.parametrize("name", ["calls", "Calls 2026", "süd-1.2", "x", "a_b+c"])
def test_plain_names_will_do(name, tmp_path):
    from sae_core.workspace.places import Places

    assert Places.choose(None, tmp_path / "new").claim(name) == tmp_path / "new" / name


def test_without_a_folder_nothing_can_be_claimed(ground):
    from sae_core.files.errors import ArtifactError
    from sae_core.workspace.places import Places

    with pytest.raises(ArtifactError, match="serve --workspaces"):
        Places.choose(ground / "secret").claim("x")


def test_folders_below_a_root_can_be_listed_and_others_cannot(ground):
    from sae_core.files.errors import CorpusError

    places, root = places_of(ground), str(ground / "roots" / "calls")
    assert places.import_folders(root) == ["es", "fr", "in"]
    assert places.import_folders(root, "es") == ["far"]
    assert places.import_folder(root, "es/far") == ground / "roots" / "calls" / "es" / "far"
    for inside in (
        "..",
        "../music",
        "out",
        "out/deep",
        "/etc",
        "es/../../../secret",
        "nothing",
        "file.wav",
        "es\0",
    ):
        with pytest.raises(CorpusError, match="no folder below this import root"):
            places.import_folder(root, inside)
    for other in (str(ground / "secret"), str(ground / "roots"), "", "/", root + "/.."):
        with pytest.raises(CorpusError, match="no import root"):
            places.import_folders(other)


def test_places_survive_the_environment_and_missing_roots_are_told_at_the_start(ground):
    from sae_core.files.errors import CorpusError
    from sae_core.workspace.places import Places

    places = places_of(ground)
    assert Places.from_environment(places.as_environment()) == places
    assert Places.from_environment({}) == Places(None, None)
    gone = places.as_environment() | {
        "VOXSCOPE_IMPORT_ROOTS": os.pathsep.join([str(ground / "gone"), str(places.roots[0])])
    }
    assert Places.from_environment(gone).roots == places.roots[:1]
    with pytest.raises(CorpusError, match="import-root"):
        Places.choose(None, None, roots=[ground / "gone"])


def test_builds_are_listed_latest_first(ground):
    from sae_core.build.job_records import first_status, write_status

    for name in ("empty", "b"):
        write_status(ground / "workspaces" / name, first_status())
    os.utime(ground / "workspaces" / "b" / "job" / "status.json", (1, 1))
    assert list(places_of(ground).built()) == ["empty", "b"]
