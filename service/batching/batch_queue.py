"""Texts that wait for a worker: two lanes, bounded in requests and tokens, safe between threads."""

import bisect
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from service.batching.admission import BusyError, QueueLimits, Refusal, Speed, whole_seconds
from service.batching.formation import WINDOW, Batch, form_batch, note_passed_over
from service.batching.work import Lane, Work

BULK_TURN = 4
"""While both lanes wait, every so manieth batch is one of the bulk lane."""
FEW = 16
"""Up to so many texts are put in their places one by one; more are sorted in at once."""

AnyWork = Work[Any, Any]
_due = attrgetter("due")


@dataclass(slots=True)
class _Waiting:
    """One lane: its texts in the order they are due, and what waits in it."""

    works: list[AnyWork] = field(default_factory=list[AnyWork])
    tokens: int = 0
    requests: int = 0

    def put(self, works: Sequence[AnyWork]) -> None:
        if len(works) <= FEW:
            for work in works:
                bisect.insort_right(self.works, work, key=_due)
        else:
            self.works.extend(works)
            self.works.sort(key=_due)
        self.tokens += sum(work.length for work in works)

    def drop_unwanted(self, now: float) -> None:
        """Take out texts nobody waits for, as far as the next batch looks."""
        while True:
            window = self.works[:WINDOW]
            wanted = [work for work in window if work.is_wanted(now)]
            if len(wanted) == len(window):
                return
            for work in window:
                if not work.is_wanted(now):
                    self.drop(work)
            self.works[:WINDOW] = wanted

    def drop(self, work: AnyWork) -> None:
        """Count a text out that nobody waits for; it lies in the list until a batch comes by."""
        if work.taken is None and not work.is_dropped:
            self.tokens -= work.length
        work.is_dropped = True

    def take(self, now: float) -> Batch[Any, Any]:
        batch = form_batch(self.works, now=now)
        for work in batch.works:
            work.taken = now
        self.works[:WINDOW] = [work for work in self.works[:WINDOW] if work.taken is None]
        self.tokens -= batch.real_tokens
        note_passed_over(self.works, batch)
        return batch


