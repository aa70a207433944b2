"""Child processes of a study: each on cores of its own, with its time and memory measured."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from service.contract.errors import UsageError
from training.interruption import StoppedError

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")
_BYTES_OF_MAXRSS = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True)
class Slot:
    """Where one child at a time runs.

    Attributes:
        threads: threads of its numeric libraries.
        cores: the cores it is held to; None where it may use any.
    """

    threads: int
    cores: frozenset[int] | None


@dataclass(frozen=True)
class Finished:
    """What became of a child.

    Attributes:
        exit_code: below 0 where a signal ended it.
        seconds: from its start to its end.
        peak_memory_mb: most memory it held at once; never less than this process had held when
            it began, for that is how Linux counts, so that a study itself must stay small.
    """

    exit_code: int
    seconds: float
    peak_memory_mb: float


def share_cores(jobs: int, threads: int | None) -> list[Slot]:
    """Return one slot a job, on cores of its own where several run at once.

    Raises:
        UsageError: if that is more threads than cores: those of OpenMP wait in a busy loop, so
            that two on one core take many times as long.
    """
    cores = usable_cores()
    each = threads or max(1, len(cores) // jobs)
    if jobs * each > len(cores):
        message = (
            f"--jobs {jobs} with {each} threads each need {jobs * each} cores, {len(cores)} are "
            "there; lower --jobs or --threads"
        )
        raise UsageError(message)
    if jobs == 1 or not hasattr(os, "sched_setaffinity"):
        return [Slot(each, None) for _ in range(jobs)]
    starts = range(0, jobs * each, each)
    return [Slot(each, frozenset(cores[start : start + each])) for start in starts]


def usable_cores() -> list[int]:
    """Return the numbers of the cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


class Runner(Protocol):
    """What carries the children of a study out."""

    def run(self, words: Sequence[str], *, log: Path, slot: Slot) -> Finished:
        """Run ``python -m …`` to its end."""
        ...

    def stop(self) -> None:
        """Ask every child to end; start no more of them."""
        ...

    def kill(self) -> None:
        """End every child at once; start no more of them."""
        ...


class Children:
    """Starts children, waits for them, and ends all of them at once when asked to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._live: set[int] = set()
        self._is_stopping = False

    def run(self, words: Sequence[str], *, log: Path, slot: Slot) -> Finished:
        """Run ``python -m …`` to its end, what it says appended to ``log``.

        Raises:
            StoppedError: if a stop was asked for before it began.
        """
        started = time.monotonic()
        with log.open("ab") as file:
            child = self._start([sys.executable, "-m", *words], file.fileno(), slot)
        exit_code, peak = self._wait_for(child)
        return Finished(exit_code, time.monotonic() - started, peak)

    def stop(self) -> None:
        """Ask every child to save its state and end; start no more of them."""
        self._signal(signal.SIGTERM)  # children of a background job may ignore SIGINT

    def kill(self) -> None:
        """End every child at once; start no more of them."""
        self._signal(signal.SIGKILL)

    def _start(self, command: Sequence[str], output: int, slot: Slot) -> subprocess.Popen[bytes]:
        variables = dict.fromkeys(_THREAD_VARIABLES, str(slot.threads))
        with self._lock:
            if self._is_stopping:
                message = "stopped before it began"
                raise StoppedError(message)
            child = subprocess.Popen(  # noqa: S603  # our own modules
                command,
                env=os.environ | variables | {"PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # so that Ctrl-C reaches it once, by `stop`
            )
            if slot.cores is not None:
                os.sched_setaffinity(child.pid, slot.cores)  # before it has any other thread
            self._live.add(child.pid)
        return child

    def _wait_for(self, child: subprocess.Popen[bytes]) -> tuple[int, float]:
        """Return exit code and peak memory in MB of a child, once it has ended."""
        # its number stays its own until it is reaped, so that no signal meets a stranger
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        with self._lock:
            _, status, usage = os.wait4(child.pid, 0)
            self._live.discard(child.pid)
        child.returncode = os.waitstatus_to_exitcode(status)
        return child.returncode, usage.ru_maxrss * _BYTES_OF_MAXRSS / 1e6

    def _signal(self, number: signal.Signals) -> None:
        with self._lock:
            self._is_stopping = True
            for process_id in self._live:
                os.kill(process_id, number)
