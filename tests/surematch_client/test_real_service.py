"""Both clients against the service itself."""

import asyncio
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx
import pytest
from surematch_client import (
    ApiError,
    AsyncClient,
    Decision,
    Identifiers,
    InvalidRequestError,
    NotReadyError,
    Query,
    Reason,
    Result,
    Retries,
    SwapStatus,
)

from service.contract import decision as served
from service.contract.errors import BundleError
from tests.client import asking, starting
from tests.process import service_process
from tests.surematch_client.both_clients import Ask
from tests.surematch_client.scripted_server import SECONDS
from tests.tiny import PRODUCTS, write_bundle

QUERIES = [
    Query("Canon EOS R5 Body", id="offer-1"),
    "an unheard of thing",
    Query("Generic Cable", id=7),
    "  ",
    " ".join(["sony"] * 40),
]


@pytest.fixture(scope="module")
def address(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """The base URL of a process that is ready."""
    log = tmp_path_factory.mktemp("logs") / "log"
    with service_process(log, "--bundle", str(tiny_bundle), "--port", "0") as process:
        yield process.ready_address()


def check(results: list[Result]) -> None:
    """Check the answers to `QUERIES`."""
    sure, unknown, twin, blank = results[:4]
    assert [each.id for each in results] == ["offer-1", None, 7, None, None]
    assert (sure.is_auto_accepted, sure.reason) == (True, Reason.ABOVE_THRESHOLD)
    assert sure.recommendations[0].product_id == "p-5"
    assert sure.recommendations[0].similarity == pytest.approx(1.0, abs=1e-5)
    assert sure.recommendations[0].fields == {"brand": "Canon"}
    assert (unknown.decision, unknown.reason) == (Decision.MANUAL_REVIEW, Reason.BELOW_THRESHOLD)
    assert (twin.is_auto_accepted, twin.reason) == (False, Reason.AMBIGUOUS_PRODUCT)
    assert (blank.reason, len(blank.recommendations)) == (Reason.EMPTY_TEXT, 0)
    assert [each.truncated for each in results] == [False, False, False, False, True]
    assert len(sure.recommendations) == 2
    assert len({each.bundle_id for each in results}) == 1


def test_answers_are_the_services(ask: Ask, address: str) -> None:
    response = ask(address, lambda client: client.recommend(QUERIES, k=2, fields=["brand"]))
    narrow = ask(address, lambda client: client.recommend(["sony"], filter={"brand": "Canon"}))
    assert {one.product_id for one in narrow.results[0].recommendations} == {"p-4", "p-5"}

    check(response.results)


def test_identifiers_reach_the_service_and_what_came_of_them_comes_back(
    ask: Ask, address: str
) -> None:
    known = Identifiers(gtin="4006381333931", mpn="WH-1000XM4")
    queries = ["sony", Query("sony", identifiers=known), Query("sony", identifiers=Identifiers())]

    found = [
        ask(address, lambda client: client.recommend(queries)).results,
        ask(address, lambda client: client.recommend_many(queries, batch=2)),
    ]

    for results in found:
        assert [each.identifier for each in results] == [None, "not_indexed", None]


def test_a_deadline_that_can_be_kept_changes_nothing(ask: Ask, address: str) -> None:
    response = ask(address, lambda client: client.recommend(["sony"], deadline_seconds=60.0))

    assert len(response.results) == 1


def test_many_queries_are_answered_like_few(ask: Ask, address: str) -> None:
    queries = [Query(PRODUCTS[at % len(PRODUCTS)][1], id=at) for at in range(101)]
    few = ask(address, lambda client: client.recommend(queries, k=1))

    many = ask(address, lambda client: client.recommend_many(iter(queries), batch=7, k=1))

    assert [each.id for each in many] == list(range(101))
    assert [each.recommendations[0].product_id for each in many] == [
        each.recommendations[0].product_id for each in few.results
    ]


def test_info_states_the_promise_and_the_limits(ask: Ask, address: str) -> None:
    info = ask(address, lambda client: client.info())

    assert info.operating_point.threshold == 0.8
    assert info.operating_point.target_precision == 0.95
    assert info.operating_point.coverage == 0.8
    assert (info.limits.queries, info.limits.k, info.limits.tokens) == (1000, 100, 12)
    assert info.raw["catalogue"]["products"] == len(PRODUCTS)


def test_a_running_service_is_ready(ask: Ask, address: str) -> None:
    assert ask(address, lambda client: client.is_ready()) is True


def test_a_wrong_request_is_told_value_by_value(ask: Ask, address: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        ask(address, lambda client: client.recommend(["sony"], k=0, fields=None))

    assert (caught.value.status, caught.value.code) == (422, "invalid_request")
    assert [each.where for each in caught.value.errors] == ["k"]
    assert caught.value.request_id


def test_a_path_that_is_not_the_services_is_an_api_error(ask: Ask, address: str) -> None:
    with pytest.raises(ApiError, match="404 not_found"):
        ask(f"{address}/prefix", lambda client: client.recommend(["sony"]))


def test_the_app_answers_the_asynchronous_client_without_a_socket(tiny_bundle: Path) -> None:
    async def ask_together(transport: httpx.AsyncBaseTransport) -> list[list[Result]]:
        async with AsyncClient("http://service", transport=transport) as client:
            asked = (client.recommend(QUERIES, k=2, fields=["brand"]) for _ in range(5))
            return [list(response.results) for response in await asyncio.gather(*asked)]

    with asking(tiny_bundle) as app:
        answers = app.run(ask_together(httpx.ASGITransport(app=app.app)))

    for results in answers:
        check(results)


def test_a_service_that_opens_its_bundle_is_not_ready(tiny_bundle: Path) -> None:
    async def ask_early(transport: httpx.AsyncBaseTransport) -> bool:
        once = Retries(attempts=1)
        async with AsyncClient("http://service", transport=transport, retries=once) as client:
            with pytest.raises(NotReadyError, match="503 not_ready"):
                await client.recommend(["sony"])
            return await client.is_ready()

    is_asked = threading.Event()

    def wait_and_fail(*_: Any, **__: Any) -> Any:
        is_asked.wait(SECONDS)
        message = "this bundle was never meant to open"
        raise BundleError(message)

    with starting(tiny_bundle, opener=wait_and_fail) as app:
        try:
            is_ready = app.run(ask_early(httpx.ASGITransport(app=app.app)))
        finally:
            is_asked.set()

    assert is_ready is False


def test_the_client_knows_every_decision_and_reason_of_the_service() -> None:
    assert {str(each) for each in served.Decision} == {str(each) for each in Decision}
    assert {str(each) for each in served.Reason} <= {str(each) for each in Reason}


def test_embeddings_come_from_the_service(ask: Ask, address: str) -> None:
    found = ask(address, lambda client: client.embed(["Canon EOS R5 Body", "  "]))

    sure, blank = found.results
    assert sure.values is not None
    assert len(sure.values) == found.dim
    assert sum(value * value for value in sure.values) == pytest.approx(1.0, abs=1e-5)
    assert (blank.values, blank.reason) == (None, Reason.EMPTY_TEXT)


def test_a_bundle_is_swapped_and_rolled_back_by_call(ask: Ask, tmp_path: Path) -> None:
    first = write_bundle(tmp_path / "first", threshold=0.8).manifest.bundle_id
    second = write_bundle(tmp_path / "second", threshold=0.7).manifest.bundle_id
    arguments = ("--bundle", str(tmp_path / "first"), "--port", "0")

    with service_process(tmp_path / "log", *arguments) as process:
        address = process.ready_address()
        swapped = ask(address, lambda client: client.swap_bundle("second"))
        again = ask(address, lambda client: client.swap_bundle("second"))
        back = ask(address, lambda client: client.roll_back())

    assert (swapped.status, swapped.bundle_id) == (SwapStatus.SWAPPED, second)
    assert (again.status, again.bundle_id) == (SwapStatus.UNCHANGED, second)
    assert (back.status, back.bundle_id) == (SwapStatus.SWAPPED, first)
