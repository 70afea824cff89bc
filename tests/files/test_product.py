"""Where the product lies, in a checkout and as installed, and where data goes when nobody names a folder."""

from pathlib import Path

import pytest

from sae_core.files import product
from sae_core.workspace import places
from sae_core.workspace.places import usual_folder

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """As if `sae_core` lay in site-packages, with the folder voxscope beside it; returns that folder."""
    folder = tmp_path / "site-packages" / "voxscope"
    folder.mkdir(parents=True)
    (folder / "app.py").touch()
    monkeypatch.setattr(product, "CODE", folder.parent)
    monkeypatch.setattr(places, "CODE", folder.parent)
    return folder


def test_a_checkout_is_its_own_product():
    assert product.product_folder() == REPOSITORY
    assert product.is_checkout()
    assert product.asset("logo.svg").is_file()


def test_an_installed_product_lies_in_a_folder_of_its_own(installed):
    assert product.product_folder() == installed
    assert not product.is_checkout()
    assert product.asset("demo", "demo.json") == installed / "assets" / "demo" / "demo.json"


def test_workspaces_lie_in_the_current_folder_where_it_has_them(installed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert usual_folder() == tmp_path / "data" / "voxscope" / "workspaces"
    (tmp_path / "workspaces").mkdir()
    assert usual_folder() == tmp_path / "workspaces"


def test_a_checkout_keeps_its_workspaces_beside_its_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert usual_folder() == REPOSITORY / "workspaces"


@pytest.mark.parametrize(
    ("system", "chosen", "expected"),
    [
        ("linux", "", "{home}/.local/share/voxscope"),
        ("linux", "relative/is/no/place", "{home}/.local/share/voxscope"),
        ("linux", "/data", "/data/voxscope"),
        ("darwin", "", "{home}/Library/Application Support/voxscope"),
    ],
)
def test_data_of_a_person_goes_where_the_system_keeps_it(system, chosen, expected, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", chosen)
    monkeypatch.setattr(product.sys, "platform", system)
    assert str(product.user_data_folder()) == expected.format(home=tmp_path)
