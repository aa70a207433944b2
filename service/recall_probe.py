"""Compares a sampled share of live searches with exact ones, behind the answers' backs."""

import contextlib
import os
import queue
import random
import threading
import time
import weakref
from collections.abc import Callable

import numpy as np
from jaxtyping import Float32

from service.retrievers import Retriever
from service.retrievers.approximate import ApproximateRetriever

RANKS = 10
"""Recall is the found share of so many exactly nearest products, as at the build."""
BACKLOG = 8
"""Sampled searches that may wait; more are dropped, so that no answer ever waits for one."""
NICENESS = 15
"""Of the thread that compares, where the system lets a thread be nice by itself."""
REST = 9.0
"""After each comparison it rests so many times as long: a tenth of a core at the most."""

_Probe = tuple["weakref.ref[ApproximateRetriever]", Float32[np.ndarray, "1 dim"]]


class RecallProbe:
    """Measures the recall of the index on live queries; never in the thread that answers.

    Args:
        share: of the searches that are compared, drawn by chance.
        on_compared: gets the recall of each, in [0, 1].
        on_dropped: is told of each that found the backlog full.
        rest: times as long as a comparison that nothing is done after it.
        chance: draws the searches.
    """

    def __init__(
        self,
        share: float,
        *,
        on_compared: Callable[[float], object],
        on_dropped: Callable[[], object],
        rest: float = REST,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._share = share
        self._on_compared = on_compared
        self._on_dropped = on_dropped
        self._rest = rest
        self._chance = chance
        self._waiting: queue.Queue[_Probe] = queue.Queue(BACKLOG)
        self._is_closed = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, retriever: Retriever) -> None:
        """Compare searches of this retriever from now on; one that is exact needs none."""
        if not self._share or not isinstance(retriever, ApproximateRetriever):
            return
        retriever.watcher = self.offer
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="recall-probe", daemon=True)
            self._thread.start()

    def offer(
        self, retriever: ApproximateRetriever, queries: Float32[np.ndarray, "query dim"]
    ) -> None:
        """Take the queries that chance picks, without waiting for anything."""
        for row in range(len(queries)):
            if self._chance() < self._share:
                try:
                    probe = (weakref.ref(retriever), queries[row : row + 1].copy())
                    self._waiting.put_nowait(probe)
                except queue.Full:
                    self._on_dropped()

    def close(self) -> None:
        """Compare no more; what waits is let go of."""
        self._is_closed.set()

    def _run(self) -> None:
        with contextlib.suppress(OSError, AttributeError):  # not every system can
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        while not self._is_closed.is_set():
            with contextlib.suppress(queue.Empty):
                self._compare(self._waiting.get(timeout=1.0))

    def _compare(self, probe: _Probe) -> None:
        ask, query = probe
        retriever = ask()
        if retriever is None:  # its bundle answers no more
            return
        started = time.perf_counter()
        recall = float(retriever.recall(query, RANKS)[0])
        del retriever
        self._on_compared(recall)
        self._is_closed.wait(self._rest * (time.perf_counter() - started))
