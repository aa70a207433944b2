"""Far more than the encoder can do: each request is answered or refused, and none waits in vain."""

import asyncio
import json
import random
import re
from collections import Counter
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import Message, Scope

from service.batching.admission import Refusal
from service.batching.work import Lane
from tests.client import Client
from tests.process import service_process
from tests.spoiled import (
    WatchedSession,
    asking_spoiled,
    depths,
    forget_warm_up,
    must_be_empty,
    start,
    until,
)
from tests.wire import Wire, recommending, request

FEW_TOKENS = 60
TOKENS_OF_A_RUN = 24
LONG = 1000.0
DEADLINE = "X-Request-Deadline-Ms"
SCOPE: Scope = {
    "type": "http",
    "http_version": "1.1",
    "method": "POST",
    "scheme": "http",
    "path": "/recommend",
    "query_string": b"",
    "headers": [(b"host", b"127.0.0.1")],
    "server": ("127.0.0.1", 80),
}


@pytest.fixture
def slow(tiny_bundle: Path) -> Generator[tuple[Client, WatchedSession]]:
    """An app with one worker and short queues, and the session it runs on."""
    made: list[WatchedSession] = []

    def spoil(session: Any) -> WatchedSession:
        made.append(WatchedSession(session))
        return made[0]

    limits = {
        "max_interactive_tokens": FEW_TOKENS,
        "max_bulk_tokens": FEW_TOKENS,
        "max_interactive_seconds": LONG,
        "batch_tokens": TOKENS_OF_A_RUN,
    }
    with asking_spoiled(tiny_bundle, spoil, workers=1, **limits) as client:
        forget_warm_up(made[0])
        yield client, made[0]
        made[0].gate.set()


def body_of(number: int, *, tag: object) -> dict[str, object]:
    return {"queries": [f"canon {tag} {row}" for row in range(number)], "k": 1}


def must_be_busy(status: int, headers: Mapping[str, str], problem: Mapping[str, Any]) -> None:
    assert headers["content-type"] == "application/problem+json"
    assert (status, problem["status"], problem["code"]) == (429, 429, "busy")
    assert re.fullmatch("[1-9][0-9]*", headers["retry-after"])


def must_be_late(response: httpx.Response) -> None:
    assert response.headers["content-type"] == "application/problem+json"
    assert (response.status_code, response.json()["code"]) == (504, "deadline_exceeded")


@pytest.mark.parametrize("queries", [1, 20])
def test_what_is_offered_beyond_the_limits_is_refused_without_work(
    slow: tuple[Client, WatchedSession], queries: int
) -> None:
    client, session = slow
    session.seconds = 0.01
    bodies = [body_of(queries, tag=turn) for turn in range(200)]

    responses = client.recommend_together(bodies)

    statuses = Counter(response.status_code for response in responses)
    assert set(statuses) == {200, 429}
    for response in responses:
        if response.status_code == 200:
            assert len(response.json()["results"]) == queries
        else:
            must_be_busy(response.status_code, response.headers, response.json())
    must_be_empty(client)
    assert len(session.ids) == statuses[200] * queries
    reason = Refusal.QUEUE_TOKENS
    assert client.sample("surematch_admission_rejected_total", reason=reason) == statuses[429]


@pytest.mark.parametrize(("full", "free"), [(40, 1), (4, 20)])
def test_a_lane_that_is_full_refuses_nobody_in_the_other(
    slow: tuple[Client, WatchedSession], full: int, free: int
) -> None:
    client, session = slow
    queue = client.serving.answering.batcher.queue
    lane = Lane.BULK if full > free else Lane.INTERACTIVE
    session.gate.clear()

    async def scenario() -> list[httpx.Response]:
        filling: list[asyncio.Task[httpx.Response]] = []
        while not queue.is_full(lane):
            filling.append(start(client, body_of(full, tag=len(filling))))
            await until(lambda: depths(client)[lane][0] == len(filling))
        refused = await start(client, body_of(full, tag="too many"))
        others = start(client, body_of(free, tag="of the other lane"))
        await until(lambda: sum(requests for requests, _ in depths(client).values()) > len(filling))
        session.gate.set()
        return [refused, *await asyncio.gather(others, *filling)]

    refused, *answered = client.run(scenario())

    must_be_busy(refused.status_code, refused.headers, refused.json())
    assert {response.status_code for response in answered} == {200}
    must_be_empty(client)


@pytest.mark.parametrize("queries", [1, 20])
def test_texts_whose_time_is_over_in_the_queue_never_reach_the_encoder(
    slow: tuple[Client, WatchedSession], queries: int
) -> None:
    client, session = slow
    session.gate.clear()

    async def scenario() -> list[httpx.Response]:
        first = start(client, body_of(1, tag="first"))
        await asyncio.to_thread(session.begun.wait)
        late = await start(client, body_of(queries, tag="late"), **{DEADLINE: "50"})
        session.gate.set()
        return [late, await first]

    late, first = client.run(scenario())
    last = client.recommend(body_of(1, tag="last"))

    must_be_late(late)
    assert (first.status_code, last.status_code) == (200, 200)
    assert session.texts == [1, 1]
    must_be_empty(client)


