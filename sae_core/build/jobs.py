"""A build as a process of its own: it outlives the browser and the server, and no two run in one workspace.

Whoever holds the file `lock` in the folder `job` of a workspace is building it. The system lets go of the lock when
that process ends, however it ends, so that a lock which is free under a status that says running means a build that
stopped unexpectedly. Process numbers are only used to send signals, after making sure that the number still stands for
the process that wrote it.
"""

import dataclasses
import fcntl
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from sae_core.build.job_records import (
    KEPT_LOG_BYTES,
    JobState,
    JobStatus,
    Pace,
    StepStatus,
    bound_log,
    first_status,
    job_file,
    read_plan,
    stored_status,
    write_status,
)
from sae_core.build.plan import BuildMoment, BuildPlan, BuildReport, build_workspace
from sae_core.files.artifacts import write_json
from sae_core.files.errors import ArtifactError, VoxScopeError
from sae_core.files.processes import job_environment, send_signal, start_of
from sae_core.files.product import product_folder

WRITE_EVERY_S = 0.5
GRACE_S = 10.0
CLAIM_FOR_S = 1.0
NICENESS = 5
_log = logging.getLogger(__name__)


def start_job(plan: BuildPlan, workspace: Path) -> None:
    """Begin, or go on with, a build of a workspace in a process of its own and return at once.

    Raises ArtifactError when the workspace is being built already or cannot be written.
    """
    workspace = Path(workspace).resolve()
    with _claimed(workspace) as lock:
        bound_log(workspace, max_bytes=KEPT_LOG_BYTES)
        write_json(job_file(workspace, "plan.json"), plan.to_json())
        write_status(workspace, first_status())
        command = [sys.executable, "-m", "sae_core.build.jobs", str(workspace), str(lock)]
        with job_file(workspace, "log.txt").open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=product_folder(),  # nothing there but the app: no module can hide one of Python's
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=job_environment(os.environ),
                pass_fds=(lock,),  # the lock goes over to it without ever being free
                start_new_session=True,
            )
    # somebody must take note of its end, or it would stay in the system's list of processes as long as the server
    threading.Thread(target=process.wait, name="job", daemon=True).start()


def resume_job(workspace: Path) -> None:
    """Go on with the build of a workspace by the plan it was started with; raises as `start_job` and `read_plan`."""
    start_job(read_plan(workspace), workspace)


def run_job(plan: BuildPlan, workspace: Path, *, report: BuildReport = lambda _: None) -> dict[str, str]:
    """Build a workspace in this process, as a job that others see, and return what each step left, in words.

    Raises ArtifactError when the workspace is being built already, and whatever the build raises.
    """
    workspace = Path(workspace).resolve()
    with _claimed(workspace):
        write_json(job_file(workspace, "plan.json"), plan.to_json())
        return _build(plan, workspace, report)


def cancel_job(workspace: Path, *, grace_s: float = GRACE_S) -> None:
    """Stop the build of a workspace: ask its processes to end, and end them after `grace_s`; finished work is kept."""
    workspace = Path(workspace).resolve()
    asked, deadline = 0.0, time.monotonic() + 2 * grace_s
    while is_building(workspace) and time.monotonic() < deadline:
        status = stored_status(workspace)
        if status is not None and status.pid and start_of(status.pid) == status.process_started:
            if not asked:
                send_signal(status.pid, signal.SIGTERM)
                asked = time.monotonic()
            elif time.monotonic() - asked > grace_s:
                send_signal(status.pid, signal.SIGKILL)
        time.sleep(0.05)
    with suppress(ArtifactError), _claimed(workspace):
        status = stored_status(workspace)
        if status is not None and status.state == "running":
            write_status(workspace, dataclasses.replace(status, state="cancelled"))


