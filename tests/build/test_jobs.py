"""Builds as processes of their own, with real processes: never twice, killed, resumed, cancelled, and their records."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent.parent
# so many passes that a build is still at it when it is killed
ENDLESS = {"embedder": "ge2e", "variants": ("topk",), "n_latents": (64,), "ks": (8,), "n_epochs": 1_000_000}


def plan_of(source, **fields):
    from sae_core.build.plan import BuildPlan

    return BuildPlan(str(source), **{"embedder": "ge2e", **fields})


def wait_for(is_so, *, timeout_s=60.0):
    deadline = time.monotonic() + timeout_s
    while not (found := is_so()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return found


def members_of_group(leader):
    """Processes, zombies left out, of the group that a job led."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == leader and fields[0] != "Z":
            found.append(stat.parent.name)
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes through /proc")
def test_a_build_is_killed_resumed_and_cancelled_and_never_runs_twice(small_workspace, tmp_path):
    from sae_core.build.jobs import cancel_job, is_building, job_status, resume_job, start_job
    from sae_core.files.errors import ArtifactError

    workspace = tmp_path / "w"
    start_job(plan_of(small_workspace, **ENDLESS, n_at_once=2, seeds=(0, 1)), workspace)
    try:
        assert job_status(workspace).state == "running"
        with pytest.raises(ArtifactError, match="being built already"):
            resume_job(workspace)
        status = wait_for(lambda: is_at(workspace, "sweep"))
        wait_for(lambda: len(members_of_group(status.pid)) >= 4)  # with its two trainers and their keeper
        os.kill(status.pid, signal.SIGKILL)
        wait_for(lambda: not is_building(workspace))
        stopped = job_status(workspace)
        assert (stopped.state, stopped.step.name) == ("stopped", "sweep")
        wait_for(lambda: not members_of_group(status.pid))
        embedded = (workspace / "embeddings" / "ge2e" / "vectors.npy").stat().st_mtime_ns
        resume_job(workspace)
        again = wait_for(lambda: is_at(workspace, "sweep"))
        assert again.pid != status.pid
        assert [step.state for step in again.steps[:4]] == ["done", "done", "done", "running"]
        assert (workspace / "embeddings" / "ge2e" / "vectors.npy").stat().st_mtime_ns == embedded
        cancel_job(workspace)
        assert job_status(workspace).state == "cancelled"
        wait_for(lambda: not members_of_group(again.pid))
    finally:
        cancel_job(workspace, grace_s=1.0)


def is_at(workspace, step):
    from sae_core.build.jobs import job_status

    status = job_status(workspace)
    assert status.state == "running", (workspace / "job" / "log.txt").read_text()
    return status if status.step is not None and status.step.name == step else None


def test_of_two_who_start_at_once_one_wins(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from sae_core.build.plan import BuildPlan\n"
        "from sae_core.build import jobs; from sae_core.build.jobs import start_job\n"
        "from sae_core.files.errors import ArtifactError; jobs.CLAIM_FOR_S = 0\n"
        "go = Path(sys.argv[1]) / 'go'; print('ready', flush=True)\n"
        "while not go.exists(): time.sleep(0.001)\n"
        "try: start_job(BuildPlan('nowhere', embedder='ge2e'), Path(sys.argv[1]) / 'w'); print('started')\n"
        "except ArtifactError as error: print(error.what)\n"
    )
    people = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for person in people:
        assert person.stdout.readline() == "ready\n"
    (tmp_path / "go").touch()
    answers = sorted(person.communicate(timeout=60)[0].strip() for person in people)
    assert answers[0].startswith("is being built already")
    assert answers[1] == "started"
    from sae_core.build.jobs import job_status

    # its builder goes on though the one who started it has left, and says why it cannot build
    failed = wait_for(lambda: (found := job_status(tmp_path / "w")).state == "failed" and found)
    assert "nowhere" in failed.problem and failed.remedy
    from sae_core.build.job_records import log_tail

    assert "does not exist" in log_tail(tmp_path / "w")


def test_a_status_that_outlives_its_process_is_no_running_job(tmp_path):
    from sae_core.build.job_records import first_status, write_status
    from sae_core.build.jobs import cancel_job, job_status

    assert job_status(tmp_path) is None
    bystander = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True
    )
    try:
        # the number of a process that ended stands for another one by now
        write_status(tmp_path, dataclasses.replace(first_status(), pid=bystander.pid, process_started="1"))
        assert job_status(tmp_path).state == "stopped"
        cancel_job(tmp_path, grace_s=0.2)
        assert bystander.poll() is None
        assert job_status(tmp_path).state == "cancelled"
    finally:
        bystander.kill()
        bystander.wait()


