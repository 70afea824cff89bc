"""Where the app, its pages and its assets lie, which are no library, and where a person's data goes."""

import os
import sys
from pathlib import Path

CODE = Path(__file__).resolve().parents[2]
"""The folder from which `import sae_core` works: a checkout, or the site-packages it was installed into."""
APP_PACKAGE = "voxscope"


def is_checkout() -> bool:
    """Whether this code runs from a checkout, with app.py beside `sae_core`, and not from an installed package."""
    return product_folder() == CODE


def product_folder() -> Path:
    """The folder that holds app.py, pages/ and assets/: the checkout, or the installed folder `APP_PACKAGE`.

    It is always the one that came with this very `sae_core`, also where another one is installed.
    """
    installed = CODE / APP_PACKAGE
    return installed if (installed / "app.py").is_file() else CODE


def asset(*parts: str) -> Path:
    """The path of something below assets/, whether it is there or not."""
    return product_folder().joinpath("assets", *parts)


def user_data_folder() -> Path:
    """Where this system keeps what programs store for a person: XDG's folder, or Application Support on macOS."""
    home = Path.home()
    usual = (
        home / "Library" / "Application Support" if sys.platform == "darwin" else home / ".local" / "share"
    )
    chosen = Path(os.environ.get("XDG_DATA_HOME", ""))
    return (chosen if chosen.is_absolute() else usual) / APP_PACKAGE