def is_building(workspace: Path) -> bool:
    """Whether a process is building this workspace now."""
    try:
        descriptor = os.open(job_file(workspace, "lock"), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def job_status(workspace: Path) -> JobStatus | None:
    """Where the build of a workspace is, None where none was ever started."""
    has_builder = is_building(workspace)
    status = stored_status(workspace)
    if status is None or status.state != "running" or has_builder:
        return status
    # it may have ended between the two looks
    status = stored_status(workspace) or status
    return dataclasses.replace(status, state="stopped") if status.state == "running" else status


def main(arguments: list[str]) -> int:
    """Build the workspace `arguments[0]` by its stored plan; `arguments[1]` is the number of the open lock."""
    workspace, lock = Path(arguments[0]), int(arguments[1])
    os.set_inheritable(lock, False)  # a process that this one leaves behind must not hold it
    os.nice(NICENESS)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    _log.info("building %s", workspace)
    try:
        _build(read_plan(workspace), workspace, _tell_log)
    except KeyboardInterrupt:
        _log.info("cancelled")
        return 130
    except VoxScopeError as error:
        _log.error("%s", error)
        return 1
    except Exception:
        _log.exception("the build failed")
        return 1
    _log.info("finished")
    return 0


def _tell_log(moment: BuildMoment) -> None:
    if moment.outcome is not None:
        _log.info("%s: %s (%s)", moment.step, moment.outcome, moment.note)
    elif not moment.n_total:
        _log.info("%s …", moment.step)


def _build(plan: BuildPlan, workspace: Path, report: BuildReport) -> dict[str, str]:
    """Build and keep `status.json` up to date; its last state says how the build ended."""
    status, request = _Reporter(workspace), _EndRequest()

    def tell(moment: BuildMoment) -> None:
        request.check()
        status.follow(moment)
        report(moment)

    try:
        with request.heard():
            outcomes = _build_until(request, plan, workspace, tell)
    except KeyboardInterrupt:
        status.end("cancelled")
        raise
    except VoxScopeError as error:
        where = f"{error.where}: " if error.where else ""
        status.end("failed", problem=f"{where}{error.what}", remedy=error.remedy or "")
        raise
    except Exception as error:
        status.end("failed", problem=f"{type(error).__name__}: {error}", remedy="the log says more")
        raise
    status.end("finished")
    return outcomes


def _build_until(
    request: "_EndRequest", plan: BuildPlan, workspace: Path, report: BuildReport
) -> dict[str, str]:
    """Build; what fails after the build was asked to end fails because of that, and is no failure of its own."""
    try:
        return build_workspace(plan, workspace, report=report)
    except Exception as error:
        if request.came:
            raise KeyboardInterrupt from error
        raise


class _EndRequest:
    """Whether the build was asked to end, by Ctrl+C or as `cancel_job` asks.

    The signal interrupts whatever the main thread does, but that may turn the interrupt into an error of its own, as
    the import of a compiled module does, or lose it; and it ends the helpers of a pool as well. Hence it is remembered.
    """

    def __init__(self) -> None:
        self.came = False

    def check(self) -> None:
        """Interrupt the build if it was asked to end and still goes on."""
        if self.came:
            raise KeyboardInterrupt

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Listen for it; elsewhere than in the main thread signals cannot be heard."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._take) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _take(self, _number: int, _frame: FrameType | None) -> None:
        self.came = True
        raise KeyboardInterrupt


class _Reporter:
    """Writes the status of a running job, now and then while a step goes on and always when one begins or ends."""

    def __init__(self, workspace: Path) -> None:
        self._workspace = workspace
        self._status = dataclasses.replace(
            first_status(), pid=os.getpid(), process_started=start_of(os.getpid())
        )
        self._step_began = self._written = time.monotonic()
        self._pace = Pace()
        self._write()

    def follow(self, moment: BuildMoment) -> None:
        """Take in what the build reports."""
        if moment.outcome is not None:
            took_s = round(time.monotonic() - self._step_began, 1)
            self._set_step(StepStatus(moment.step, "done", moment.outcome, took_s))
        elif not moment.n_total:
            self._step_began, self._pace = time.monotonic(), Pace()
            self._set_step(StepStatus(moment.step, "running"))
        else:
            rate, eta_s = self._pace.measure(moment.n_done, moment.n_total)
            self._change(
                n_done=moment.n_done, n_total=moment.n_total, note=moment.note, rate=rate, eta_s=eta_s
            )
            if time.monotonic() - self._written < WRITE_EVERY_S:
                return
        self._write()

    def end(self, state: JobState, *, problem: str = "", remedy: str = "") -> None:
        """Write how it ended."""
        self._change(state=state, problem=problem, remedy=remedy, rate=None, eta_s=None)
        self._write()

    def _set_step(self, changed: StepStatus) -> None:
        steps = tuple(changed if step.name == changed.name else step for step in self._status.steps)
        self._change(steps=steps, n_done=0, n_total=0, note="", rate=None, eta_s=None)

    def _change(self, **changes: Any) -> None:
        self._status = dataclasses.replace(self._status, **changes)

    def _write(self) -> None:
        self._change(updated_at=time.time())
        write_status(self._workspace, self._status)
        self._written = time.monotonic()
        bound_log(self._workspace)


@contextmanager
def _claimed(workspace: Path) -> Iterator[int]:
    """Hold the lock of a workspace's job; ArtifactError when somebody else does."""
    file = job_file(workspace, "lock")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise ArtifactError(
            f"cannot be written ({error.strerror})", where=file, remedy="choose another workspace"
        ) from error
    try:
        _take(lock, workspace)
        yield lock
    finally:
        os.close(lock)


def _take(lock: int, workspace: Path) -> None:
    deadline = time.monotonic() + CLAIM_FOR_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            # whoever only looks whether it is free holds it for a moment, too
            if time.monotonic() > deadline:
                raise ArtifactError(
                    "is being built already, by another window or another person",
                    where=workspace,
                    remedy="watch that build, or cancel it first",
                ) from error
            time.sleep(0.02)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
