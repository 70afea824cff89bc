"""What a workspace keeps about itself: `workspace.json` with its name, default SAE and embeddings."""

from pathlib import Path
from typing import Any

from sae_core.files.artifacts import read_json, write_json
from sae_core.files.formats import FORMAT_VERSION, check_version

_WORDS = (str, type(None))
_REMEDY = "delete this file: its name and its default SAE are then chosen anew, and nothing else is lost"
_SETTINGS = dict.fromkeys(("name", "default_sae", "embedder", "embedder_model"), _WORDS) | {
    "opened_with": (dict, type(None))
}


def read_settings(path: Path) -> dict[str, Any]:
    """What workspace.json says; ArtifactError when it is damaged or of a newer format. None yet means empty."""
    file = path / "workspace.json"
    if not file.exists():
        return {}
    settings = read_json(file, keys=_SETTINGS, remedy=_REMEDY)
    check_version(settings.get("format_version"), where=file)
    return settings


def update_settings(path: Path, **changes: object) -> None:
    """Change some of workspace.json and keep the rest."""
    write_json(path / "workspace.json", {**read_settings(path), "format_version": FORMAT_VERSION, **changes})
