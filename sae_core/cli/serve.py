"""The verb serve, and what demo open shares with it."""

import argparse
import errno
import importlib.util
import os
import secrets
import socket
import sys
from pathlib import Path

from sae_core.cli.console import Verbs, add_verb, add_workspace
from sae_core.files.errors import ArtifactError, MissingDependencyError, VoxScopeError
from sae_core.files.processes import server_environment
from sae_core.files.product import product_folder
from sae_core.workspace.people import People
from sae_core.workspace.places import TOKEN_VARIABLE, Places, is_loopback, usual_folder

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
    parser.add_argument("--headless", action="store_true", help="do not open a browser window")
    _add_address(parser)


def _add_address(parser: argparse.ArgumentParser) -> None:
    """Declare where the server is reached and who may sign in."""
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help=f"the port (default {DEFAULT_PORT})")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="the address to listen at: 0.0.0.0 lets other machines in, who then sign in (default 127.0.0.1, this "
        "machine alone)",
    )
    parser.add_argument(
        "--name",
        action="append",
        default=[],
        metavar="HOST",
        help="a name that other machines know this server by, such as voices.example.org (may be given more than once)",
    )
    parser.add_argument(
        "--people",
        type=Path,
        metavar="FILE",
        help="who may sign in, as `people add` writes it; without it a token is printed that lets in whoever has it",
    )
    parser.add_argument(
        "--base-path",
        default="",
        metavar="PATH",
        help="the path below which a proxy shows it, such as /voices",
    )
    parser.add_argument(
        "--log",
        choices=["json"],
        help="write each request to the standard error as a line of JSON with an id, without anything of people's",
    )


def run_serve(options: argparse.Namespace) -> None:
    """Run `serve`."""
    serve(options.workspace, options)


def serve(workspace: Path | None, options: argparse.Namespace) -> None:
    """Replace this process by the app's server; VoxScopeError when nothing can listen there.

    Beyond this machine people sign in: by the names and passwords of a file, or with a token that is printed.

    Without any workspace it opens with the first of the folder of workspaces, or with the page that builds one.
    """
    folder = options.workspaces
    if workspace is None and folder is None:
        folder = usual_folder()
    places = Places.choose(workspace, folder, roots=options.import_root)
    _check(options.host, options.port)
    command = [sys.executable, "-m", SERVER, str(options.port), "--host", options.host]
    command += ["--headless"] if options.headless else []
    names = options.name if is_loopback(options.host) else [*options.name, options.host, socket.gethostname()]
    command += [part for name in names for part in ("--name", name)]
    environment = server_environment(os.environ) | places.as_environment()
    command += ["--log", options.log] if options.log else []
    token = None
    if options.people is not None:
        command += ["--people", str(_people_file(options.people))]
    elif not is_loopback(options.host):
        token = environment.get(TOKEN_VARIABLE) or secrets.token_urlsafe(24)
    environment[TOKEN_VARIABLE] = token or ""
    if options.base_path:
        environment["STREAMLIT_SERVER_BASE_URL_PATH"] = options.base_path.strip("/")
    base = environment.get("STREAMLIT_SERVER_BASE_URL_PATH", "")
    print(
        f"VoxScope opens {places.opened or places.folder} at {_address(options, base, token)}  (Ctrl+C stops it)",
        flush=True,
    )
    # pages/ is found from the folder that the server starts in, which this setting would forbid
    environment.pop("PYTHONSAFEPATH", None)
    os.chdir(product_folder())
    os.execve(sys.executable, command, environment)


def _address(options: argparse.Namespace, base: str, token: str | None) -> str:
    """What to open: under the first name given, else under this machine's."""
    host = options.host if options.host not in ("0.0.0.0", "::") else socket.gethostname()
    host = options.name[0] if options.name else host
    path = f"/{base}" if base else ""
    return f"http://{host}:{options.port}{path}" + (f"/?token={token}" if token else "")


def _people_file(path: Path) -> Path:
    """The file of people, which holds somebody; ArtifactError where it does not."""
    if not len(People.load(path)):
        raise ArtifactError("names nobody", where=path, remedy="run: python -m sae_core people add NAME")
    return path.resolve()


def _check(host: str, port: int) -> None:
    """Raise where there is no app to serve or nothing can listen there."""
    if importlib.util.find_spec("streamlit") is None:
        raise MissingDependencyError("streamlit is not installed", remedy="run: pip install streamlit")
    if not 0 <= port <= MAX_PORT:
        raise VoxScopeError(f"there is no port {port}", remedy=f"choose one up to {MAX_PORT}: --port 8502")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, TypeError, UnicodeError) as error:  # a host that is no name cannot even be looked up
            taken = (
                f"port {port} is in use"
                if getattr(error, "errno", None) == errno.EADDRINUSE
                else f"nothing can listen at {host}:{port}"
            )
            remedy = (
                "choose another: PORT=8502 or --port 8502"
                if is_loopback(host)
                else "choose another --host or --port"
            )
            raise VoxScopeError(taken, remedy=remedy) from error
