"""Small and large bodies side by side, counted in runs of the encoder, never in seconds."""

import asyncio
from collections.abc import Generator
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.batching.batch_queue import BULK_TURN
from service.batching.work import Lane
from tests.client import Client
from tests.spoiled import (
    WatchedSession,
    asking_spoiled,
    depths,
    forget_warm_up,
    must_be_empty,
    start,
    until,
)
from tests.tiny import PRODUCTS

BULK, SINGLE = 1000, 1
TOKENS_OF_A_RUN = 50
BULK_WORD, SINGLE_WORD = "canon", "sony"


@pytest.fixture
def gated(tiny_bundle: Path) -> Generator[tuple[Client, WatchedSession]]:
    """An app with one worker, and the session it runs on."""
    made: list[WatchedSession] = []

    def spoil(session: Any) -> WatchedSession:
        made.append(WatchedSession(session))
        return made[0]

    limits = {"batch_tokens": TOKENS_OF_A_RUN, "max_interactive_seconds": 1000.0}
    with asking_spoiled(tiny_bundle, spoil, workers=1, **limits) as client:
        forget_warm_up(made[0])
        yield client, made[0]
        made[0].gate.set()


def body_of(number: int, word: str) -> dict[str, object]:
    return {"queries": [f"{word} {row}" for row in range(number)], "k": 1}


def word_ids(client: Client, word: str) -> int:
    generation = client.serving.opened()
    return generation.embed.encoder.tokeniser([word])[0].ids[1]


def runs_of(session: WatchedSession, token: int) -> list[bool]:
    """Return, for each run in turn, whether one of its texts holds the token."""
    ids = iter(session.ids)
    runs = [list(islice(ids, texts)) for texts in session.texts]
    return [any(token in text for text in run) for run in runs]


def test_a_single_query_waits_for_one_batch_of_a_large_body(
    gated: tuple[Client, WatchedSession],
) -> None:
    client, session = gated
    session.gate.clear()

    async def scenario() -> list[httpx.Response]:
        bulk = start(client, body_of(BULK, BULK_WORD))
        await asyncio.to_thread(session.begun.wait)
        single = start(client, body_of(SINGLE, SINGLE_WORD))
        await until(lambda: depths(client)[Lane.INTERACTIVE][1] > 0)
        session.gate.set()
        first, _ = await asyncio.wait([bulk, single], return_when=asyncio.FIRST_COMPLETED)
        assert first == {single}
        return [await single, await bulk]

    single, bulk = client.run(scenario())

    assert (single.status_code, bulk.status_code) == (200, 200)
    assert len(bulk.json()["results"]) == BULK
    assert len(session.texts) > 50
    assert runs_of(session, word_ids(client, SINGLE_WORD)).index(True) <= 2
    must_be_empty(client)


def test_a_large_body_gets_its_turn_while_small_ones_keep_coming(
    gated: tuple[Client, WatchedSession],
) -> None:
    client, session = gated
    session.gate.clear()

    async def scenario() -> list[httpx.Response]:
        singles = [start(client, body_of(8, f"{SINGLE_WORD} {number}")) for number in range(60)]
        bulk = start(client, body_of(40, BULK_WORD))
        await until(lambda: depths(client)[Lane.BULK][1] > 0)
        session.gate.set()
        return await asyncio.gather(bulk, *singles)

    responses = client.run(scenario())
    of_bulk = runs_of(session, word_ids(client, BULK_WORD))

    assert {response.status_code for response in responses} == {200}
    first, last = of_bulk.index(True), len(of_bulk) - 1 - of_bulk[::-1].index(True)
    gaps = [turn for turn in range(first, last + 1) if of_bulk[turn]]
    assert first <= BULK_TURN
    assert all(later - earlier <= BULK_TURN for earlier, later in pairwise(gaps))
    assert last < len(of_bulk) - BULK_TURN  # it did not just come at the end
    must_be_empty(client)


def test_two_large_bodies_share_the_batches_fairly(gated: tuple[Client, WatchedSession]) -> None:
    """The second one is done long before it would be behind the whole of the first."""
    client, session = gated
    session.gate.clear()
    speed = client.serving.answering.batcher.queue._speed  # pyright: ignore[reportPrivateUsage]
    speed.set(100.0)  # that of a gate
    small = 100

    async def scenario() -> list[httpx.Response]:
        large = start(client, body_of(BULK, BULK_WORD))
        await asyncio.to_thread(session.begun.wait)
        other = start(client, body_of(small, SINGLE_WORD))
        await until(lambda: depths(client)[Lane.BULK][0] == 2)
        session.gate.set()
        return list(await asyncio.gather(large, other))

    responses = client.run(scenario())
    of_other = runs_of(session, word_ids(client, SINGLE_WORD))
    done = len(of_other) - of_other[::-1].index(True)

    assert {response.status_code for response in responses} == {200}
    assert done < len(of_other) / 2


def test_neighbours_change_no_answer(gated: tuple[Client, WatchedSession]) -> None:
    client, session = gated
    session.gate.clear()
    titles = [title for _, title, _ in PRODUCTS[:6]]

    async def scenario() -> list[httpx.Response]:
        asked = [start(client, {"queries": [title]}) for title in titles]
        asked += [start(client, body_of(30, word)) for word in (BULK_WORD, SINGLE_WORD)]
        await until(lambda: sum(requests for requests, _ in depths(client).values()) == len(asked))
        session.gate.set()
        return (await asyncio.gather(*asked))[: len(titles)]

    together = client.run(scenario())
    assert max(session.texts) > 1
    alone = [client.recommend({"queries": [title]}) for title in titles]

    for one, other in zip(together, alone, strict=True):
        pairs = zip(
            one.json()["results"][0]["recommendations"],
            other.json()["results"][0]["recommendations"],
            strict=True,
        )
        for mine, theirs in pairs:
            assert mine["product_id"] == theirs["product_id"]
            assert abs(mine["similarity"] - theirs["similarity"]) <= 1e-5
