"""The loops of the load generator, against a real server."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest

from tests.benchmarks.load import asking, closed_loop, measure, open_loop, poisson_arrivals
from tests.benchmarks.load_figures import Exchange
from tests.benchmarks.load_plan import Plan

RIGHT = b'{"results": [{"decision": "manual_review"}]}'


class Server:
    """Answers every request alike and remembers what came.

    Attributes:
        texts: of all requests, in order of arrival.
        at_once: most requests that were under way together.
        callers: connections that are open now.
    """

    def __init__(self, status: int, body: bytes, seconds: float) -> None:
        self.texts: list[str] = []
        self.at_once = 0
        self._answer = b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body
        self._seconds = seconds
        self._under_way = 0
        self.callers = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.callers += 1
        while head := await read_to(reader, b"\r\n\r\n"):
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            self.texts += json.loads(await reader.readexactly(length))["queries"]
            self._under_way += 1
            self.at_once = max(self.at_once, self._under_way)
            await asyncio.sleep(self._seconds)
            self._under_way -= 1
            writer.write(self._answer)
        writer.close()
        self.callers -= 1


async def read_to(reader: asyncio.StreamReader, end: bytes) -> bytes:
    try:
        return await reader.readuntil(end)
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


@asynccontextmanager
async def serving(
    *, status: int = 200, body: bytes = RIGHT, seconds: float = 0.0
) -> AsyncGenerator[tuple[Server, str]]:
    server = Server(status, body, seconds)
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
        try:
            yield server, f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        finally:
            while server.callers:
                await asyncio.sleep(0)


def plan(
    address: str, *, connections: int = 2, seconds: float = 0.05, rate: float | None = None
) -> Plan:
    bodies = [["a"], ["b"], ["c"]]
    return Plan(address, "surematch", bodies, connections, seconds, warm_seconds=0.0, rate=rate)


def test_a_closed_loop_keeps_as_many_requests_under_way_as_it_has_connections() -> None:
    async def run() -> tuple[Server, list[Exchange]]:
        async with serving(seconds=0.01) as (server, address):
            with asking(plan(address, connections=5)) as requests:
                return server, await closed_loop(requests, 5, 0.05)

    server, exchanges = asyncio.run(run())

    assert server.at_once == 5
    assert len(exchanges) == len(server.texts)
    assert {one.outcome for one in exchanges} == {"200"}
    assert all(one.done - one.sent >= 0.009 for one in exchanges)


def test_bodies_are_sent_in_order_and_then_again() -> None:
    async def run() -> list[str]:
        async with serving() as (server, address):
            with asking(plan(address, connections=1)) as requests:
                await open_loop(requests, iter([0.0] * 5))
            return server.texts

    assert asyncio.run(run()) == ["a", "b", "c", "a", "b"]


def test_a_request_that_waits_for_a_connection_is_late_from_when_it_was_due() -> None:
    async def run() -> list[Exchange]:
        async with serving(seconds=0.02) as (_, address):
            with asking(plan(address, connections=1)) as requests:
                return await open_loop(requests, iter([0.0] * 4))

    exchanges = asyncio.run(run())

    assert all(one.due == 0 for one in exchanges)
    assert exchanges[-1].sent >= 3 * 0.019
    assert exchanges[-1].seconds >= 4 * 0.019


def test_an_open_loop_sends_on_while_answers_are_outstanding() -> None:
    async def run() -> int:
        async with serving(seconds=0.05) as (server, address):
            with asking(plan(address, connections=100)) as requests:
                await open_loop(requests, iter([0.0] * 30))
            return server.at_once

    assert asyncio.run(run()) == 30


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (429, b"{}", "429"),
        (500, b"", "500"),
        (200, b'{"results": []}', "wrong answer"),
        (200, b'{"decision":1,"decision":2}', "wrong answer"),
    ],
)
def test_an_answer_counts_as_what_it_is(status: int, body: bytes, outcome: str) -> None:
    async def run() -> list[Exchange]:
        async with serving(status=status, body=body) as (_, address):
            with asking(plan(address)) as requests:
                return await closed_loop(requests, 1, 0.01)

    assert [one.outcome for one in asyncio.run(run())] == [outcome]


def test_nobody_listening_is_an_outcome_and_no_crash() -> None:
    async def run() -> list[Exchange]:
        async with serving() as (_, address):
            pass
        with asking(plan(address)) as requests:
            return await open_loop(requests, iter([0.0]))

    assert [one.outcome for one in asyncio.run(run())] == ["connection lost"]


def test_a_system_that_answers_nothing_gets_no_figures() -> None:
    async def run() -> None:
        async with serving(status=500) as (_, address):
            await measure(plan(address, seconds=0.01))

    with pytest.raises(RuntimeError, match="500"):
        asyncio.run(run())


def test_figures_say_what_was_asked() -> None:
    async def run() -> dict[str, object]:
        async with serving() as (_, address):
            return await measure(plan(address, seconds=0.1, rate=200.0))

    figures = asyncio.run(run())

    assert (figures["queries_a_body"], figures["offered_per_second"]) == (1, 200.0)
    assert figures["connections"] == 2


def test_arrivals_come_at_their_rate_and_at_random() -> None:
    moments = list(poisson_arrivals(1000.0, 20.0, seed=1))
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    mean = sum(gaps) / len(gaps)
    deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5

    assert len(moments) == pytest.approx(20_000, rel=0.03)
    assert deviation == pytest.approx(mean, rel=0.05)  # as with an exponential distribution
    assert all(0 < moment < 20 for moment in moments)


def test_the_same_seed_gives_the_same_arrivals() -> None:
    assert list(poisson_arrivals(50, 1, seed=3)) == list(poisson_arrivals(50, 1, seed=3))
    assert list(poisson_arrivals(50, 1, seed=3)) != list(poisson_arrivals(50, 1, seed=4))
