import socket
import sys
import threading
import time

import pytest

from service.listener import has_something_to_read, refuse_new_connections
from service.server import listen

SECONDS = 20.0
knows_filters = pytest.mark.skipif(sys.platform != "linux", reason="filters of sockets are Linux's")


def wait_for_something(of: socket.socket) -> None:
    until = time.monotonic() + SECONDS
    while not has_something_to_read(of):
        assert time.monotonic() < until
        time.sleep(0.001)


@knows_filters
def test_a_connection_that_was_begun_survives_and_a_later_one_is_refused() -> None:
    with listen("127.0.0.1", 0) as listener:
        address = listener.getsockname()
        with socket.create_connection(address, timeout=SECONDS) as early:
            early.sendall(b"asked before")
            assert refuse_new_connections(listener)

            errors: list[OSError] = []
            late = threading.Thread(target=connect_in_vain, args=(address, errors))
            late.start()
            wait_for_something(listener)
            accepted, _ = listener.accept()
            with accepted:
                accepted.sendall(b"answer")
                early.sendall(b", and after")
                received = b""
                while len(received) < len(b"asked before, and after"):
                    received += accepted.recv(100)
                answer = early.recv(100)
            is_quiet = not has_something_to_read(listener)
        listener.close()
        late.join(SECONDS)

    assert (received, answer) == (b"asked before, and after", b"answer")
    assert is_quiet
    assert [type(error) for error in errors] == [ConnectionRefusedError]


def connect_in_vain(address: tuple[str, int], errors: list[OSError]) -> None:
    try:
        socket.create_connection(address, timeout=SECONDS).close()
    except OSError as error:
        errors.append(error)


def test_a_system_that_knows_no_filters_is_no_error() -> None:
    closed = socket.socket()
    closed.close()

    assert not refuse_new_connections(closed)


def test_a_socket_has_something_to_read_once_it_was_sent() -> None:
    one, other = socket.socketpair()
    with one, other:
        before = has_something_to_read(one)
        other.sendall(b"x")
        after = has_something_to_read(one)
        one.recv(1)

        assert (before, after, has_something_to_read(one)) == (False, True, False)


def test_the_end_of_a_connection_is_something_to_read() -> None:
    one, other = socket.socketpair()
    with one:
        other.close()

        assert has_something_to_read(one)


@knows_filters
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_listener_that_refuses_can_be_closed(host: str) -> None:
    with listen(host, 0) as listener:
        assert refuse_new_connections(listener)