@pytest.mark.parametrize("queries", [1, 20])
def test_texts_of_a_client_that_left_never_reach_the_encoder(
    slow: tuple[Client, WatchedSession], queries: int
) -> None:
    client, session = slow
    session.gate.clear()

    async def scenario() -> httpx.Response:
        first = start(client, body_of(1, tag="first"))
        await asyncio.to_thread(session.begun.wait)
        await leave(client, body_of(queries, tag="gone"))
        session.gate.set()
        return await first

    first = client.run(scenario())
    last = client.recommend(body_of(1, tag="last"))

    assert (first.status_code, last.status_code) == (200, 200)
    assert session.texts == [1, 1]
    assert client.sample("surematch_request_cancelled_total", stage="queue") == 1.0
    must_be_empty(client)


def test_a_deadline_that_nobody_could_keep_is_refused_at_once(
    slow: tuple[Client, WatchedSession],
) -> None:
    client, session = slow
    session.gate.clear()
    speed = client.serving.answering.batcher.queue._speed  # pyright: ignore[reportPrivateUsage]
    speed.set(1.0)  # tokens per second

    async def scenario() -> httpx.Response:
        filling = [start(client, body_of(2, tag=number)) for number in range(4)]
        await until(lambda: depths(client)[Lane.INTERACTIVE][1] > 0)
        hopeless = await start(client, body_of(1, tag="hopeless"), **{DEADLINE: "3000"})
        session.gate.set()
        await asyncio.gather(*filling)
        return hopeless

    hopeless = client.run(scenario())

    must_be_busy(hopeless.status_code, hopeless.headers, hopeless.json())
    reason = Refusal.DEADLINE
    assert client.sample("surematch_admission_rejected_total", reason=reason) == 1.0


def test_requests_of_every_size_and_haste_all_come_to_an_end(
    slow: tuple[Client, WatchedSession],
) -> None:
    client, session = slow
    session.seconds = 0.01
    chance = random.Random(0)  # noqa: S311  # no secret

    async def scenario() -> list[httpx.Response]:
        asked = [
            start(
                client,
                body_of(chance.choice((1, 1, 2, 30)), tag=number),
                **({DEADLINE: str(chance.choice((1, 20, 100)))} if number % 2 else {}),
            )
            for number in range(300)
        ]
        return await asyncio.gather(*asked)

    responses = client.run(scenario())

    assert {response.status_code for response in responses} == {200, 429, 504}
    for response in responses:
        if response.status_code == 429:
            must_be_busy(response.status_code, response.headers, response.json())
        elif response.status_code == 504:
            must_be_late(response)
    must_be_empty(client)
    assert client.get("/readyz").status_code == 200


def test_many_clients_of_a_small_process_are_answered_or_refused(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    statuses: Counter[int] = Counter()
    settings = ("--max-waiting", "2", "--max-bulk-tokens", "500", "--workers", "1")

    arguments = ("--bundle", str(tiny_bundle), "--port", "0", *settings)
    with service_process(tmp_path / "log", *arguments) as process:
        address = process.ready_address()

        def ask(seed: int) -> None:
            chance = random.Random(seed)  # noqa: S311  # no secret
            with Wire(address) as wire:
                for turn in range(40):
                    texts = [f"canon {seed} {turn} {row}" for row in range(chance.choice((1, 300)))]
                    answer = wire.ask(recommending(*texts))
                    statuses[answer.status] += 1
                    if answer.status == 429:
                        must_be_busy(answer.status, answer.headers, answer.json)

        with ThreadPoolExecutor(16) as clients:
            list(clients.map(ask, range(16)))
        with Wire(address) as wire:
            metrics = wire.ask(request("GET", "/metrics")).body.decode()

    assert set(statuses) == {200, 429}
    for lane in Lane:
        assert f'surematch_queue_requests{{lane="{lane}"}} 0.0' in metrics
        assert f'surematch_queue_tokens{{lane="{lane}"}} 0.0' in metrics
    assert "Traceback" not in process.said


async def leave(client: Client, body: object) -> None:
    """Ask, and leave while the texts wait."""
    content = json.dumps(body).encode()
    messages: list[Message] = [{"type": "http.request", "body": content, "more_body": False}]

    async def receive() -> Message:
        if messages:
            return messages.pop()
        await until(lambda: sum(requests for requests, _ in depths(client).values()) == 2)
        return {"type": "http.disconnect"}

    async def send(_message: Message) -> None:
        pytest.fail("nobody is there to be answered")

    await client.app(dict(SCOPE), receive, send)
