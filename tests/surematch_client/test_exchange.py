from typing import Any

import httpx
import pytest
from surematch_client import (
    BusyError,
    ConnectionLostError,
    InvalidResponseError,
    Retries,
    TimedOutError,
)
from surematch_client.calls import info_call, ready_call, recommend_call, swap_call
from surematch_client.exchange import Done, Exchange, Terms, Wait
from surematch_client.failures import Answer

from tests.surematch_client.both_clients import Clock

HTTP = httpx.Client(base_url="http://host/prefix")
BUSY = Answer(429, httpx.Headers({"Retry-After": "2"}), b"")
READY = Answer(200, httpx.Headers(), b'{"bundle_id": "b-1"}')


def exchange_of(
    call: Any, clock: Clock, *, timeout_seconds: float = 30.0, deadline_seconds: float | None = None
) -> Exchange[Any]:
    terms = Terms(timeout_seconds, Retries(attempts=3), clock.timing)
    return Exchange(call, terms, deadline_seconds=deadline_seconds)


def seconds_granted(request: httpx.Request) -> tuple[float, float]:
    """Return how long connecting and how long each other step may take."""
    timeout = request.extensions["timeout"]
    assert timeout["read"] == timeout["write"] == timeout["pool"]
    return timeout["connect"], timeout["read"]


def test_a_request_goes_below_the_path_of_the_address() -> None:
    post = exchange_of(recommend_call(["a"], k=5, fields=None), Clock()).next_request(HTTP)
    get = exchange_of(info_call(), Clock()).next_request(HTTP)

    assert str(post.url) == "http://host/prefix/recommend"
    assert (post.method, post.headers["content-type"]) == ("POST", "application/json")
    assert str(get.url) == "http://host/prefix/info"
    assert (get.method, get.content) == ("GET", b"")
    assert "content-type" not in get.headers


def test_the_service_is_told_what_is_left_of_the_deadline() -> None:
    clock = Clock(chance=0.0)
    exchange = exchange_of(recommend_call(["a"], k=5, fields=None), clock, deadline_seconds=5.0)

    headers: list[str] = []
    for seconds in (1.0, 2.9995, 1.5):
        headers.append(exchange.next_request(HTTP).headers["X-Request-Deadline-Ms"])
        clock.seconds += seconds

    assert headers == ["5000", "4000", "1000"]
    assert exchange.next_request(HTTP).headers["X-Request-Deadline-Ms"] == "1"


def test_without_a_deadline_the_service_is_told_none() -> None:
    assert (
        "X-Request-Deadline-Ms" not in exchange_of(info_call(), Clock()).next_request(HTTP).headers
    )


@pytest.mark.parametrize("seconds", [0.0, -1.0, 3600.1, float("nan")])
def test_a_deadline_beyond_what_the_service_takes_is_a_mistake(seconds: float) -> None:
    with pytest.raises(ValueError, match="deadline_seconds is"):
        exchange_of(info_call(), Clock(), deadline_seconds=seconds)


@pytest.mark.parametrize(
    ("timeout", "deadline", "granted"),
    [
        (30.0, None, (5.0, 30.0)),
        (2.0, None, (2.0, 2.0)),
        (30.0, 10.0, (5.0, 10.5)),
        (30.0, 1.0, (1.5, 1.5)),
        (2.0, 10.0, (2.0, 2.0)),
    ],
)
def test_an_attempt_is_granted_its_timeout_or_what_is_left_with_a_moment_for_the_services_word(
    timeout: float, deadline: float | None, granted: tuple[float, float]
) -> None:
    call = recommend_call(["a"], k=5, fields=None)
    exchange = exchange_of(call, Clock(), timeout_seconds=timeout, deadline_seconds=deadline)

    assert seconds_granted(exchange.next_request(HTTP)) == granted


def test_a_swap_is_granted_minutes() -> None:
    assert seconds_granted(exchange_of(swap_call("b"), Clock()).next_request(HTTP)) == (5.0, 300.0)


def test_an_answer_that_trickles_beyond_its_time_is_given_up() -> None:
    clock = Clock()
    exchange = exchange_of(info_call(), clock, timeout_seconds=30.0)
    exchange.next_request(HTTP)

    clock.seconds += 30.0
    assert exchange.in_time(b"a part") == b"a part"
    clock.seconds += 0.001
    with pytest.raises(httpx.ReadTimeout) as caught:
        exchange.in_time(b"another")
    with pytest.raises(TimedOutError, match="http://host/prefix/info did not answer"):
        exchange.judge(caught.value)


def test_each_attempt_has_its_own_time() -> None:
    clock = Clock()
    exchange = exchange_of(info_call(), clock)
    exchange.next_request(HTTP)
    clock.seconds += 29.0
    exchange.next_request(HTTP)
    clock.seconds += 29.0

    assert exchange.in_time(b"a part") == b"a part"


def test_attempts_are_counted_and_the_last_error_is_raised() -> None:
    exchange = exchange_of(info_call(), Clock())

    for _ in range(2):
        exchange.next_request(HTTP)
        assert exchange.judge(BUSY) == Wait(2.0)
    exchange.next_request(HTTP)
    with pytest.raises(BusyError) as caught:
        exchange.judge(BUSY)

    assert caught.value.retry_after_seconds == 2.0


def test_a_wait_that_ends_beyond_the_deadline_is_not_begun() -> None:
    clock = Clock()
    exchange = exchange_of(info_call(), clock, deadline_seconds=3.0)

    exchange.next_request(HTTP)
    clock.seconds += 0.5
    assert exchange.judge(BUSY) == Wait(2.0)
    exchange.next_request(HTTP)
    clock.seconds += 0.5
    with pytest.raises(BusyError):
        exchange.judge(BUSY)


def test_the_first_success_ends_it_with_its_value() -> None:
    exchange = exchange_of(ready_call(), Clock())
    exchange.next_request(HTTP)

    assert exchange.judge(READY) == Done("b-1")


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"bundle_id": 3}'])
def test_a_success_that_is_none_is_not_asked_for_again(body: bytes) -> None:
    exchange = exchange_of(info_call(), Clock())
    exchange.next_request(HTTP)

    with pytest.raises(InvalidResponseError):
        exchange.judge(Answer(200, httpx.Headers(), body))


def test_our_error_names_the_one_it_came_from() -> None:
    exchange = exchange_of(swap_call("b"), Clock())
    lost = httpx.ReadError("reset", request=exchange.next_request(HTTP))

    with pytest.raises(ConnectionLostError) as caught:
        exchange.judge(lost)

    assert caught.value.__cause__ is lost
