"""What is known of a job: its plan, where it is, what it wrote; files in the folder `job` of its workspace."""

import dataclasses
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from sae_core.build.plan import BUILD_STEPS, BuildPlan
from sae_core.files.artifacts import read_json, write_json
from sae_core.files.errors import ArtifactError
from sae_core.files.formats import FORMAT_VERSION
from sae_core.workspace.places import JOB_FOLDER

JobState = Literal["running", "finished", "failed", "cancelled", "stopped"]
MAX_LOG_BYTES = 1_000_000
KEPT_LOG_BYTES = 100_000


@dataclass(frozen=True)
class StepStatus:
    """One step of a job: its name, whether it is waiting, running or done, what it left, and how long it took."""

    name: str
    state: str = "waiting"
    outcome: str = ""
    took_s: float = 0.0


@dataclass(frozen=True)
class JobStatus:
    """Where a job is.

    state: `stopped` means that its process ended unexpectedly. steps: all of them, in order.
    n_done, n_total, note: of the running step. rate: its units a second; eta_s: until it ends; None while unknown.
    started_at, updated_at: seconds since 1970. pid, process_started: who builds. problem, remedy: why it failed.
    """

    state: JobState
    steps: tuple[StepStatus, ...]
    n_done: int = 0
    n_total: int = 0
    note: str = ""
    rate: float | None = None
    eta_s: float | None = None
    started_at: float = 0.0
    updated_at: float = 0.0
    pid: int = 0
    process_started: str = ""
    problem: str = ""
    remedy: str = ""

    @property
    def step(self) -> StepStatus | None:
        """The step that is running, None between steps and at the end."""
        return next((step for step in self.steps if step.state == "running"), None)

    @property
    def number(self) -> int:
        """How many steps have begun."""
        return sum(step.state != "waiting" for step in self.steps)

    def to_json(self) -> dict[str, Any]:
        """All fields, as JSON holds them."""
        return {"format_version": FORMAT_VERSION, **dataclasses.asdict(self)}

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> "JobStatus":
        """The status that `to_json` wrote, also under the earlier name of `steps`; ValueError where it is not one."""
        if "stages" in raw and "steps" not in raw:
            raw = {**raw, "steps": raw["stages"]}
        fields = {field.name for field in dataclasses.fields(cls)}
        known = {name: value for name, value in raw.items() if name in fields}
        try:
            if known["state"] not in get_args(JobState):
                raise ValueError(f"there is no state {known['state']!r}")
            steps = tuple(StepStatus(**step) for step in known.pop("steps"))
            return cls(steps=steps, **known)
        except (KeyError, TypeError) as error:
            raise ValueError(f"is no job status ({error})") from error


class Pace:
    """How fast a step goes: units a second since its first report, and how long the rest takes at that rate."""

    def __init__(self) -> None:
        self._first: tuple[float, int, int] | None = None

    def measure(self, n_done: int, n_total: int) -> tuple[float | None, float | None]:
        """The rate and the seconds left, None while unknown; counting from the start again when the counts do."""
        now = time.monotonic()
        if self._first is None or n_done < self._first[1] or n_total != self._first[2]:
            self._first = (now, n_done, n_total)
        began, n_before, _ = self._first
        if n_done <= n_before or now - began < 0.2:
            return None, None
        rate = (n_done - n_before) / (now - began)
        return rate, max(0, n_total - n_done) / rate


def first_status() -> JobStatus:
    """The status of a job that begins now."""
    now = time.time()
    return JobStatus("running", tuple(map(StepStatus, BUILD_STEPS)), started_at=now, updated_at=now)


def job_file(workspace: Path, name: str) -> Path:
    """Where one of the files of a workspace's job lies."""
    return Path(workspace) / JOB_FOLDER / name


def stored_status(workspace: Path) -> JobStatus | None:
    """What `status.json` says, None where there is none to read; `job_status` says whether it is still true."""
    try:
        return JobStatus.from_json(read_json(job_file(workspace, "status.json")))
    except (ArtifactError, ValueError):
        return None


def write_status(workspace: Path, status: JobStatus) -> None:
    """Replace `status.json`."""
    write_json(job_file(workspace, "status.json"), status.to_json())


def read_plan(workspace: Path) -> BuildPlan:
    """The plan that the last build of a workspace was started with; ArtifactError where there is none."""
    file, remedy = job_file(workspace, "plan.json"), "run: python -m sae_core build FOLDER --workspace W"
    try:
        return BuildPlan.from_json(read_json(file, remedy=remedy))
    except (TypeError, ValueError) as error:
        raise ArtifactError(f"is no build plan ({error})", where=file, remedy=remedy) from error


def log_tail(workspace: Path, *, n_lines: int = 40) -> str:
    """The last lines that a job in a process of its own wrote, without control characters."""
    try:
        with job_file(workspace, "log.txt").open("rb") as stream:
            stream.seek(-min(KEPT_LOG_BYTES, stream.seek(0, os.SEEK_END)), os.SEEK_END)
            text = stream.read().decode("utf-8", "replace")
    except OSError:
        return ""
    # of a line that was drawn over and over, such as a progress bar, only its last state counts
    lines = [line.rstrip().rpartition("\r")[2] for line in text.split("\n")]
    shown = ["".join(c for c in line if c.isprintable() or c == "\t") for line in lines if line.strip()]
    return "\n".join(shown[-n_lines:])


def bound_log(workspace: Path, *, max_bytes: int = MAX_LOG_BYTES) -> None:
    """Shorten a log that has grown too long to its last lines; who writes to it appends, and so goes on after them."""
    with suppress(OSError):
        file = job_file(workspace, "log.txt")
        if file.stat().st_size > max_bytes:
            kept = log_tail(workspace, n_lines=200)
            os.truncate(file, 0)
            with file.open("a", encoding="utf-8") as stream:
                stream.write(kept + "\n")
