"""Worker threads with a bounded queue: calls off the event loop, each accepted one resolved."""

import asyncio
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from service.recommender import StageClock

T = TypeVar("T")

NEWEST_SHARE = 0.2
"""Weight of the newest call in the running mean of seconds per query."""


class BusyError(Exception):
    """As many calls wait as may wait; the caller should come back later.

    Attributes:
        retry_after_seconds: whole seconds until the work at hand should be done, at least 1.
    """

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(f"come back in {retry_after_seconds} s")
        self.retry_after_seconds = retry_after_seconds


class WorkerPool:
    """Runs calls in threads, refuses them when too many wait, and forgets none of the others."""

    def __init__(self, *, workers: int, max_waiting: int) -> None:
        self.workers = workers
        self._room = workers + max_waiting
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="recommend")
        self._lock = threading.Lock()
        self._calls = 0
        self._queries = 0
        self._seconds_per_query = 0.0

    @property
    def calls(self) -> int:
        """Return how many calls run or wait."""
        return self._calls

    async def run(self, call: Callable[[], T], *, queries: int, clock: StageClock) -> T:
        """Return what ``call`` returns, or raise what it raises, once a thread is free for it.

        Args:
            call: runs in a worker thread.
            queries: size of the call, for the estimate of the work that waits.
            clock: gets the seconds that the call waited, as stage ``queue``.

        Raises:
            BusyError: if no further call may wait.
        """
        self._admit(queries)
        submitted = time.perf_counter()

        def timed() -> T:
            started = time.perf_counter()
            clock.seconds["queue"] = started - submitted
            try:
                return call()
            finally:
                self._learn((time.perf_counter() - started) / queries)

        future = self._pool.submit(timed)
        future.add_done_callback(lambda done: self._leave(done, queries))
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Take no further calls; those that wait are cancelled, those that run come to an end."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _admit(self, queries: int) -> None:
        with self._lock:
            if self._calls >= self._room:
                seconds = self._queries * self._seconds_per_query / self.workers
                raise BusyError(max(1, math.ceil(seconds)))
            self._calls += 1
            self._queries += queries

    def _leave(self, _done: Future[T], queries: int) -> None:
        with self._lock:
            self._calls -= 1
            self._queries -= queries

    def _learn(self, seconds_per_query: float) -> None:
        with self._lock:
            known = self._seconds_per_query or seconds_per_query
            self._seconds_per_query = known + NEWEST_SHARE * (seconds_per_query - known)
