"""What a client may send: heads of any size, garbage, and offers of other protocols."""

from collections.abc import Generator

import pytest

from service import connection
from tests.small_server import SECONDS, Served, serving_small
from tests.wire import Wire, request

OFFER = [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c")]


@pytest.fixture
def served() -> Generator[Served]:
    with serving_small() as served:
        yield served


@pytest.mark.parametrize("size", [connection.MAX_HEAD_BYTES // 2, connection.MAX_HEAD_BYTES])
def test_a_head_may_be_large_but_not_any_size(served: Served, size: int) -> None:
    fields = [(f"X-{number}", "y" * 990) for number in range(size // 1000)]
    with Wire(served.address) as wire:
        wire.send(request("GET", "/", headers=[*fields, ("X", "y" * 1000)]))
        answer = wire.read()

    assert answer.status == (200 if size < connection.MAX_HEAD_BYTES else 400)


@pytest.mark.parametrize(
    "endless", [b"GET / HTTP/1.1\r\nX: ", b"GET /", b"POST / HTTP/1.1\r\nHost: x\r\nX", b"\r\n"]
)
def test_what_never_ends_is_refused_long_before_memory_does(served: Served, endless: bytes) -> None:
    with Wire(served.address) as wire:
        wire.send(endless)
        while wire.is_silent:
            wire.send(b"\r\n" * 500 if endless == b"\r\n" else b"y" * 1000)

        assert wire.read().status == 400
        assert wire.wait_for_end() == b""
    assert served.app.asked == []


def test_much_garbage_at_once_is_answered_once(served: Served) -> None:
    with Wire(served.address) as wire:
        answer = wire.ask(b"\x00" * (2 * connection.MAX_HEAD_BYTES))

        assert answer.status == 400
        assert wire.wait_for_end() == b""


@pytest.mark.parametrize("target", [b"x:443", b"/"])
def test_a_tunnel_is_refused(served: Served, target: bytes) -> None:
    with Wire(served.address) as wire:
        answer = wire.ask(b"CONNECT %s HTTP/1.1\r\nHost: x\r\n\r\n" % target)

    assert answer.status == 400


def test_a_body_in_tiny_chunks_is_no_large_head(served: Served) -> None:
    chunks = b"1\r\nx\r\n" * connection.MAX_HEAD_BYTES
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with Wire(served.address) as wire:
        answer = wire.ask(head + chunks + b"0\r\nX-Trailer: y\r\n\r\n")

    assert answer.json["body"] == "x" * connection.MAX_HEAD_BYTES
    assert answer.json["headers"] == ["host", "transfer-encoding"]


def test_garbage_is_answered_after_what_came_before_it(served: Served) -> None:
    with Wire(served.address) as wire:
        wire.send(request("GET", "/late") + b"\x00\r\n\r\n")
        assert served.app.begun.wait(SECONDS)
        wire.send(b"more garbage")
        served.app.go.set()

        assert wire.read().json["path"] == "/late"
        assert wire.wait_for_end() == b""


def test_garbage_in_a_body_is_answered_once(served: Served) -> None:
    head = b"POST /%s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with Wire(served.address) as waiting, Wire(served.address) as answered:
        waiting.send(head % b"" + b"zz\r\n")
        answered.send(head % b"early")
        early = answered.read()
        answered.send(b"zz\r\n")

        assert waiting.read().status == 400
        assert waiting.wait_for_end() == b""
        assert early.status == 200
        assert answered.wait_for_end() == b""


@pytest.mark.parametrize("turns", [1, 3, 2000])
def test_an_offer_of_another_protocol_is_not_taken_and_costs_nothing(
    served: Served, turns: int
) -> None:
    asked = [request("POST", f"/{turn}", b"body", headers=OFFER) for turn in range(turns)]
    with Wire(served.address) as wire:
        wire.send(b"".join(asked))
        answers = [wire.read().json for _ in asked]

    assert answers == [
        {"path": f"/{turn}", "body": "body", "headers": ["host", "content-length"]}
        for turn in range(turns)
    ]


def test_an_offer_may_come_in_pieces(served: Served) -> None:
    content = request("POST", "/", b"body", headers=OFFER)
    with Wire(served.address) as wire:
        for number in range(len(content)):
            wire.send(content[number : number + 1])

        assert wire.read().json["body"] == "body"


def test_an_app_hears_that_the_client_of_an_earlier_request_has_left(served: Served) -> None:
    with Wire(served.address) as wire:
        wire.send(request("GET", "/late") + request("GET", "/never"))
        assert served.app.begun.wait(SECONDS)

    assert served.app.left.wait(SECONDS)
    served.wait_for_connections(0)
    assert served.app.asked == ["/late"]
