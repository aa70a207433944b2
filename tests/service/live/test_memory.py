import asyncio
import ctypes
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from service.live.memory import MemoryReturn, trim_memory
from service.opening import OpenBundle, open_bundle_to_serve
from service.recommender import Recommender


class Trims:
    """Counts the trims, and tells the event loop of each."""

    def __init__(self) -> None:
        self.threads: list[str] = []
        self.again = threading.Event()
        self.executor = ThreadPoolExecutor(1, thread_name_prefix="trim")

    def __call__(self) -> None:
        self.threads.append(threading.current_thread().name)
        self.again.set()

    async def wait(self) -> None:
        assert await asyncio.to_thread(self.again.wait, 20)
        self.again.clear()

    async def are_none(self) -> bool:
        """Let everything happen that was set off, and say whether a trim was among it."""
        for _ in range(10):
            await asyncio.sleep(0)
        self.executor.submit(int).result(20)
        return self.threads == []


@pytest.fixture
def trims() -> Trims:
    return Trims()


def returning(trims: Trims) -> MemoryReturn:
    return MemoryReturn(trims.executor, trim=trims, delay_seconds=0)


def test_here_memory_can_be_trimmed_and_what_lives_stays() -> None:
    kept = [bytes([row]) * 10_000 for row in range(200)]

    assert trim_memory() is True
    assert kept == [bytes([row]) * 10_000 for row in range(200)]


def test_a_c_library_that_cannot_trim_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Musl:
        def __init__(self, _name: None) -> None: ...

    monkeypatch.setattr(ctypes, "CDLL", Musl)

    assert trim_memory() is False


def test_memory_is_trimmed_when_the_last_request_on_a_dropped_bundle_lets_go(
    trims: Trims, tiny_bundle: Path
) -> None:
    async def scenario() -> None:
        memory = returning(trims)
        kept, dropped = open_bundle_to_serve(tiny_bundle), open_bundle_to_serve(tiny_bundle)
        memory.when_gone(dropped, kept=kept)
        request = dropped.recommender
        del dropped
        assert await trims.are_none()

        del request
        await trims.wait()

    asyncio.run(scenario())


def test_an_index_that_goes_is_enough_where_the_encoder_is_shared(
    trims: Trims, tiny_bundle: Path
) -> None:
    async def scenario() -> None:
        memory = returning(trims)
        kept = open_bundle_to_serve(tiny_bundle)
        dropped = open_bundle_to_serve(tiny_bundle, current=kept)
        memory.when_gone(dropped, kept=kept)
        del dropped
        await trims.wait()

    asyncio.run(scenario())


def test_a_bundle_that_is_dropped_by_another_thread_is_noticed_as_well(
    trims: Trims, tiny_bundle: Path
) -> None:
    async def scenario() -> None:
        memory = returning(trims)
        held: list[OpenBundle] = [open_bundle_to_serve(tiny_bundle)]
        memory.when_gone(held[0], kept=open_bundle_to_serve(tiny_bundle))
        await asyncio.to_thread(held.clear)
        await trims.wait()

    asyncio.run(scenario())


def test_an_encoder_that_outlives_its_index_is_waited_for_too(
    trims: Trims, tiny_bundle: Path
) -> None:
    async def scenario() -> None:
        memory = returning(trims)
        kept, dropped = open_bundle_to_serve(tiny_bundle), open_bundle_to_serve(tiny_bundle)
        memory.when_gone(dropped, kept=kept)
        encoder = dropped.recommender.encoder
        del dropped
        await trims.wait()

        del encoder
        await trims.wait()

    asyncio.run(scenario())


def test_reasons_that_come_together_are_one_trim_off_the_event_loop(trims: Trims) -> None:
    async def scenario() -> None:
        memory = returning(trims)
        for _ in range(5):
            memory.trim_soon()
        await trims.wait()

        assert trims.threads == ["trim_0"]
        memory.trim_soon()
        await trims.wait()
        assert trims.threads == ["trim_0"] * 2

    asyncio.run(scenario())


def test_after_the_end_nothing_is_trimmed_and_nothing_fails(
    trims: Trims, tiny_bundle: Path
) -> None:
    async def scenario() -> OpenBundle:
        memory = returning(trims)
        kept, dropped = open_bundle_to_serve(tiny_bundle), open_bundle_to_serve(tiny_bundle)
        memory.when_gone(dropped, kept=kept)
        memory.trim_soon()
        memory.close()
        assert await trims.are_none()
        return dropped

    asyncio.run(scenario())

    assert trims.threads == []


def test_another_recommender_on_the_same_index_keeps_it(trims: Trims, tiny_bundle: Path) -> None:
    async def scenario() -> None:
        memory = returning(trims)
        kept = open_bundle_to_serve(tiny_bundle)
        dropped = open_bundle_to_serve(tiny_bundle, current=kept)
        strict: Recommender = dropped.recommender.with_threshold(None)
        memory.when_gone(replace(dropped), kept=kept)
        del dropped
        assert await trims.are_none()

        del strict
        await trims.wait()

    asyncio.run(scenario())
