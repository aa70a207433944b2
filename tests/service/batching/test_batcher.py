import threading
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from service.batching.admission import BusyError, QueueLimits, Speed
from service.batching.batcher import Batcher
from service.batching.formation import Batch
from service.batching.progress import Progress
from service.batching.work import Lane, Work
from service.recommender import StageClock
from tests.engine import POISON, EchoEngine, work_of

SECONDS = 20.0


@dataclass
class Desk:
    """What a batcher tells: the works it delivered, and what it counted."""

    delivered: list[Work[Any, Any]] = field(default_factory=list[Work[Any, Any]])
    batches: int = 0
    failed: int = 0
    restarted: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def deliver(self, works: Sequence[Work[Any, Any]]) -> None:
        with self.changed:
            self.delivered += works
            self.changed.notify_all()

    def batch_done(self, batch: Batch[Any, Any], clock: StageClock) -> None:  # noqa: ARG002
        with self.changed:
            self.batches += 1
            self.changed.notify_all()

    def text_failed(self) -> None:
        self.failed += 1

    def worker_restarted(self) -> None:
        self.restarted += 1

    def tokenised(self, lengths: Sequence[int]) -> None:
        """Nobody asks."""

    def missed(self) -> None:
        """Nobody asks."""

    def coalesced(self) -> None:
        """Nothing here shares a text."""

    def wait_until(self, holds: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(holds, SECONDS)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def batcher_of(desk: Desk, *, workers: int = 1, progress: Progress | None = None) -> Batcher:
    return Batcher(
        workers=workers,
        limits=QueueLimits(requests=1000, tokens=dict.fromkeys(Lane, 100_000)),
        speed=Speed(1000.0),
        deliver=desk.deliver,
        observer=desk,
        progress=progress,
    )


@pytest.fixture
def batcher(desk: Desk) -> Generator[Batcher]:
    batcher = batcher_of(desk)
    yield batcher
    batcher.close()


def admit(batcher: Batcher, works: Sequence[Work[Any, Any]]) -> None:
    batcher.admit(works, lane=Lane.INTERACTIVE, deadline=1e12)


def long_lived(engine: EchoEngine, length: int, *, first: int = 1) -> Work[None, tuple[int, ...]]:
    return work_of(engine, length, first=first, deadline=1e12)


def test_every_text_gets_its_own_answer(batcher: Batcher, desk: Desk) -> None:
    engine = EchoEngine()
    works = [long_lived(engine, length) for length in range(1, 60)]

    admit(batcher, works)
    desk.wait_until(lambda: len(desk.delivered) == len(works))

    assert all(work.found == work.tokens.ids for work in works)


def test_what_waits_while_a_batch_runs_shares_the_next_one(batcher: Batcher, desk: Desk) -> None:
    engine = EchoEngine()
    engine.gate.clear()
    admit(batcher, [long_lived(engine, 4)])
    assert engine.begun.wait(SECONDS)
    for length in (5, 6, 7):
        admit(batcher, [long_lived(engine, length)])

    engine.gate.set()
    desk.wait_until(lambda: len(desk.delivered) == 4)

    assert engine.batches == [[4], [5, 6, 7]]


@pytest.mark.parametrize("place", [0, 3, 7])
def test_a_text_that_raises_fails_alone(batcher: Batcher, desk: Desk, place: int) -> None:
    engine = EchoEngine(max_padded_tokens=1000)
    works = [long_lived(engine, 4, first=POISON if row == place else 1) for row in range(8)]

    admit(batcher, works)
    desk.wait_until(lambda: len(desk.delivered) == 8)

    assert [work.found == () for work in works] == [row == place for row in range(8)]
    assert desk.failed == 1


def test_a_worker_outlives_any_number_of_texts_that_raise(batcher: Batcher, desk: Desk) -> None:
    engine = EchoEngine()
    admit(batcher, [long_lived(engine, 4, first=POISON) for _ in range(50)])
    admit(batcher, [long_lived(engine, 4)])

    desk.wait_until(lambda: len(desk.delivered) == 51)

    assert sum(work.found != () for work in desk.delivered) == 1


def test_a_stuck_worker_is_replaced_and_its_texts_fail(desk: Desk) -> None:
    now = [0.0]
    batcher = batcher_of(desk, progress=Progress(clock=lambda: now[0], stall_seconds=5.0))
    stuck, well = EchoEngine(), EchoEngine()
    stuck.gate.clear()
    lost, answered = long_lived(stuck, 4), long_lived(well, 4)
    admit(batcher, [lost])
    assert stuck.begun.wait(SECONDS)
    admit(batcher, [answered])

    batcher.watch()
    assert not desk.delivered  # it may still come to an end by itself
    now[0] = 5.0
    batcher.watch()
    desk.wait_until(lambda: len(desk.delivered) == 2)

    assert [work.found for work in (lost, answered)] == [(), answered.tokens.ids]
    assert desk.restarted == 1
    stuck.gate.set()
    batcher.close()
    assert desk.delivered.count(lost) == 1


class StickyEngine(EchoEngine):
    """Gets stuck at a batch with `POISON` in it, until its gate opens."""

    def answer(
        self,
        works: Sequence[Work[None, tuple[int, ...]]],
        clock: StageClock,  # noqa: ARG002  # as every engine
    ) -> list[tuple[int, ...]]:
        self.batches.append([work.length for work in works])
        if any(work.tokens.ids[0] == POISON for work in works):
            self.begun.set()
            assert self.gate.wait(SECONDS)
        return [work.tokens.ids for work in works]


@pytest.mark.parametrize("place", range(4))
def test_a_text_that_gets_a_worker_stuck_fails_alone(desk: Desk, place: int) -> None:
    now = [0.0]
    batcher = batcher_of(desk, progress=Progress(clock=lambda: now[0], stall_seconds=5.0))
    engine = StickyEngine()
    engine.gate.clear()
    works = [long_lived(engine, 4, first=POISON if row == place else 1) for row in range(4)]
    admit(batcher, works)
    for _ in range(2):  # once with its neighbours, once alone
        assert engine.begun.wait(SECONDS)
        engine.begun.clear()
        now[0] += 5.0
        batcher.watch()
    desk.wait_until(lambda: len(desk.delivered) == 4)

    assert [work.found == () for work in works] == [row == place for row in range(4)]
    assert [len(batch) for batch in engine.batches] == [4, 1, 1, 1, 1]
    assert batcher.queue.depths()[Lane.INTERACTIVE] == (1, 0)
    engine.gate.set()
    batcher.close()
    assert len(desk.delivered) == 4


def test_texts_of_a_stuck_batch_fail_once_the_queue_is_closed(desk: Desk) -> None:
    now = [0.0]
    batcher = batcher_of(desk, progress=Progress(clock=lambda: now[0], stall_seconds=5.0))
    engine = StickyEngine()
    engine.gate.clear()
    admit(batcher, [long_lived(engine, 4, first=POISON) for _ in range(2)])
    assert engine.begun.wait(SECONDS)
    batcher.close()

    now[0] = 5.0
    batcher.watch()

    assert [work.found for work in desk.delivered] == [(), ()]
    engine.gate.set()


def test_restarts_are_counted_until_a_batch_comes_to_an_end(desk: Desk) -> None:
    now = [0.0]
    batcher = batcher_of(desk, progress=Progress(clock=lambda: now[0], stall_seconds=5.0))
    engine = EchoEngine()
    engine.gate.clear()
    for turn in (1, 2):
        engine.begun.clear()
        admit(batcher, [long_lived(engine, 4)])
        assert engine.begun.wait(SECONDS)
        now[0] += 5.0
        batcher.watch()
        assert batcher.restarts == turn
    engine.gate.set()

    admit(batcher, [long_lived(engine, 4)])
    desk.wait_until(lambda: desk.batches == 1)

    assert batcher.restarts == 0
    batcher.close()


def test_closing_returns_what_waits_and_lets_nobody_in(batcher: Batcher) -> None:
    engine = EchoEngine()
    engine.gate.clear()
    first, second = long_lived(engine, 4), long_lived(engine, 4)
    admit(batcher, [first])
    assert engine.begun.wait(SECONDS)
    admit(batcher, [second])

    left = batcher.close()
    engine.gate.set()

    assert left == [second]
    with pytest.raises(BusyError):
        admit(batcher, [long_lived(engine, 4)])


def test_two_workers_run_two_batches_at_a_time(desk: Desk) -> None:
    batcher = batcher_of(desk, workers=2)
    one, other = EchoEngine(), EchoEngine()
    one.gate.clear()
    other.gate.clear()

    admit(batcher, [long_lived(one, 4)])
    admit(batcher, [long_lived(other, 4)])

    assert one.begun.wait(SECONDS)
    assert other.begun.wait(SECONDS)
    one.gate.set()
    other.gate.set()
    desk.wait_until(lambda: len(desk.delivered) == 2)
    batcher.close()
