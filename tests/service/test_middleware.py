import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.callers import Callers
from service.metrics import Metrics
from service.middleware import MAX_REQUEST_ID_CHARACTERS, Observed, request_id_of
from service.serving import Serving
from service.settings import Settings


async def fine(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("fine")(scope, receive, send)


async def broken(_scope: Scope, _receive: Receive, _send: Send) -> None:
    message = "a secret text"
    raise LookupError(message)


async def broken_midway(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    message = "too late"
    raise LookupError(message)


async def deserted(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise ClientDisconnect


def ask(app: ASGIApp, serving: Serving, **what: object) -> httpx.Response:
    async def scenario() -> httpx.Response:
        transport = httpx.ASGITransport(app=Observed(app, serving=serving))
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return await client.request("GET", "/", **what)  # pyright: ignore[reportArgumentType]

    return asyncio.run(scenario())


def fresh() -> Serving:
    settings = Settings(bundle=Path("none"))
    return Serving(settings, Callers(settings))


def requests_counted(metrics: Metrics, code: int) -> float | None:
    labels = {"route": "unmatched", "method": "GET", "code": str(code)}
    return metrics.registry.get_sample_value("surematch_http_requests_total", labels)


@pytest.mark.parametrize("given", ["a", "trace 7/b", "~" * MAX_REQUEST_ID_CHARACTERS])
def test_a_sane_request_id_is_kept(given: str) -> None:
    assert request_id_of(Headers({"X-Request-ID": given})) == given
    assert ask(fine, fresh(), headers={"X-Request-ID": given}).headers["x-request-id"] == given


@pytest.mark.parametrize("given", [None, "", "x" * 129, "a\tb", "\xe9", "a\x7f", "a\nb"])
def test_any_other_request_id_is_replaced_by_one_that_is_new_each_time(given: str | None) -> None:
    headers = Headers({} if given is None else {"X-Request-ID": given})

    first, second = request_id_of(headers), request_id_of(headers)

    assert len({first, second, given}) == 3
    assert len(first) == 32


def test_a_failure_becomes_a_500_that_does_not_tell_what_failed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    serving = fresh()
    response = ask(broken, serving, headers={"X-Request-ID": "mine"})

    assert response.status_code == 500
    assert response.json()["code"] == "internal_error"
    assert response.headers["x-request-id"] == "mine"
    assert "secret" not in response.text
    assert requests_counted(serving.metrics, 500) == 1
    (failure,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert failure.exc_info
    assert vars(failure)["request_id"] == "mine"


def test_a_failure_after_the_answer_began_is_left_to_the_server() -> None:
    serving = fresh()
    with pytest.raises(LookupError):
        ask(broken_midway, serving)

    assert requests_counted(serving.metrics, 200) == 1


def test_a_client_that_left_is_counted_as_such_and_is_no_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    serving = fresh()
    sent: list[Message] = []

    async def scenario() -> None:
        scope = {"type": "http", "method": "GET", "headers": []}

        async def send(message: Message) -> None:
            sent.append(message)

        async def receive() -> Message:
            return {"type": "http.disconnect"}

        await Observed(deserted, serving=serving)(scope, receive, send)

    asyncio.run(scenario())

    assert sent == []
    assert requests_counted(serving.metrics, 499) == 1
    assert [record.levelname for record in caplog.records] == ["INFO"]


@pytest.mark.parametrize("app", [fine, broken, deserted])
def test_a_request_is_in_flight_only_while_it_lasts(app: ASGIApp) -> None:
    serving = fresh()
    seen: list[float | None] = []

    def in_flight() -> float | None:
        return serving.metrics.registry.get_sample_value("surematch_requests_in_flight")

    async def watched(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(in_flight())
        await app(scope, receive, send)

    if app is deserted:
        with pytest.raises(AssertionError):  # the transport misses an answer
            ask(watched, serving)
    else:
        ask(watched, serving)

    assert seen == [1]
    assert in_flight() == 0


def test_a_request_gives_exactly_one_line_with_its_facts(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="service")
    ask(fine, fresh(), headers={"X-Request-ID": "mine"})

    (line,) = caplog.records
    facts = vars(line)

    assert line.getMessage() == "request answered"
    names: Sequence[str] = ("method", "route", "status", "queries", "request_id")
    assert [facts[name] for name in names] == ["GET", "unmatched", 200, 0, "mine"]
    assert 0 <= facts["seconds"] < 10


def test_while_draining_each_answer_tells_its_client_not_to_come_back() -> None:
    serving = fresh()
    before = ask(fine, serving)
    serving.is_draining = True

    after = ask(fine, serving)

    assert "connection" not in before.headers
    assert after.headers["connection"] == "close"


def test_what_is_no_request_passes_through() -> None:
    seen: list[str] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope["type"])

    async def scenario() -> None:
        async def receive() -> Message:
            return {"type": "lifespan.startup"}

        async def send(_message: Message) -> None:
            pass

        await Observed(app, serving=fresh())({"type": "lifespan"}, receive, send)

    asyncio.run(scenario())

    assert seen == ["lifespan"]
