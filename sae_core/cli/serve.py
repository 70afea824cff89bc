"""The verb serve, and what demo open shares with it."""

import argparse
import importlib.util
import os
import socket
import sys
from pathlib import Path

from sae_core.cli.console import Verbs, add_verb, add_workspace
from sae_core.files.errors import MissingDependencyError, VoxScopeError
from sae_core.files.processes import server_environment
from sae_core.files.product import product_folder
from sae_core.workspace.places import Places, usual_folder

SERVER = "pages.serving.server"
DEFAULT_PORT = 8501
MAX_PORT = 65_535


def add_verbs(verbs: Verbs) -> None:
    """Declare this verb."""
    parser = add_verb(verbs, "serve", run_serve, "open workspaces in the browser")
    add_workspace(parser, required=False)
    add_server(parser)


def add_server(parser: argparse.ArgumentParser) -> None:
    """Declare what every served workspace takes."""
    parser.add_argument(
        "--workspaces",
        type=Path,
        metavar="DIR",
        help="the folder of all workspaces, to switch between and to build new ones in; by default the one that W "
        "lies in, if its name is workspaces",
    )
    parser.add_argument(
        "--import-root",
        type=Path,
        action="append",
        default=[],
        metavar="FOLDER",
        help="let people build from folders below this one (may be given more than once)",
    )
    parser.add_argument(
        "--port", type=int, default=DEFAULT_PORT, help=f"port on 127.0.0.1 (default {DEFAULT_PORT})"
    )
    parser.add_argument("--headless", action="store_true", help="do not open a browser window")


def run_serve(options: argparse.Namespace) -> None:
    """Run `serve`."""
    serve(options.workspace, options)


def serve(workspace: Path | None, options: argparse.Namespace) -> None:
    """Replace this process by the app's server on 127.0.0.1; VoxScopeError when the port is taken.

    Without any workspace it opens with the first of the folder of workspaces, or with the page that builds one.
    """
    folder = options.workspaces
    if workspace is None and folder is None:
        folder = usual_folder()
    places = Places.choose(workspace, folder, roots=options.import_root)
    _serve(places, port=options.port, headless=options.headless)


def _serve(places: Places, *, port: int, headless: bool) -> None:
    if importlib.util.find_spec("streamlit") is None:
        raise MissingDependencyError("streamlit is not installed", remedy="run: pip install streamlit")
    if not 0 <= port <= MAX_PORT:
        raise VoxScopeError(f"there is no port {port}", remedy=f"choose one up to {MAX_PORT}: --port 8502")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise VoxScopeError(
                f"port {port} is in use", remedy="choose another: PORT=8502 or --port 8502"
            ) from error
    print(
        f"VoxScope opens {places.opened or places.folder} at http://127.0.0.1:{port}  (Ctrl+C stops it)",
        flush=True,
    )
    environment = server_environment(os.environ) | places.as_environment()
    # pages/ is found from the folder that the server starts in, which this setting would forbid
    environment.pop("PYTHONSAFEPATH", None)
    command = [sys.executable, "-m", SERVER, str(port), *(["--headless"] if headless else [])]
    os.chdir(product_folder())
    os.execve(sys.executable, command, environment)
