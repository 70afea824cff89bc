"""A build to watch: its steps, how fast it goes, how its autoencoders learn, what it logs; and to cancel or go on."""

from pathlib import Path

import streamlit as st

from pages.parts.build.curves import draw_curves
from pages.shared import links
from pages.shared.data_checks import first_look_words
from pages.shared.facts import fact_list, understood
from pages.shared.problems import say_remedy, shown
from pages.shared.wording import plain
from sae_core.build.job_records import JobStatus, StepStatus, log_tail
from sae_core.build.jobs import cancel_job, job_status, resume_job
from sae_core.build.plan import summary_of

WATCH_EVERY_S = 1.5
STEP_WORDS = {
    "import": "Import",
    "measure": "Measure acoustics",
    "embed": "Embed",
    "sweep": "Train SAEs",
    "index": "Index",
    "lineage": "Trace lineage",
    "trust": "Compare seeds, group latents",
    "maps": "Lay out maps (UMAP)",
    "guess": "Guess labels where there are none",
}
STATE_BADGES = {
    "running": ":blue-badge[:material/sync: running]",
    "finished": ":green-badge[:material/check: finished]",
    "failed": ":red-badge[:material/error: failed]",
    "cancelled": ":gray-badge[:material/cancel: cancelled]",
    "stopped": ":orange-badge[:material/power_off: stopped unexpectedly]",
}
STOPPED = (
    "The process that was building ended unexpectedly: perhaps the machine was switched off, or ran out of "
    "memory. What is finished is kept."
)


def watch_job(name: str, path: Path) -> None:
    """Draw a build; a running one is drawn anew all the time, by itself."""
    status = job_status(path)
    if status is not None and status.state == "running":
        st.fragment(_watch, run_every=WATCH_EVERY_S)(name, path)
    elif status is not None:
        # a fragment has a container too: where it stood, nothing is drawn into what it leaves behind
        with st.container():
            _draw(name, path, status)


def _watch(name: str, path: Path) -> None:
    status = job_status(path)
    if status is None or status.state != "running":
        st.rerun()
    with shown("build"):
        _draw(name, path, status)


def _draw(name: str, path: Path, status: JobStatus) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="build_head"):
        st.header(name, anchor=False, width="content")
        st.markdown(STATE_BADGES[status.state], width="content")
        _draw_actions(name, path, status)
    if status.problem:
        st.error(f"{plain(status.problem)}.")
        say_remedy(status.remedy, after="resume the build")
    if status.state == "stopped":
        st.warning(STOPPED)
    _draw_understood(name, path, status)
    steps, curves = st.columns([2, 3], gap="large")
    with steps:
        if not status.number and status.state == "running":
            st.caption("The process is starting …")
        for step in status.steps:
            _draw_step(step, status)
    with curves:
        draw_curves(path)
    with st.expander("Log", icon=":material/terminal:"):
        st.code(log_tail(path) or "Nothing yet.", language=None, wrap_lines=True)


def _draw_understood(name: str, path: Path, status: JobStatus) -> None:
    """What the import understood, as soon as it is over, and what was seen of the sound once that is measured."""
    done = {step.name for step in status.steps if step.state == "done"}
    summary = summary_of(path) if "import" in done else None
    if summary is not None:
        for warning in summary.warnings:
            st.warning(f"{plain(warning[:1].upper() + warning[1:])}.", icon=":material/rule:")
        with st.expander("What the import understood", icon=":material/fact_check:"):
            fact_list(understood(summary))
    if "measure" in done and (words := first_look_words(path)):
        with st.container(horizontal=True, vertical_alignment="center", key="build_data_check"):
            st.markdown(words, width="content")
            if status.state == "finished":
                st.page_link(
                    "pages/data_check.py",
                    label="Compare copies, labels and speakers",
                    icon=":material/rule:",
                    query_params={links.WORKSPACE: name},
                )


def _draw_step(step: StepStatus, status: JobStatus) -> None:
    words = STEP_WORDS.get(step.name, step.name)
    if step.state == "done":
        st.markdown(
            f":green[:material/check_circle:] **{words}** · {duration_words(step.took_s)}  \n:gray[{step.outcome}]"
        )
    elif step.state == "waiting":
        st.markdown(f":gray[:material/radio_button_unchecked: {words}]")
    elif status.state != "running":
        st.markdown(f":orange[:material/pause_circle:] **{words}** :gray[was not finished]")
    else:
        st.markdown(
            f":blue[:material/progress_activity:] **{words}** · step {status.number} of {len(status.steps)}"
        )
        share = status.n_done / status.n_total if status.n_total else 0.0
        st.progress(min(1.0, share), text=pace_words(status))


def pace_words(status: JobStatus) -> str:
    """How far the running step is, how fast it goes and how long it will take."""
    if not status.n_total:
        return "beginning …"
    words = f"{status.n_done:,} of {status.n_total:,}"
    if status.rate:
        words += (
            f" · {status.rate:,.1f} per second" if status.rate >= 1 else f" · {1 / status.rate:,.1f} s each"
        )
    if status.eta_s is not None:
        words += f" · {duration_words(status.eta_s)} left"
    return words


def duration_words(seconds: float) -> str:
    """`8 s`, `3 min`, `2.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _draw_actions(name: str, path: Path, status: JobStatus) -> None:
    if status.state == "running":
        if st.button("Cancel", icon=":material/stop_circle:", key="build_cancel"):
            with st.spinner("Stopping …"):
                cancel_job(path)
            st.rerun()
        return
    if status.state != "finished" and st.button(
        "Resume", icon=":material/resume:", type="primary", key="build_resume"
    ):
        resume_job(path)
        st.rerun()
    if status.state == "finished":
        st.page_link(
            "pages/overview.py",
            label=f"**Open {name}**",
            icon=":material/arrow_forward:",
            query_params={links.WORKSPACE: name},
        )
