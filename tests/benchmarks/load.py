"""The load generator: a process of its own that asks a system over keep-alive connections.

Reads a plan from standard input and writes figures to standard output. In an open loop a request's
time counts from the moment it was due, whether or not the system (or the generator, which shares
its cores) was free then; so a stall shows in every request that should have been sent meanwhile.
"""

import asyncio
import gc
import itertools
import json
import math
import random
import resource
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import uvloop

from tests.benchmarks.connection import Connection, LostConnectionError, UnreadableAnswerError
from tests.benchmarks.dialects import DIALECTS
from tests.benchmarks.load_figures import ANSWERED, Exchange, add_up
from tests.benchmarks.load_plan import WARM_UP_CONNECTIONS, Plan

PATIENCE_SECONDS = 90.0
"""After the last request, so long is waited for answers."""

PAUSE_SECONDS = 0.1
"""So long a closed loop's connection rests after a refusal, less than Retry-After asks for."""


def main() -> None:
    """Carry out the plan on standard input."""
    gc.disable()  # a run is short, and a collection would show as the system's slowness
    plan = Plan.from_json(sys.stdin.read())
    sys.stdout.write(json.dumps(uvloop.run(measure(plan))) + "\n")


async def measure(plan: Plan) -> dict[str, Any]:
    """Return the figures of a plan, with what the generator itself took."""
    with asking(plan) as requests:
        return await _measure(requests, plan)


@contextmanager
def asking(plan: Plan) -> Generator["Requests"]:
    """Yield the requests of a plan; their connections are closed at the end."""
    requests = Requests(plan)
    try:
        yield requests
    finally:
        requests.close()


class Requests:
    """The requests of a plan, as bytes, and the connections they go over."""

    def __init__(self, plan: Plan) -> None:
        self.asked = 0
        self._dialect = DIALECTS[plan.dialect]
        self._size = len(plan.bodies[0])
        self._host, _, port = plan.address.partition(":")
        self._port = int(port)
        written = [self._dialect.request(body, plan.address) for body in plan.bodies]
        self._bytes = itertools.cycle(written)
        self._idle: list[Connection] = []
        self._places = asyncio.Semaphore(plan.connections)

    async def send_next(self, *, begun: float, due: float | None = None) -> Exchange:
        """Send the next request as soon as a connection is free; return what became of it.

        Args:
            begun: when the run began, by `time.perf_counter`.
            due: when the request was to be sent, in seconds since then; None is now.
        """
        self.asked += 1
        sent = time.perf_counter() - begun
        due = sent if due is None else due
        try:
            async with self._places:
                sent = time.perf_counter() - begun
                outcome = await self._outcome(next(self._bytes))
        except asyncio.CancelledError:  # `_finish` has waited long enough
            outcome = "no answer"
        except (LostConnectionError, OSError):
            outcome = "connection lost"
        except UnreadableAnswerError:
            outcome = "unreadable answer"
        return Exchange(due=due, sent=sent, done=time.perf_counter() - begun, outcome=outcome)

    def close(self) -> None:
        """Close all connections that no request is using."""
        for connection in self._idle:
            connection.close()

    async def _outcome(self, request: bytes) -> str:
        connection = self._idle.pop() if self._idle else None
        if connection is None or not connection.is_open:
            connection = await Connection.open(self._host, self._port)
        reply = await connection.ask(request)
        if connection.is_open:
            self._idle.append(connection)
        status = str(reply.status)
        if status == ANSWERED and self._dialect.results(reply.body) != self._size:
            return "wrong answer"
        return status


async def closed_loop(requests: Requests, connections: int, seconds: float) -> list[Exchange]:
    """Keep ``connections`` requests under way for so long, then wait for the last answers."""
    begun = time.perf_counter()
    found: list[Exchange] = []

    async def one_caller() -> None:
        while time.perf_counter() - begun < seconds:
            exchange = await requests.send_next(begun=begun)
            found.append(exchange)
            if exchange.outcome != ANSWERED:
                await asyncio.sleep(PAUSE_SECONDS)

    await _finish([asyncio.create_task(one_caller()) for _ in range(connections)], seconds)
    return found


async def open_loop(requests: Requests, moments: Iterator[float]) -> list[Exchange]:
    """Send a request at each of these moments, whatever became of those before it."""
    begun = time.perf_counter()
    found: list[Exchange] = []

    async def one_request(due: float) -> None:
        found.append(await requests.send_next(begun=begun, due=due))

    under_way: list[asyncio.Task[None]] = []
    for due in moments:
        while (wait := due - (time.perf_counter() - begun)) > 0:
            await asyncio.sleep(math.ceil(1000 * wait) / 1000)  # timers have whole milliseconds
        under_way.append(asyncio.create_task(one_request(due)))
    await _finish(under_way, 0)
    return found


def poisson_arrivals(rate: float, seconds: float, *, seed: int) -> Iterator[float]:
    """Yield the moments of a Poisson process of ``rate`` a second, up to ``seconds``."""
    chance = random.Random(seed)  # noqa: S311  # spreads requests, no secrets
    moment = chance.expovariate(rate)
    while moment < seconds:
        yield moment
        moment += chance.expovariate(rate)


async def _measure(requests: "Requests", plan: Plan) -> dict[str, Any]:
    await closed_loop(requests, min(plan.connections, WARM_UP_CONNECTIONS), plan.warm_seconds)
    cpu, started = _cpu_seconds(), time.perf_counter()
    if plan.rate is None:
        exchanges = await closed_loop(requests, plan.connections, plan.seconds)
    else:
        moments = poisson_arrivals(plan.rate, plan.seconds, seed=plan.seed)
        exchanges = await open_loop(requests, moments)
    if not any(one.outcome == ANSWERED for one in exchanges):
        message = f"none of {len(exchanges)} requests was answered with 200, but {exchanges[:1]}"
        raise RuntimeError(message)
    share = (_cpu_seconds() - cpu) / (time.perf_counter() - started)
    size = len(plan.bodies[0])
    offered = plan.seconds if plan.rate is not None else None
    figures = add_up(exchanges, queries_a_body=size, offered_seconds=offered)
    return {
        "queries_a_body": size,
        "connections": plan.connections,
        "offered_per_second": None if plan.rate is None else round(plan.rate * size, 2),
        **asdict(figures),
        "bodies_sent_again": max(0, requests.asked - len(plan.bodies)),
        "generator_cores": round(share, 3),
    }


async def _finish(tasks: list[asyncio.Task[None]], seconds: float) -> None:
    """Wait for all tasks, a while longer than ``seconds``; what still waits then gives up."""
    if not tasks:
        return
    _, waiting = await asyncio.wait(tasks, timeout=seconds + PATIENCE_SECONDS)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for task in tasks:
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
