"""Build: from a folder or a zip of recordings to a workspace like the others, watched while it is made."""

import shutil
from dataclasses import replace
from pathlib import Path

import streamlit as st

from pages.parts.build.job import STATE_BADGES, watch_job
from pages.parts.build.options import choose_options
from pages.parts.build.source import HERE, BuildSource, choose_source, forget_upload
from pages.shared import links
from pages.shared.choices import nearest, tell_unknown
from pages.shared.person import need
from pages.shared.problems import shown
from pages.shared.session import draw_head
from sae_core.build.jobs import job_status, start_job
from sae_core.build.plan import BuildPlan
from sae_core.corpus.zips import unpack_zip
from sae_core.files.errors import VoxScopeError
from sae_core.workspace.people import EVERYWHERE
from sae_core.workspace.places import Places

JOB = "job"
UNPACKED = "recordings"
N_LISTED = 12
NO_FOLDER = (
    "This server keeps no folder for new workspaces; to build some here, start it with "
    "`python -m sae_core serve --workspaces FOLDER`."
)


def main() -> None:
    """Draw the page."""
    draw_head(
        "New workspace",
        "From a folder or a zip of recordings to a workspace: clips, embeddings, SAEs, indexes, maps.",
        why="The build runs on the server: you may close this window and come back later.",
    )
    need("build", EVERYWHERE)
    places = Places.from_environment()
    builds = places.built()
    watched = links.chosen(JOB)
    if watched is not None and watched in builds:
        with st.container(border=True, key="build_job"), shown("build"):
            watch_job(watched, builds[watched])
        st.button("Build another", icon=":material/add:", on_click=links.forget, args=(JOB,), key="build_new")
    else:
        if watched:
            tell_unknown(JOB, watched, noun="the build", shown="a new build", near=nearest(watched, builds))
        with st.container(border=True, key="build_form"), shown("build"):
            draw_form(places)
    draw_builds({name: path for name, path in builds.items() if name != watched})


def draw_form(places: Places) -> None:
    """Choose what to build from and how, and start."""
    if places.folder is None:
        st.info(NO_FOLDER, icon=":material/create_new_folder:")
    source = choose_source(places)
    if source is None:
        return
    st.divider()
    name, plan = choose_options(places, source)
    is_ready = plan is not None and (places.folder is not None or source.kind == HERE)
    is_ready = is_ready and not (source.survey and source.survey.problem)
    started = st.button(
        "Build", type="primary", icon=":material/construction:", disabled=not is_ready, key="build_start"
    )
    if started and plan is not None:
        begin(places, source, name, plan)
        links.choose(JOB, name)
        forget_upload()
        st.rerun()


def begin(places: Places, source: BuildSource, name: str, plan: BuildPlan) -> None:
    """Make the workspace's folder, unpack what was uploaded, and start the build; on failure nothing is left of it."""
    if source.kind == HERE:
        assert source.folder is not None
        start_job(replace(plan, source=str(source.folder)), source.folder)
        return
    workspace = places.claim(name)
    try:
        start_job(settle(source, workspace, plan), workspace)
    except VoxScopeError:
        shutil.rmtree(workspace, ignore_errors=True)
        raise


def settle(source: BuildSource, workspace: Path, plan: BuildPlan) -> BuildPlan:
    """The plan with its recordings and labels in place: an upload unpacked into the workspace, a folder left alone."""
    assert source.reading is not None
    reading = source.reading
    if source.upload is None:
        assert source.folder is not None
        top = source.folder
    else:
        bar = st.progress(0.0, text="Unpacking …")

        def follow(n_done: int, n_total: int, note: str = "") -> None:  # noqa: ARG001 - as every Progress
            bar.progress(n_done / max(1, n_total), text="Unpacking …")

        unpack_zip(source.upload, source.upload.name, workspace / UNPACKED, progress=follow)
        top = Path(UNPACKED)
    top = top / reading.survey.source
    return replace(
        plan,
        source=str(top),
        labels=None if reading.labels is None else str(top / reading.labels),
        layout=reading.layout,
        speakers=reading.speakers,
        splits=reading.splits,
    )


def draw_builds(builds: dict[str, Path]) -> None:
    """Builds of earlier, and those of others, to look at."""
    if not builds:
        return
    st.header("Builds here", anchor=False)
    for name, path in list(builds.items())[:N_LISTED]:
        status = job_status(path)
        if status is None:
            continue
        with st.container(horizontal=True, vertical_alignment="center", key=f"build_row_{name}"):
            st.button(
                name, type="tertiary", on_click=links.choose, args=(JOB, name), key=f"build_watch_{name}"
            )
            st.markdown(STATE_BADGES[status.state], width="content")


main()
