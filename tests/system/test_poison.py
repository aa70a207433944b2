"""Texts that the encoder fails on: they alone are failed, and nothing gets stuck behind them."""

import asyncio
from collections.abc import Generator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.batching.progress import STALL_SECONDS
from service.contract import bundle as bundles
from service.recommender import Answer
from tests.client import Client
from tests.poison import HARMS, Harm, PoisonSession
from tests.spoiled import StickySession, asking_spoiled
from tests.tiny import PRODUCTS, make_tokenizer, open_tiny

TOLERANCE = 1e-5
POISON = "silver"
CLEAN = [title for _, title, _ in PRODUCTS if POISON not in title.lower()]
TOKEN = make_tokenizer([title for _, title, _ in PRODUCTS]).encode(POISON).ids[1]
FRESH = count()


def texts_with_poison(number: int, *, poisoned: Sequence[int]) -> list[str]:
    """Return so many texts, no two alike, some of them poison."""
    return [
        f"{POISON if row in poisoned else 'the'} {CLEAN[row % len(CLEAN)]} {next(FRESH)}"
        for row in range(number)
    ]


@pytest.fixture(params=HARMS)
def client(tiny_bundle: Path, request: pytest.FixtureRequest) -> Generator[Client]:
    harm: Harm = request.param
    encoder = tiny_bundle / bundles.ENCODER

    def spoil(_session: Any) -> PoisonSession:
        return PoisonSession(encoder, token=TOKEN, harm=harm)

    with asking_spoiled(tiny_bundle, spoil) as client:
        yield client


@pytest.fixture(scope="module")
def clean(tiny_bundle: Path) -> Any:
    return open_tiny(tiny_bundle)


def must_fail_alone(response: httpx.Response, texts: Sequence[str], clean: Any) -> None:
    """Check that poison gets ``encoder_failed``, and each other text what a clean encoder says."""
    assert response.status_code == 200, response.text
    right: list[Answer] = clean.recommend(texts)
    results = response.json()["results"]
    assert len(results) == len(texts)
    for text, result, wanted in zip(texts, results, right, strict=True):
        if POISON in text:
            assert (result["decision"], result["reason"]) == ("manual_review", "encoder_failed")
            assert result["recommendations"] == []
            continue
        assert (result["decision"], result["reason"]) == (wanted.decision, wanted.reason)
        found = {one["product_id"]: one["similarity"] for one in result["recommendations"]}
        for one in wanted.recommendations:
            assert abs(found[one.product_id] - one.similarity) <= TOLERANCE


def must_be_idle(client: Client) -> None:
    depths = client.serving.answering.batcher.queue.depths()
    assert set(depths.values()) == {(0, 0)}
    assert client.get("/readyz").status_code == 200
    assert client.sample("surematch_worker_restarts_total") == 0.0


def test_poison_alone_fails_alone_however_often(client: Client, clean: Any) -> None:
    for turn in range(30):
        texts = texts_with_poison(1, poisoned=[0] if turn % 3 else [])
        must_fail_alone(client.recommend({"queries": texts}), texts, clean)

    must_be_idle(client)


@pytest.mark.parametrize("poisoned", [[0], [39], [13, 14], list(range(0, 40, 2)), list(range(40))])
def test_poison_in_a_body_costs_only_itself(
    client: Client, clean: Any, poisoned: list[int]
) -> None:
    texts = texts_with_poison(40, poisoned=poisoned)

    must_fail_alone(client.recommend({"queries": texts}), texts, clean)

    must_be_idle(client)


def test_poison_costs_other_requests_nothing(client: Client, clean: Any) -> None:
    asked = [
        texts_with_poison(1 + 39 * (turn % 3 == 0), poisoned=[0] if turn % 2 else [])
        for turn in range(60)
    ]

    responses = client.recommend_together([{"queries": texts} for texts in asked])

    for response, texts in zip(responses, asked, strict=True):
        must_fail_alone(response, texts, clean)
    must_be_idle(client)


def test_poison_is_counted_and_not_kept_as_an_answer(tiny_bundle: Path) -> None:
    encoder = tiny_bundle / bundles.ENCODER
    with asking_spoiled(
        tiny_bundle,
        lambda _: PoisonSession(encoder, token=TOKEN, harm="raises"),
        cache_bytes=1_000_000,
    ) as client:
        for _ in range(3):
            client.recommend({"queries": ["bose", f"sony {POISON}"]})

        assert client.sample("surematch_encoder_failures_total", kind="runtime") == 3.0
        assert client.sample("surematch_cache_requests_total", result="hit") == 2.0


@pytest.fixture
def sticky(tiny_bundle: Path) -> Generator[tuple[Client, StickySession]]:
    made: list[StickySession] = []

    def spoil(session: Any) -> StickySession:
        made.append(StickySession(session, token=TOKEN))
        return made[0]

    with asking_spoiled(tiny_bundle, spoil, workers=1) as client:
        yield client, made[0]
        made[0].gate.set()


def test_a_text_that_hangs_costs_only_itself(
    sticky: tuple[Client, StickySession], clean: Any
) -> None:
    client, _ = sticky
    progress = client.serving.answering.batcher.progress
    progress._stall_seconds = 0.2  # pyright: ignore[reportPrivateUsage]  # real patience: below
    asked = [texts_with_poison(6, poisoned=[2]), *(texts_with_poison(1, poisoned=[]),) * 5]

    responses = client.recommend_together([{"queries": texts} for texts in asked])

    for response, texts in zip(responses, asked, strict=True):
        must_fail_alone(response, texts, clean)
    assert client.sample("surematch_worker_restarts_total") == 2.0  # with others, then alone
    assert client.get("/readyz").status_code == 200
    assert client.get("/livez").status_code == 200


@pytest.mark.slow
def test_a_worker_that_hangs_is_replaced_and_readyz_says_so(
    sticky: tuple[Client, StickySession], clean: Any
) -> None:
    client, session = sticky
    texts = texts_with_poison(1, poisoned=[0])
    statuses: list[int] = []

    async def scenario() -> httpx.Response:
        asked = asyncio.create_task(client.asynchronous.post("/recommend", json={"queries": texts}))
        await asyncio.to_thread(session.stuck.wait, STALL_SECONDS)
        while not asked.done():
            statuses.append((await client.asynchronous.get("/readyz")).status_code)
            await asyncio.sleep(0.05)
        return asked.result()

    response = client.run(scenario())
    after = client.get("/readyz")
    well = client.recommend({"queries": CLEAN})

    must_fail_alone(response, texts, clean)
    assert 503 in statuses
    assert after.status_code == 200
    must_fail_alone(well, CLEAN, clean)
    assert client.sample("surematch_worker_restarts_total") == 1.0
    assert client.sample("surematch_forward_progress") == 1.0


@pytest.mark.slow
def test_a_process_whose_every_worker_hangs_asks_to_be_started_again(
    sticky: tuple[Client, StickySession],
) -> None:
    client, _ = sticky
    progress = client.serving.answering.batcher.progress
    progress._stall_seconds = 0.2  # pyright: ignore[reportPrivateUsage]
    alive = client.get("/livez").status_code
    for _ in range(3):
        client.recommend({"queries": texts_with_poison(1, poisoned=[0])})

    assert (alive, client.get("/livez").status_code) == (200, 500)
    client.recommend({"queries": CLEAN})
    assert client.get("/livez").status_code == 200
