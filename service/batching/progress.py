"""Whether work gets done: what runs, since when, and how long a batch usually takes."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from service.batching.work import Work

STALL_SECONDS = 5.0
"""A batch that runs for less is never called stuck."""
STALL_FACTOR = 10.0
"""Nor one that runs for less than so many times the 99th percentile of the last batches."""
REMEMBERED = 512
"""Batches whose seconds are remembered."""


@dataclass(frozen=True, slots=True)
class Running:
    """A batch that a worker has at hand."""

    worker: int
    works: Sequence[Work[Any, Any]]
    since: float


class Progress:
    """Forward progress of the workers; safe between threads.

    Attributes:
        completed: batches that came to an end, with whatever result.
        last_completed: when the last one did, in seconds of the clock; None before the first.
    """

    def __init__(self, *, clock: Callable[[], float], stall_seconds: float = STALL_SECONDS) -> None:
        self._clock = clock
        self._stall_seconds = stall_seconds
        self._running: dict[int, Running] = {}
        self._seconds: deque[float] = deque(maxlen=REMEMBERED)
        self._lock = threading.Lock()
        self.completed = 0
        self.last_completed: float | None = None

    def begin(self, worker: int, works: Sequence[Work[Any, Any]]) -> None:
        """Note that a worker took a batch."""
        with self._lock:
            self._running[worker] = Running(worker, works, self._clock())

    def end(self, worker: int) -> bool:
        """Note that a worker is done; return False where it was given up in the meantime."""
        with self._lock:
            running = self._running.pop(worker, None)
            if running is None:
                return False
            self.last_completed = self._clock()
            self._seconds.append(self.last_completed - running.since)
            self.completed += 1
            return True

    def stuck(self) -> list[Running]:
        """Return the batches that run for longer than any honest one would."""
        with self._lock:
            latest = self._clock() - self._patience()
            return [running for running in self._running.values() if running.since <= latest]

    def give_up(self, running: Running) -> bool:
        """Count a stuck batch out; return False where it has ended by itself."""
        with self._lock:
            if self._running.get(running.worker) is not running:
                return False
            del self._running[running.worker]
            return True

    def _patience(self) -> float:
        if not self._seconds:
            return self._stall_seconds
        ranked = sorted(self._seconds)
        p99 = ranked[min(len(ranked) - 1, int(0.99 * len(ranked)))]
        return max(self._stall_seconds, STALL_FACTOR * p99)
