"""The batcher: worker threads that take batches from the queue and resolve every text in them."""

import itertools
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

from service.batching.admission import QueueLimits, Speed
from service.batching.batch_queue import AnyWork, BatchQueue
from service.batching.formation import Batch
from service.batching.progress import Progress
from service.batching.work import Lane
from service.recommender import StageClock

WORKER_RANK = 4
"""So much nicer than the event loop are the threads that encode."""

logger = logging.getLogger(__name__)

Deliver = Callable[[Sequence[AnyWork]], None]


class BatchObserver(Protocol):
    """What is told of batches and texts; called in worker threads too."""

    def batch_done(self, batch: Batch[Any, Any], clock: StageClock) -> None:
        """Note a batch that was answered, with the seconds of its stages."""
        ...

    def text_failed(self) -> None:
        """Note a text that failed alone, out of a batch or by itself."""
        ...

    def worker_restarted(self) -> None:
        """Note that a worker was given up and another one took its place."""
        ...

    def tokenised(self, lengths: Sequence[int]) -> None:
        """Note the tokens of texts that a request brought."""
        ...

    def missed(self) -> None:
        """Note a text that others could have had in common, and that is worked out anew."""
        ...

    def coalesced(self) -> None:
        """Note that a request waits for a text that another one waits for already."""
        ...


class Batcher:
    """Answers texts in batches; each one let in is delivered exactly once, whatever happens.

    Attributes:
        queue: what waits.
        progress: what runs.
        restarts: workers given up since a batch last came to an end.
    """

    def __init__(  # noqa: PLR0913  # wiring; every one is named at its only call
        self,
        *,
        workers: int,
        limits: QueueLimits,
        speed: Speed,
        deliver: Deliver,
        observer: BatchObserver,
        clock: Callable[[], float] = time.monotonic,
        progress: Progress | None = None,
    ) -> None:
        """Start the workers.

        Args:
            workers: threads, at least 1.
            limits: how much may wait.
            speed: of one worker; learns from each batch.
            deliver: gets texts whose ``found`` is set, or that nobody waits for; called in a
                worker thread.
            observer: is told of each batch.
            clock: monotonic seconds.
            progress: of the workers.
        """
        self.queue = BatchQueue(limits=limits, speed=speed, workers=workers)
        self.progress = progress or Progress(clock=clock)
        self.restarts = 0
        self.workers = workers
        self._speed = speed
        self._deliver = deliver
        self._observer = observer
        self._clock = clock
        self._numbers = itertools.count()
        for _ in range(workers):
            self._start_worker()

    def admit(self, works: Sequence[AnyWork], *, lane: Lane, deadline: float) -> None:
        """Let all texts of a request wait, or none.

        Raises:
            BusyError: if a limit is met.
        """
        self.queue.admit(works, lane=lane, now=self._clock(), deadline=deadline)

    def watch(self) -> None:
        """Give up on batches that are stuck: another worker runs their texts, one by one.

        A text that gets a worker stuck alone fails. A thread cannot be stopped from outside: one
        that is given up ends once its call comes back, and what it brings is thrown away.
        """
        for running in self.progress.stuck():
            if not self.progress.give_up(running):
                continue
            facts = {"worker": running.worker, "texts": len(running.works)}
            logger.error("worker stuck, another one takes its place", extra=facts)
            self.restarts += 1
            self._observer.worker_restarted()
            self._start_worker()
            if len(running.works) > 1 and self.queue.put_back(running.works):
                continue
            for work in running.works:
                work.found = work.engine.failed(work)
            self._deliver(running.works)

    def close(self) -> list[AnyWork]:
        """Stop the workers; return the texts that waited and will not be answered."""
        return self.queue.close()

    def _start_worker(self) -> None:
        number = next(self._numbers)
        name = f"encode-{number}"
        threading.Thread(target=self._run, args=(number,), name=name, daemon=True).start()

    def _run(self, worker: int) -> None:
        _yield_to_the_loop()
        while (batch := self.queue.take(self._clock)) is not None:
            self.progress.begin(worker, batch.works)
            clock = StageClock()
            started = self._clock()
            found = self._answer(batch.works, clock)
            seconds = self._clock() - started
            if not self.progress.end(worker):
                return  # given up meanwhile; its texts failed, or run again elsewhere
            self.restarts = 0
            self._speed.learn(tokens=batch.real_tokens, seconds=seconds)
            for work, answer in zip(batch.works, found, strict=True):
                work.found = answer
            self._deliver(batch.works)
            self._observer.batch_done(batch, clock)

    def _answer(self, works: Sequence[AnyWork], clock: StageClock) -> Sequence[object]:
        """Return what the engine makes of ``works``; of a batch that fails, half by half."""
        engine = works[0].engine
        try:
            found = engine.answer(works, clock)
        except Exception:  # whatever it is, it must become the answer of the one text behind it
            if len(works) == 1:
                logger.exception("a text failed", extra={"tokens": works[0].length})
                self._observer.text_failed()
                return [engine.failed(works[0])]
            half = len(works) // 2
            return [*self._answer(works[:half], clock), *self._answer(works[half:], clock)]
        return found


def _yield_to_the_loop() -> None:
    """Let this thread come after others of the process, where threads have a rank of their own.

    Where the workers take every core, the event loop would come late to requests, refusals and
    probes; it needs little, and encoding loses nothing else by it.
    """
    with suppress(AttributeError, OSError):  # another system, or one that forbids it
        rank = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), rank + WORKER_RANK)
