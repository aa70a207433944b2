"""Carries the jobs of a study out, several at once, and stops all of them politely."""

import queue
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from service.contract.errors import SurematchError
from training.console import complain
from training.interruption import StoppedError, stop_requests
from training.study.jobs import Job
from training.study.processes import Runner, Slot

_LOOK_EVERY_SECONDS = 0.2


@dataclass(frozen=True)
class Ended:
    """What became of a job: its figures, or why there are none.

    Attributes:
        figures: None where it failed.
        error: one line; None where it is done.
        is_new: false where it was done before.
    """

    job: Job
    figures: dict[str, Any] | None
    error: str | None = None
    is_new: bool = True


def carry_out(jobs: Sequence[Job], slots: Sequence[Slot], children: Runner) -> Generator[Ended]:
    """Yield what became of every job: those done before first, then each as it ends.

    Raises:
        StoppedError: if a stop was asked for; every child has saved its state and ended.
    """
    pending: list[Job] = []
    for job in jobs:
        figures = job.finished_figures()
        if figures is None:
            pending.append(job)
        else:
            yield Ended(job, figures, is_new=False)
    if pending:
        yield from _pool(pending, slots, children)


def _pool(jobs: Sequence[Job], slots: Sequence[Slot], children: Runner) -> Iterator[Ended]:
    free: queue.SimpleQueue[Slot] = queue.SimpleQueue()
    for slot in slots:
        free.put(slot)
    with stop_requests() as stopping, ThreadPoolExecutor(len(slots)) as pool:
        running = [pool.submit(_carry_out, job, children, free) for job in jobs]
        try:
            yield from _as_they_end(running, children, stopping)
        finally:  # reached early by a second Ctrl-C, or by whoever reads them
            children.kill()


def _as_they_end(
    running: Sequence[Future[Ended]], children: Runner, stopping: Callable[[], bool]
) -> Iterator[Ended]:
    left, is_stopping, stopped = set(running), False, 0
    while left:
        ended, left = wait(left, timeout=_LOOK_EVERY_SECONDS, return_when=FIRST_COMPLETED)
        for future in sorted(ended, key=running.index):
            job_ended = _ended(future, is_stopping=is_stopping or stopping())
            if job_ended is None:
                stopped += 1
            else:
                yield job_ended
        if stopping() and not is_stopping:
            is_stopping = True
            complain("stopping: the runs under way save their state")
            children.stop()
    if stopped:
        message = f"stopped with {stopped} runs to go; the same command goes on"
        raise StoppedError(message)


def _ended(future: Future[Ended], *, is_stopping: bool) -> Ended | None:
    """Return what a job gave, or None where it was stopped."""
    try:
        ended = future.result()
    except StoppedError:
        return None
    return None if is_stopping and ended.error else ended


def _carry_out(job: Job, children: Runner, free: queue.SimpleQueue[Slot]) -> Ended:
    slot = free.get()
    try:
        return Ended(job, job.carry_out(children, slot))
    except StoppedError:
        raise
    except (SurematchError, OSError) as error:
        return Ended(job, None, str(error))
    finally:
        free.put(slot)