class BatchQueue:
    """What waits, in which order, and how much of it may wait."""

    def __init__(self, *, limits: QueueLimits, speed: Speed, workers: int) -> None:
        self._limits = limits
        self._speed = speed
        self._workers = workers
        self._lanes = {lane: _Waiting() for lane in Lane}
        self._changed = threading.Condition()
        self._since_bulk = 0
        self._is_open = True

    def check(self, lane: Lane) -> None:
        """Refuse a request before anything of it is read, where none could be let in.

        Raises:
            BusyError: if the lane is full.
        """
        with self._changed:
            waiting = self._lanes[lane]
            if waiting.requests >= self._limits.requests:
                raise self._busy(Refusal.QUEUE_REQUESTS, lane)
            if waiting.tokens >= self._most_tokens(lane):
                raise self._busy(Refusal.QUEUE_TOKENS, lane)

    def is_full(self, lane: Lane) -> bool:
        """Return whether nothing more may wait in a lane."""
        try:
            self.check(lane)
        except BusyError:
            return True
        return False

    def admit(self, works: Sequence[AnyWork], *, lane: Lane, now: float, deadline: float) -> None:
        """Let all texts of a request wait, or none; `leave` it when it is answered.

        Texts of one request are due one after another, as if the workers did nothing else; so
        those of several requests interleave, and a short one is not behind all of a long one.

        Args:
            works: the texts that do not wait yet; may be none.
            lane: where they wait.
            now: seconds of the clock.
            deadline: when the request's answer is of no more use.

        Raises:
            BusyError: if a limit is met, or what waits would take longer than the deadline.
        """
        tokens = sum(work.length for work in works)
        with self._changed:
            self._refuse_over_limits(lane, tokens, now=now, deadline=deadline)
            due = now
            for work in works:
                work.lane = lane
                work.due = due
                due += self._speed.seconds_for(work.length, workers=self._workers)
            waiting = self._lanes[lane]
            waiting.put(works)
            waiting.requests += 1
            self._changed.notify(len(works))

    def admit_first(self, work: AnyWork) -> None:
        """Let a text of our own wait in front of all others, whatever the limits say."""
        with self._changed:
            work.due = -math.inf
            self._lanes[Lane.INTERACTIVE].put([work])
            self._changed.notify()

    def put_back(self, works: Sequence[AnyWork]) -> bool:
        """Let texts of a batch that got stuck wait again, from now on as suspects.

        Returns:
            False once the queue is closed; nothing was put back then.
        """
        with self._changed:
            for work in works:
                work.is_suspect = True
                if self._is_open and not work.is_dropped:
                    work.taken = None
                    self._lanes[work.lane].put([work])
            self._changed.notify(len(works))
            return self._is_open

    def extend(self, work: AnyWork, deadline: float) -> bool:
        """Keep a text for one more request; return False where it was let go already."""
        with self._changed:
            if work.is_dropped:
                return False
            work.deadline = max(work.deadline, deadline)
            return True

    def leave(self, lane: Lane) -> None:
        """Count a request out that was let in, whatever became of it."""
        with self._changed:
            self._lanes[lane].requests -= 1

    def drop(self, works: Sequence[AnyWork], *, lane: Lane) -> None:
        """Let go of texts that nobody waits for; those in a batch already are not stopped."""
        with self._changed:
            for work in works:
                self._lanes[lane].drop(work)

    def take(self, clock: Callable[[], float]) -> Batch[Any, Any] | None:
        """Wait for texts and take the next batch of them; None once the queue is closed."""
        with self._changed:
            while self._is_open:
                now = clock()
                for waiting in self._lanes.values():
                    waiting.drop_unwanted(now)
                if any(waiting.works for waiting in self._lanes.values()):
                    return self._lanes[self._next_lane()].take(now)
                self._changed.wait()
            return None

    def close(self) -> list[AnyWork]:
        """Let nobody wait any more; return the texts that did."""
        with self._changed:
            self._is_open = False
            left = [work for waiting in self._lanes.values() for work in waiting.works]
            for waiting in self._lanes.values():
                waiting.works, waiting.tokens = [], 0
            self._changed.notify_all()
            return [work for work in left if not work.is_dropped]

    def depths(self) -> Mapping[Lane, tuple[int, int]]:
        """Return, for each lane, the requests under way and the tokens that wait."""
        with self._changed:
            return {lane: (waits.requests, waits.tokens) for lane, waits in self._lanes.items()}

    def oldest_age(self, now: float) -> float:
        """Return the seconds that the text at the front has waited; 0 where none waits."""
        with self._changed:
            fronts = [waiting.works[0] for waiting in self._lanes.values() if waiting.works]
        return max((now - work.arrived for work in fronts), default=0.0)

    def _next_lane(self) -> Lane:
        """Return the lane of the next batch, of which at least one has texts."""
        interactive = self._lanes[Lane.INTERACTIVE].works
        bulk = self._lanes[Lane.BULK].works
        self._since_bulk = self._since_bulk + 1 if bulk else 0
        if bulk and (not interactive or self._since_bulk >= BULK_TURN):
            self._since_bulk = 0
            return Lane.BULK
        return Lane.INTERACTIVE

    def _refuse_over_limits(self, lane: Lane, tokens: int, *, now: float, deadline: float) -> None:
        waiting = self._lanes[lane]
        if not self._is_open:
            raise self._busy(Refusal.STOPPED, lane)
        if waiting.requests >= self._limits.requests:
            raise self._busy(Refusal.QUEUE_REQUESTS, lane)
        if not waiting.tokens:
            return
        if waiting.tokens + tokens > self._most_tokens(lane):
            raise self._busy(Refusal.QUEUE_TOKENS, lane)
        if now + self._seconds_ahead(lane) > deadline:
            raise self._busy(Refusal.DEADLINE, lane)

    def _most_tokens(self, lane: Lane) -> float:
        """Return how many tokens may wait in a lane, given how fast they are done by now."""
        seconds = self._limits.seconds.get(lane, math.inf)
        in_time = seconds / self._speed.seconds_for(1, workers=self._workers)
        return min(self._limits.tokens[lane], in_time)

    def _seconds_ahead(self, lane: Lane) -> float:
        """Return the seconds until what waits in a lane should be done."""
        own = self._speed.seconds_for(self._lanes[lane].tokens, workers=self._workers)
        if lane is Lane.INTERACTIVE:
            return own
        others = self._lanes[Lane.INTERACTIVE].tokens
        return own + self._speed.seconds_for(others, workers=self._workers)

    def _busy(self, reason: Refusal, lane: Lane) -> BusyError:
        return BusyError(reason, whole_seconds(self._seconds_ahead(lane)))
