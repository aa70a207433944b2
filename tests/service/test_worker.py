import asyncio
import threading
import time
from collections.abc import Callable, Generator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.recommender import StageClock
from service.worker import BusyError, WorkerPool


class Gate:
    """A call that waits in its thread until a test lets it go."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()

    def __call__(self) -> str:
        self.entered.set()
        assert self.opened.wait(20)
        return "passed"


@pytest.fixture
def gate() -> Generator[Gate]:
    gate = Gate()
    yield gate
    gate.opened.set()


async def run(pool: WorkerPool, call: Callable[[], str], queries: int = 1) -> str:
    return await pool.run(call, queries=queries, clock=StageClock())


async def entered(gate: Gate) -> None:
    assert await asyncio.to_thread(gate.entered.wait, 20)


async def is_idle(pool: WorkerPool) -> bool:
    for _ in range(2000):
        if pool.calls == 0:
            return True
        await asyncio.sleep(0.005)
    return False


def test_a_call_returns_its_own_value_and_raises_its_own_error() -> None:
    def fail() -> str:
        message = "mine"
        raise LookupError(message)

    async def scenario() -> None:
        pool = WorkerPool(workers=2, max_waiting=10)
        texts = await asyncio.gather(*(run(pool, lambda n=n: f"call {n}") for n in range(10)))
        assert texts == [f"call {n}" for n in range(10)]
        with pytest.raises(LookupError, match="mine"):
            await run(pool, fail)
        assert await is_idle(pool)

    asyncio.run(scenario())


def test_calls_run_outside_the_thread_of_the_event_loop() -> None:
    async def scenario() -> str:
        return await run(
            WorkerPool(workers=1, max_waiting=0), lambda: threading.current_thread().name
        )

    assert asyncio.run(scenario()).startswith("recommend")


def test_a_call_is_refused_exactly_when_all_may_waiters_wait(gate: Gate) -> None:
    async def scenario() -> None:
        pool = WorkerPool(workers=1, max_waiting=2)
        tasks = [asyncio.create_task(run(pool, gate)) for _ in range(3)]
        await entered(gate)

        with pytest.raises(BusyError):
            await run(pool, lambda: "one too many")

        gate.opened.set()
        assert await asyncio.gather(*tasks) == ["passed"] * 3
        assert await is_idle(pool)
        assert await run(pool, lambda: "room again") == "room again"

    asyncio.run(scenario())


def test_without_waiters_an_idle_worker_still_takes_a_call(gate: Gate) -> None:
    async def scenario() -> None:
        pool = WorkerPool(workers=1, max_waiting=0)
        first = asyncio.create_task(run(pool, gate))
        await entered(gate)
        with pytest.raises(BusyError):
            await run(pool, lambda: "no room")
        gate.opened.set()

        assert await first == "passed"

    asyncio.run(scenario())


def test_the_time_to_come_back_grows_with_the_queries_that_wait(gate: Gate) -> None:
    async def refused_after(queries: int) -> int:
        pool = WorkerPool(workers=1, max_waiting=0)
        await run(pool, lambda: time.sleep(0.05) or "slow")  # 0.05 s a query
        gate.entered.clear()
        gate.opened.clear()
        held = asyncio.create_task(run(pool, gate, queries))
        await entered(gate)
        with pytest.raises(BusyError) as refusal:
            await run(pool, lambda: "no room")
        gate.opened.set()
        await held
        return refusal.value.retry_after_seconds

    assert asyncio.run(refused_after(1)) == 1
    assert asyncio.run(refused_after(100)) >= 5


def test_a_caller_who_leaves_the_queue_makes_room(gate: Gate) -> None:
    async def scenario() -> None:
        pool = WorkerPool(workers=1, max_waiting=1)
        running = asyncio.create_task(run(pool, gate))
        await entered(gate)
        never_run = Gate()
        waiting = asyncio.create_task(run(pool, never_run))
        await asyncio.sleep(0)
        assert pool.calls == 2

        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

        assert pool.calls == 1
        gate.opened.set()
        assert await running == "passed"
        assert await run(pool, lambda: "next") == "next"
        assert not never_run.entered.is_set()

    asyncio.run(scenario())


def test_closing_ends_what_waits_and_lets_finish_what_runs(gate: Gate) -> None:
    async def scenario() -> None:
        pool = WorkerPool(workers=1, max_waiting=1)
        running = asyncio.create_task(run(pool, gate))
        await entered(gate)
        waiting = asyncio.create_task(run(pool, lambda: "too late"))
        await asyncio.sleep(0)

        pool.close()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        gate.opened.set()

        assert await running == "passed"
        assert await is_idle(pool)

    asyncio.run(scenario())


def test_the_clock_gets_the_time_a_call_waited(gate: Gate) -> None:
    async def scenario() -> tuple[float, float]:
        pool = WorkerPool(workers=1, max_waiting=1)
        first, second = StageClock(), StageClock()
        running = asyncio.create_task(pool.run(gate, queries=1, clock=first))
        await entered(gate)
        waiting = asyncio.create_task(pool.run(lambda: "", queries=1, clock=second))
        await asyncio.sleep(0.1)
        gate.opened.set()
        await asyncio.gather(running, waiting)
        return first.seconds["queue"], second.seconds["queue"]

    first, second = asyncio.run(scenario())

    assert 0 <= first < second
    assert second >= 0.1


@given(
    calls=st.lists(st.booleans(), max_size=30),
    workers=st.integers(1, 3),
    max_waiting=st.integers(0, 5),
)
def test_every_call_is_answered_or_refused_and_none_is_forgotten(
    calls: list[bool], workers: int, max_waiting: int
) -> None:
    def make(number: int, *, fails: bool) -> Callable[[], str]:
        def call() -> str:
            if fails:
                raise LookupError(number)
            return str(number)

        return call

    async def scenario() -> list[str | BaseException]:
        pool = WorkerPool(workers=workers, max_waiting=max_waiting)
        asked = (run(pool, make(number, fails=fails)) for number, fails in enumerate(calls))
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert await is_idle(pool)
        pool.close()
        return found

    for number, (fails, found) in enumerate(zip(calls, asyncio.run(scenario()), strict=True)):
        expected = LookupError(number).args if fails else str(number)
        got = found.args if isinstance(found, LookupError) else found
        assert isinstance(found, BusyError) or got == expected
