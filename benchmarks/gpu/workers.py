"""Processes that begin without a device of their own, so that each may take one: a GPU does not survive a fork.

All are forked from a server that has imported what is slow to import and touched no device.
"""

import multiprocessing
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.gpu.parts import LIMITS_S
from benchmarks.rows import Row, failed
from sae_core.files.processes import end_with_parent

_PRELOADED = [f"benchmarks.gpu.{name}" for name in LIMITS_S]


class WorkerError(RuntimeError):
    """A worker ended without an answer, or with an error."""


def _context() -> Any:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    return context


def side_by_side(
    work: Callable[..., Any], calls: Sequence[tuple[Any, ...]], *, limit_s: float = 300
) -> list[Any]:
    """What each call of `work` returned, every one in a process of its own and all at the same time."""
    context, running = _context(), []
    for arguments in calls:
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=_answer, args=(there, work, arguments), daemon=False)
        process.start()
        there.close()
        running.append((process, here))
    try:
        return [_awaited(process, here, limit_s) for process, here in running]
    finally:
        for process, _ in running:
            process.kill()
            process.join()


def _answer(there: Connection, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    end_with_parent()
    try:
        there.send((work(*arguments), None))
    # whoever asked decides what a failure means
    except Exception as error:
        there.send((None, f"{type(error).__name__}: {error}"))


def _awaited(process: Any, here: Connection, limit_s: float) -> Any:
    try:
        if not here.poll(limit_s):
            raise WorkerError(f"took more than {limit_s:.0f} s")
        answer, failure = here.recv()
    except EOFError:
        process.join()
        raise WorkerError(f"ended with status {process.exitcode}") from None
    if failure is not None:
        raise WorkerError(failure)
    return answer


def rows_of(work: Callable[..., Iterator[Row]], name: str, request: Any, limit_s: float) -> Iterator[Row]:
    """The rows that `work` finds of one part, as they come; where it fails or takes too long, a last row says so."""
    context = _context()
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_send_rows, args=(there, work, name, request), daemon=False)
    process.start()
    there.close()
    deadline, reason = time.monotonic() + limit_s, f"took more than {limit_s:.0f} s"
    try:
        while here.poll(max(0.0, deadline - time.monotonic())):
            row = here.recv()
            if isinstance(row, Row):
                yield row
                continue
            reason = row
            break
    except EOFError:
        process.join()
        reason = f"ended with status {process.exitcode}"
    finally:
        process.kill()
        process.join()
    if reason:
        yield failed(name, reason)


def _send_rows(there: Connection, work: Callable[..., Iterator[Row]], name: str, request: Any) -> None:
    """Send each row, at last an empty word, or the reason why there are no more."""
    end_with_parent()
    try:
        for row in work(name, request):
            there.send(row)
        there.send("")
    # one part that fails must not end the others
    except Exception as error:
        traceback.print_exc()
        there.send(f"{type(error).__name__}: {str(error)[:300]}")
