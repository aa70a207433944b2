"""How `recommend_many` of each client ends before its end."""

import asyncio
import threading
from collections.abc import Generator, Iterator
from contextlib import aclosing, closing, contextmanager
from dataclasses import replace
from typing import Any

import pytest
from surematch_client import AsyncClient, BusyError, Client, Retries, Timing

from tests.surematch_client.scripted_server import (
    SECONDS,
    SILENCE,
    Asked,
    Reply,
    ScriptedServer,
    Step,
    problem,
    recommendations,
    serving,
)


def first_only(asked: Asked) -> Reply:
    """Answer the query q0, be busy to all others."""
    is_first = asked.json["queries"][0]["text"] == "q0"
    return recommendations(asked) if is_first else problem(429, "busy", Retry_After="25")


def numbered(read: list[int]) -> Iterator[str]:
    """Yield queries without end, and note each."""
    while True:
        read.append(len(read))
        yield f"q{read[-1]}"


@contextmanager
def asking(script: Step, **settings: Any) -> Generator[tuple[ScriptedServer, Client]]:
    """Yield a server that answers by this step, and a client of it."""
    with serving(script) as server, Client(server.address, **settings) as client:
        yield server, client


def threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith("surematch-client")]


def test_only_what_is_under_way_is_read_ahead() -> None:
    read: list[int] = []
    with (
        asking(recommendations) as (_, client),
        closing(client.recommend_many(numbered(read), batch=2, in_flight=3)) as results,
    ):
        first = next(results)
        ahead = len(read)

    assert first.recommendations[0].product_id == "q0"
    assert ahead == 6


def test_no_thread_outlives_the_results_and_the_client_lives_on() -> None:
    with asking(recommendations) as (_, client):
        with closing(client.recommend_many(numbered([]), batch=2)) as results:
            next(results)
            assert threads()
        left = threads()
        after = client.recommend(["q"])

    assert left == []
    assert after.bundle_id == "b-1"


def test_whoever_leaves_early_does_not_sit_out_the_pauses_of_retries() -> None:
    is_pausing, was_stopped = threading.Event(), list[bool]()

    def wait(stop: threading.Event, seconds: float) -> bool:
        is_pausing.set()
        was_stopped.append(stop.wait(seconds))
        return was_stopped[-1]

    with (
        asking(first_only, timing=Timing(wait=wait)) as (server, client),
        closing(client.recommend_many(["q0", "q1"], batch=1, in_flight=2)) as results,
    ):
        next(results)
        assert is_pausing.wait(SECONDS)

    assert was_stopped == [True]
    assert len(server.asked) == 2


def test_an_error_of_the_queries_themselves_reaches_who_takes_the_results() -> None:
    def broken() -> Iterator[str]:
        yield "q0"
        message = "the file is torn"
        raise OSError(message)

    with (
        asking(recommendations) as (_, client),
        pytest.raises(OSError, match="the file is torn"),
    ):
        list(client.recommend_many(broken(), batch=1))

    assert threads() == []


def test_tasks_that_are_no_longer_wanted_are_cancelled() -> None:
    def silent_but_first(asked: Asked) -> Reply:
        return recommendations(asked) if b'"q0"' in asked.body else SILENCE

    async def take_one(address: str) -> tuple[int, str]:
        async with AsyncClient(address) as client:
            read: list[int] = []
            many = client.recommend_many(numbered(read), batch=1, in_flight=3)
            async with aclosing(many) as results:
                first = await anext(results)
            return len(asyncio.all_tasks()), first.recommendations[0].product_id

    with serving(silent_but_first) as server:
        tasks, product_id = asyncio.run(take_one(server.address))

    assert (tasks, product_id) == (1, "q0")


def test_a_cancelled_call_is_not_made_again() -> None:
    async def cancel(address: str, is_pausing: asyncio.Event) -> None:
        async def sleep(seconds: float) -> None:
            is_pausing.set()
            await asyncio.sleep(seconds)

        timing = replace(Timing(), sleep=sleep)
        async with AsyncClient(address, timing=timing) as client:
            call = asyncio.create_task(client.recommend(["q1"]))
            await is_pausing.wait()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call

    with serving(first_only) as server:
        asyncio.run(cancel(server.address, asyncio.Event()))

    assert len(server.asked) == 1


def test_a_later_failure_does_not_hide_earlier_results() -> None:
    with asking(first_only, retries=Retries(attempts=1)) as (_, client):
        results = client.recommend_many(["q0", "q1"], batch=1, in_flight=2)
        first = next(results)
        with pytest.raises(BusyError):
            next(results)

    assert first.recommendations[0].product_id == "q0"
