"""What both clients do on a socket; each test runs with the one, then with the other."""

from typing import Any

import pytest
from surematch_client import (
    ApiError,
    BundleRefusedError,
    BusyError,
    DeadlineError,
    InvalidResponseError,
    Query,
    Retries,
    ServerError,
    TimedOutError,
    UnreachableError,
)

from tests.surematch_client.both_clients import Ask, Clock
from tests.surematch_client.scripted_server import (
    BAD_GATEWAY,
    CUT,
    DROP,
    SILENCE,
    Reply,
    json_reply,
    nowhere,
    problem,
    recommendations,
    serving,
)

TORN = Reply(200, b'{"bundle_id": "b-1", "res', {"Content-Type": "application/json"})


def one(client: Any) -> Any:
    return client.recommend(["sony"])


def test_a_request_carries_the_key_the_agent_and_the_body(ask: Ask) -> None:
    with serving(recommendations) as server:
        response = ask(
            server.address,
            lambda client: client.recommend(["a", Query("b", id=7)], k=3, deadline_seconds=2.0),
            api_key="k-1",
            timing=Clock().timing,
        )

    asked = server.asked[0]
    assert [each.id for each in response.results] == [None, 7]
    assert [each.recommendations[0].product_id for each in response.results] == ["a", "b"]
    assert (asked.method, asked.path, asked.json["k"]) == ("POST", "/recommend", 3)
    assert asked.headers["authorization"] == "Bearer k-1"
    assert asked.headers["user-agent"].startswith("surematch-client/")
    assert asked.headers["content-type"] == "application/json"
    assert asked.headers["x-request-deadline-ms"] == "2000"


def test_a_busy_service_is_asked_again_after_the_seconds_it_names(ask: Ask) -> None:
    clock = Clock()
    with serving(
        problem(429, "busy", Retry_After="3"), problem(429, "rate_limited"), recommendations
    ) as server:
        response = ask(server.address, one, timing=clock.timing)

    assert response.results[0].recommendations[0].product_id == "sony"
    assert clock.waited == [3.0, 0.0]
    assert len(server.asked) == 3
    assert len({asked.body for asked in server.asked}) == 1


def test_the_time_waited_is_taken_off_what_the_service_is_granted(ask: Ask) -> None:
    with serving(problem(429, "busy", Retry_After="3"), recommendations) as server:
        ask(
            server.address,
            lambda client: client.recommend(["a"], deadline_seconds=10.0),
            timing=Clock().timing,
        )

    assert [each.headers["x-request-deadline-ms"] for each in server.asked] == ["10000", "7000"]


def test_a_service_that_stays_busy_ends_in_its_error(ask: Ask) -> None:
    clock = Clock(chance=0.5)
    with (
        serving(problem(429, "busy", X_Request_ID="r-1")) as server,
        pytest.raises(BusyError) as caught,
    ):
        ask(server.address, one, timing=clock.timing, retries=Retries(4, 1.0, 3.0))

    assert (caught.value.code, caught.value.request_id) == ("busy", "r-1")
    assert clock.waited == [0.5, 1.0, 1.5]
    assert len(server.asked) == 4


@pytest.mark.parametrize("settings", [{"retries": Retries(attempts=1)}, {}])
def test_a_wait_that_is_not_granted_is_an_error_at_once(ask: Ask, settings: Any) -> None:
    clock = Clock()
    with (
        serving(problem(429, "busy", Retry_After="31")) as server,
        pytest.raises(BusyError) as caught,
    ):
        ask(server.address, one, timing=clock.timing, **settings)

    assert caught.value.retry_after_seconds == 31.0
    assert (clock.waited, len(server.asked)) == ([], 1)


@pytest.mark.parametrize(
    "first",
    [problem(503, "not_ready", Retry_After="1"), Reply(503, b"<html>"), DROP, CUT],
    ids=["not ready", "a proxy's 503", "dropped", "cut off"],
)
def test_a_question_is_asked_again_where_no_answer_came(ask: Ask, first: Reply) -> None:
    with serving(first, recommendations) as server:
        response = ask(server.address, one, timing=Clock().timing)

    assert response.bundle_id == "b-1"
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (BAD_GATEWAY, ServerError),
        (TORN, InvalidResponseError),
        (Reply(200, b"hello", {"Content-Encoding": "gzip"}), InvalidResponseError),
        (Reply(200, b"<html>"), InvalidResponseError),
        (Reply(307, b"", {"Location": "/elsewhere"}), ApiError),
        (problem(404, "not_found"), ApiError),
        (problem(409, "no_previous"), ApiError),
        (problem(422, "bundle_refused"), BundleRefusedError),
        (problem(500, "internal_error"), ServerError),
        (problem(504, "deadline_exceeded"), DeadlineError),
    ],
)
def test_an_answer_that_would_be_the_same_again_is_not_asked_for_again(
    ask: Ask, reply: Reply, kind: type[Exception]
) -> None:
    clock = Clock()
    with serving(reply) as server, pytest.raises(kind) as caught:
        ask(server.address, one, timing=clock.timing)

    assert type(caught.value) is kind
    assert (clock.waited, len(server.asked)) == ([], 1)


def test_a_service_that_is_not_there_is_tried_again_and_then_said_so(ask: Ask) -> None:
    clock = Clock()
    address = nowhere()

    with pytest.raises(UnreachableError, match=address) as caught:
        ask(address, one, timing=clock.timing)

    assert len(clock.waited) == 4
    assert "check the address" in str(caught.value)


def test_a_silent_service_is_given_up_after_the_timeout_and_not_asked_again(ask: Ask) -> None:
    with serving(SILENCE) as server, pytest.raises(TimedOutError, match="grant more"):
        ask(server.address, one, timeout_seconds=0.2)

    assert len(server.asked) == 1


def test_an_answer_that_trickles_is_given_up_though_each_byte_is_in_time(ask: Ask) -> None:
    clock = Clock(step=1.0)  # a second passes whenever it is looked at: at every byte
    trickle = Reply(200, b" " * 50, is_chunked=True)

    with serving(trickle) as server, pytest.raises(TimedOutError, match="still coming in"):
        ask(server.address, one, timing=clock.timing, timeout_seconds=5.0)


def test_embeddings_come_back_in_order(ask: Ask) -> None:
    results = [
        {"embedding": [0.6, 0.8], "truncated": False, "reason": None},
        {"embedding": None, "truncated": False, "reason": "empty_text"},
    ]
    with serving(json_reply({"bundle_id": "b-1", "dim": 2, "results": results})) as server:
        response = ask(server.address, lambda client: client.embed(["a", " "]))

    assert [each.values for each in response.results] == [(0.6, 0.8), None]
    assert (server.asked[0].path, server.asked[0].json) == ("/embed", {"texts": ["a", " "]})
