"""Where the parts of VoxScope that are no library lie: the app, its pages, and the assets that come along."""

import importlib.util
from functools import cache
from pathlib import Path

CODE = Path(__file__).resolve().parents[2]
"""The folder from which `import sae_core` works: a checkout, or the site-packages it was installed into."""
APP_PACKAGE = "voxscope"


@cache
def product_folder() -> Path:
    """The folder that holds app.py, pages/ and assets/: the checkout, or the installed package `APP_PACKAGE`."""
    if (CODE / "app.py").exists():
        return CODE
    found = importlib.util.find_spec(APP_PACKAGE)
    places = list(found.submodule_search_locations or ()) if found else []
    return Path(places[0]) if places else CODE


def asset(*parts: str) -> Path:
    """The path of something below assets/, whether it is there or not."""
    return product_folder().joinpath("assets", *parts)