def test_a_process_that_does_not_listen_is_killed(tmp_path):
    from sae_core.build.jobs import cancel_job, job_status

    code = (
        "import signal, sys, time; from pathlib import Path\n"
        "from sae_core.build import jobs; from sae_core.files import processes\n"
        "from sae_core.build.job_records import first_status, write_status; import dataclasses, os\n"
        "with jobs._claimed(Path(sys.argv[1])):\n"
        "    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "    write_status(Path(sys.argv[1]), dataclasses.replace(\n"
        "        first_status(), pid=os.getpid(), process_started=processes.start_of(os.getpid())))\n"
        "    print('deaf', flush=True); time.sleep(60)\n"
    )
    deaf = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert deaf.stdout.readline() == "deaf\n"
    cancel_job(tmp_path, grace_s=0.3)
    assert deaf.wait(timeout=10) == -signal.SIGKILL
    deaf.stdout.close()
    assert job_status(tmp_path).state == "cancelled"


def test_a_build_in_this_process_is_seen_by_others_and_fails_in_words(tmp_path):
    from sae_core.build.jobs import is_building, job_status, run_job
    from sae_core.files.errors import CorpusError

    seen = []
    with pytest.raises(CorpusError):
        run_job(
            plan_of(tmp_path / "nowhere"),
            tmp_path / "w",
            report=lambda _: seen.append(is_building(tmp_path / "w")),
        )
    assert seen == [True]
    status = job_status(tmp_path / "w")
    assert (status.state, status.step.name) == ("failed", "import")
    assert "does not exist" in status.problem
    assert status.remedy.startswith("give the folder")


def lose_the_interrupt(report):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)
    except KeyboardInterrupt:
        report()


def turn_the_interrupt_into_an_error(_report):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)
    except KeyboardInterrupt as error:
        raise ImportError("initialization failed") from error


@pytest.mark.parametrize("step", [lose_the_interrupt, turn_the_interrupt_into_an_error])
def test_a_build_that_was_asked_to_end_is_cancelled_whatever_became_of_the_interrupt(
    step, tmp_path, monkeypatch
):
    from sae_core.build import jobs
    from sae_core.build.plan import BuildMoment

    def build(plan, workspace, *, report):
        report(BuildMoment("import"))
        step(lambda: report(BuildMoment("import", n_done=1, n_total=2)))
        return {}

    monkeypatch.setattr(jobs, "build_workspace", build)
    handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with pytest.raises(KeyboardInterrupt):
        jobs.run_job(plan_of(tmp_path), tmp_path / "w")
    assert jobs.job_status(tmp_path / "w").state == "cancelled"
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == handlers


def test_a_status_survives_json_and_another_thing_is_none(tmp_path):
    from sae_core.build.job_records import JobStatus, StepStatus, first_status, stored_status, write_status

    status = dataclasses.replace(first_status(), rate=2.5, eta_s=4.0, note="ü", problem="x")
    status = dataclasses.replace(
        status, steps=(StepStatus("import", "done", "3 clips", 1.5), *status.steps[1:])
    )
    write_status(tmp_path, status)
    assert stored_status(tmp_path) == status
    assert JobStatus.from_json(json.loads(json.dumps(status.to_json()))) == status
    for wrong in (
        {},
        {"state": "running"},
        {**status.to_json(), "state": "away"},
        {**status.to_json(), "steps": 3},
    ):
        (tmp_path / "job" / "status.json").write_text(json.dumps(wrong))
        assert stored_status(tmp_path) is None


def test_a_status_of_before_is_read_by_its_former_key():
    from sae_core.build.job_records import JobStatus, first_status

    raw = first_status().to_json()
    before = {name: value for name, value in raw.items() if name != "steps"} | {"stages": raw["steps"]}
    assert JobStatus.from_json(before) == JobStatus.from_json(raw)


def test_pace_counts_from_the_first_report_and_anew_with_new_counts(monkeypatch):
    from sae_core.build import job_records

    clock = [100.0]
    monkeypatch.setattr(job_records.time, "monotonic", lambda: clock[0])
    pace = job_records.Pace()
    assert pace.measure(600, 1000) == (None, None)  # what an earlier run had done already is no speed
    clock[0] += 10
    assert pace.measure(700, 1000) == (10.0, 30.0)
    clock[0] += 1
    assert pace.measure(0, 50) == (None, None)
    clock[0] += 5
    assert pace.measure(50, 50) == (10.0, 0.0)


def test_the_log_stays_short_and_its_tail_is_plain_text(tmp_path):
    from sae_core.build.job_records import bound_log, job_file, log_tail

    assert log_tail(tmp_path) == ""
    file = job_file(tmp_path, "log.txt")
    file.parent.mkdir()
    file.write_bytes(b"".join(b"line %d\n" % number for number in range(200_000)))
    with file.open("ab") as writer:
        bound_log(tmp_path)
        writer.write(b"bar 10%\rbar 90%\r\n\x1b[31mred\x1b[0m \xff\n")
    assert file.stat().st_size < 10_000
    assert log_tail(tmp_path, n_lines=3).splitlines() == ["line 199999", "bar 90%", "[31mred[0m �"]
