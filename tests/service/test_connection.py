"""How long a client may take, and when a connection may be closed."""

import threading
import time
from collections.abc import Callable, Generator

import pytest

from service import connection
from service.connection import Connection
from tests.small_server import LARGE, SECONDS, Served, serving_small
from tests.wire import NoAnswerError, Wire, request

SHORT = 0.2
LONG = 600.0


@pytest.fixture
def served() -> Generator[Served]:
    with serving_small() as served:
        yield served


def test_a_head_that_does_not_end_in_time_ends_its_connection(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", SHORT)
    with Wire(served.address) as first, Wire(served.address) as second:
        first.send(b"GET / HTTP/1.1\r\nX: ")
        assert second.ask(request("GET", "/")).status == 200
        second.send(b"GET / HTTP/1.1\r\nX: ")

        assert first.wait_for_end() == b""
        assert second.wait_for_end() == b""
    served.wait_for_connections(0)


def test_the_time_of_a_head_is_not_that_of_its_answer(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", SHORT)
    with Wire(served.address) as wire:
        wire.send(request("GET", "/late"))
        assert served.app.begun.wait(SECONDS)
        time.sleep(2 * SHORT)
        served.app.go.set()

        assert wire.read().status == 200
        assert wire.ask(request("GET", "/")).status == 200


def test_half_a_head_behind_a_request_waits_for_its_answer(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", SHORT)
    with Wire(served.address) as wire:
        wire.send(request("GET", "/late") + b"GET / HTT")
        assert served.app.begun.wait(SECONDS)
        time.sleep(2 * SHORT)
        served.app.go.set()

        assert wire.read().json["path"] == "/late"
        assert wire.wait_for_end() == b""


def test_a_connection_that_never_asks_is_closed_at_last(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served.server.config, "timeout_keep_alive", SHORT)
    with Wire(served.address) as silent, Wire(served.address) as drips:
        drips.send(b"\r\n")  # lines before a request are allowed, and are no request

        assert silent.wait_for_end() == b""
        assert drips.wait_for_end() == b""


def test_the_rest_of_a_body_that_was_answered_has_a_time_of_its_own(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "REST_SECONDS", SHORT)
    early = request("POST", "/early", b"x" * 1000)
    with Wire(served.address) as slow, Wire(served.address) as quick:
        slow.send(early[:-10])
        quick.send(early[:-10])
        assert (slow.read().status, quick.read().status) == (200, 200)
        quick.send(early[-10:])
        again = quick.ask(request("GET", "/"))

        assert slow.wait_for_end() == b""
        assert again.json["path"] == "/"
        assert not quick.is_closed


def test_a_client_that_does_not_read_is_left(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "UNREAD_SECONDS", SHORT)
    with Wire(served.address) as wire:
        wire.send(request("GET", "/large"))
        served.wait_for_connections(1)
        served.wait_for_connections(0)

        with pytest.raises(NoAnswerError):
            wire.read()


def test_a_client_that_reads_late_gets_all_of_it(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "UNREAD_SECONDS", LONG)
    with Wire(served.address) as wire:
        wire.send(request("GET", "/large"))
        time.sleep(SHORT)

        assert len(wire.read().body) == LARGE
        assert wire.ask(request("GET", "/")).status == 200


def test_a_connection_is_quiet_only_if_nothing_is_asked_on_it(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "QUIET_SECONDS", 0.0)
    with Wire(served.address) as busy, Wire(served.address) as silent:
        busy.send(request("GET", "/late"))
        assert served.app.begun.wait(SECONDS)
        served.wait_for_connections(2)
        assert sorted(one.is_answering for one in served.connections) == [False, True]

        loop = served.connections[0].loop
        for one in served.connections:
            loop.call_soon_threadsafe(one.close_if_quiet)
        assert silent.wait_for_end() == b""
        served.app.go.set()
        assert busy.read().status == 200


def test_a_connection_that_just_said_something_is_not_quiet(served: Served) -> None:
    with Wire(served.address) as wire:
        assert wire.ask(request("GET", "/")).status == 200
        (one,) = served.connections
        one.loop.call_soon_threadsafe(one.close_if_quiet)

        assert wire.ask(request("GET", "/")).status == 200


def test_a_connection_with_bytes_that_nobody_has_read_yet_is_not_quiet(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "QUIET_SECONDS", 0.0)
    with Wire(served.address) as wire:
        assert wire.ask(request("GET", "/")).status == 200
        (one,) = served.connections
        in_turn(one, one.transport.pause_reading)
        wire.send(request("GET", "/sent"))
        in_turn(one, one.close_if_quiet)
        in_turn(one, one.transport.resume_reading)

        assert wire.read().json["path"] == "/sent"


def in_turn(one: Connection, work: Callable[[], None]) -> None:
    """Do something on the event loop of a connection, and wait until it is done."""
    done = threading.Event()

    def step() -> None:
        work()
        done.set()

    one.loop.call_soon_threadsafe(step)
    assert done.wait(SECONDS)
