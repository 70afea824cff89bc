"""What a build starts from: a folder on the server, an uploaded zip, or the clips of the open workspace."""

from dataclasses import dataclass
from pathlib import Path

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from pages.parts.build.reading import Reading, choose_reading
from pages.shared import links
from pages.shared.caching import cached
from pages.shared.choices import choose_one
from pages.shared.facts import fact_list, noticed
from pages.shared.wording import counted
from sae_core.corpus.importing import ImportSettings
from sae_core.corpus.inspection import find_two_sided
from sae_core.corpus.surveys import Survey, survey_folder, survey_zip, two_sided_in_zip
from sae_core.corpus.zips import USUAL_LIMITS, inspect_zip
from sae_core.workspace.places import Places

FOLDER, ZIP, HERE = "folder", "zip", "here"
KIND_WORDS = {
    FOLDER: ":material/folder_open: A folder on this server",
    ZIP: ":material/folder_zip: A zip from your computer",
    HERE: ":material/library_music: Extend the current workspace",
}
FROM, ROOT, INSIDE = "from", "root", "in"
UPLOADS = "build uploads"
MIB = 1024 * 1024
NO_ROOTS = (
    "Folders can be chosen only below places that the server's owner named: start it with "
    "`python -m sae_core serve --import-root FOLDER`. Or upload a zip."
)


@dataclass(frozen=True)
class BuildSource:
    """What was chosen: where it is, how it is read, and what to call it.

    two_sided: of the recordings that were looked at, those with two different sides, as both ends of a call.
    """

    kind: str
    name: str
    reading: Reading | None = None
    folder: Path | None = None
    upload: UploadedFile | None = None
    two_sided: tuple[str, ...] = ()

    @property
    def survey(self) -> Survey | None:
        """What is in it, as far as that was looked at."""
        return None if self.reading is None else self.reading.survey


def choose_source(places: Places) -> BuildSource | None:
    """Let people choose, show what was found, and return it; None while there is nothing to build from."""
    can_go_on = places.opened is not None or bool(places.workspaces())
    kinds = [kind for kind in KIND_WORDS if kind != HERE or can_go_on]
    kind = choose_one(
        FROM, {kind: KIND_WORDS[kind] for kind in kinds}, usual=FOLDER if places.roots else ZIP, noun="the source",
        draw=st.segmented_control, label="Build from", required=True,
    )  # fmt: skip
    if kind == HERE:
        path = places.workspace(links.chosen(links.WORKSPACE))
        st.markdown(
            f"Whatever **{path.name}** lacks is built from the clips it holds. Another embedder or a larger grid is "
            "added to what is there."
        )
        return BuildSource(HERE, path.name, folder=path)
    source = _choose_upload() if kind == ZIP else _choose_folder(places)
    survey = None if source is None else source.survey
    if survey is not None and not survey.n_recordings and not survey.is_partial:
        st.info("There are no recordings here.", icon=":material/search_off:")
        fact_list(noticed(survey.notices))
        return None
    return source


def forget_upload() -> None:
    """Let the server's memory go of an uploaded zip: the next uploader is another one."""
    st.session_state[UPLOADS] = st.session_state.get(UPLOADS, 0) + 1


def _choose_upload() -> BuildSource | None:
    upload = st.file_uploader(
        "A zip of recordings",
        type="zip",
        key=f"build_zip_{st.session_state.get(UPLOADS, 0)}",
        # a round number of MB below the limit: the uploader would call 512 MiB "1GB"
        max_upload_size=min(500, USUAL_LIMITS.zip_bytes // MIB),
        help="Any folder of recordings, packed. A table of labels beside them (labels.csv) is used; without one the "
        "names of folders are the labels.",
    )
    if upload is None:
        return None
    file_id = str(upload.file_id)
    reading = choose_reading(file_id, lambda settings: _survey_zip(upload, file_id, settings))
    sides = _two_sided_in_zip(upload, file_id, _below(reading.survey))
    return BuildSource(ZIP, Path(upload.name).stem, reading, upload=upload, two_sided=sides)


def _below(survey: Survey) -> tuple[str, ...]:
    """The names of some recordings, relative to what was looked at."""
    return tuple(name if survey.source == "." else f"{survey.source}/{name}" for name in survey.examples)


def _choose_folder(places: Places) -> BuildSource | None:
    if not places.roots:
        st.info(NO_ROOTS, icon=":material/folder_off:")
        return None
    names = [str(root) for root in places.roots]
    wanted = links.chosen(ROOT)
    root = wanted if wanted in names else names[0]
    inside = (links.chosen(INSIDE) or "").strip("/") if wanted in (None, root) else ""
    folder = places.import_folder(root, inside)
    _draw_browser(places, root, inside)
    with st.spinner("Looking …"):
        reading = choose_reading(str(folder), lambda settings: _survey(str(folder), settings))
        sides = _two_sided(str(folder), _below(reading.survey))
    return BuildSource(FOLDER, folder.name, reading, folder=folder, two_sided=sides)


def _draw_browser(places: Places, root: str, inside: str) -> None:
    """Where we are, and ways up and down; every step is in the address."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="build_browser"):
        if len(places.roots) > 1:
            names = [str(path) for path in places.roots]
            st.session_state["build_root"] = root
            st.selectbox("Import root", names, key="build_root", on_change=_go_to_root, width=280)
        st.session_state["build_folder"] = None
        below = places.import_folders(root, inside)
        st.selectbox(
            "Open a folder", below, key="build_folder", on_change=_go_down, args=(inside,), width=280,
            placeholder=f"{counted(len(below), 'folder')} in here" if below else "no folders in here",
            disabled=not below,
        )  # fmt: skip
        up = inside.rpartition("/")[0]
        st.button(
            "Up",
            icon=":material/arrow_upward:",
            disabled=not inside,
            on_click=_go,
            args=(up,),
            key="build_up",
        )
    st.caption(f"`{root}{'/' + inside if inside else ''}`")


def _go_to_root() -> None:
    links.choose(ROOT, st.session_state["build_root"])
    links.choose(INSIDE, "")


def _go_down(inside: str) -> None:
    name = st.session_state["build_folder"]
    if name is not None:
        _go(f"{inside}/{name}" if inside else name)


def _go(inside: str) -> None:
    links.choose(INSIDE, inside)


@cached(keep=50, ttl_s=60)
def _survey(folder: str, settings: ImportSettings) -> Survey:
    return survey_folder(Path(folder), settings)


@cached(keep=50, ttl_s=600)
def _two_sided(folder: str, names: tuple[str, ...]) -> tuple[str, ...]:
    return find_two_sided(Path(folder), names)


@cached(keep=8)
def _survey_zip(_upload: UploadedFile, file_id: str, settings: ImportSettings) -> Survey:  # noqa: ARG001 - the key
    return survey_zip(inspect_zip(_upload, _upload.name), settings)


@cached(keep=8)
def _two_sided_in_zip(_upload: UploadedFile, file_id: str, names: tuple[str, ...]) -> tuple[str, ...]:  # noqa: ARG001
    return two_sided_in_zip(_upload, inspect_zip(_upload, _upload.name), names)
