"""What operators ask of both clients: another bundle, and whether the service is ready."""

from typing import Any

import pytest
from surematch_client import (
    ApiError,
    ConnectionLostError,
    NotReadyError,
    SwapResponse,
    SwapStatus,
)

from tests.surematch_client.both_clients import Ask, Clock
from tests.surematch_client.scripted_server import (
    BAD_GATEWAY,
    CUT,
    DROP,
    Reply,
    json_reply,
    nowhere,
    problem,
    serving,
)

SWAPPED = json_reply({"status": "swapped", "bundle_id": "b-2", "seconds": 1.5})
READY = json_reply({"status": "ready", "bundle_id": "b-1"})


def swap(client: Any) -> Any:
    return client.swap_bundle("b-2")


def test_a_swap_says_what_became_of_it(ask: Ask) -> None:
    with serving(SWAPPED) as server:
        found = [
            ask(server.address, action)
            for action in (swap, lambda client: client.swap_bundle(), lambda c: c.roll_back())
        ]

    assert found == [SwapResponse(SwapStatus.SWAPPED, "b-2", 1.5)] * 3
    assert [(asked.path, asked.json) for asked in server.asked] == [
        ("/admin/bundle", {"bundle": "b-2"}),
        ("/admin/bundle", {}),
        ("/admin/rollback", {}),
    ]


@pytest.mark.parametrize("action", [swap, lambda client: client.roll_back()])
@pytest.mark.parametrize(
    ("reply", "kind"),
    [(DROP, ConnectionLostError), (CUT, ConnectionLostError), (Reply(503, b"<"), NotReadyError)],
)
def test_a_swap_that_may_have_been_made_is_not_made_again(
    ask: Ask, action: Any, reply: Reply, kind: type[Exception]
) -> None:
    with serving(reply, SWAPPED) as server, pytest.raises(kind):
        ask(server.address, action, timing=Clock().timing)

    assert len(server.asked) == 1


@pytest.mark.parametrize("reply", [problem(503, "not_ready"), problem(429, "busy")])
def test_a_swap_that_was_surely_not_made_is_made_again(ask: Ask, reply: Reply) -> None:
    with serving(reply, SWAPPED) as server:
        response = ask(server.address, swap, timing=Clock().timing)

    assert response.bundle_id == "b-2"
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("reply", "is_ready"),
    [
        (READY, True),
        (problem(503, "not_ready"), False),
        (BAD_GATEWAY, False),
        (Reply(504, b""), False),
        (DROP, False),
    ],
)
def test_a_service_is_asked_once_whether_it_is_ready(
    ask: Ask, reply: Reply, is_ready: bool
) -> None:
    clock = Clock()
    with serving(reply) as server:
        found = ask(server.address, lambda client: client.is_ready(), timing=clock.timing)

    assert found is is_ready
    assert (clock.waited, [asked.path for asked in server.asked]) == ([], ["/readyz"])


def test_a_service_that_is_not_there_is_not_ready(ask: Ask) -> None:
    assert ask(nowhere(), lambda client: client.is_ready()) is False


def test_an_address_that_leads_elsewhere_is_an_error_and_not_a_reason_to_wait(ask: Ask) -> None:
    with serving(Reply(404, b"<html>")) as server, pytest.raises(ApiError, match="404 http_404"):
        ask(server.address, lambda client: client.is_ready())
