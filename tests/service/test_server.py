import signal
import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from service.contract.errors import ConfigError
from service.server import Server, listen
from service.settings import Settings
from tests.tiny import write_bundle


@contextmanager
def serving(server: Server) -> Generator[httpx.Client]:
    """Yield a client of a server that runs in a thread, until it has stopped."""
    listener = listen("127.0.0.1", 0)
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        with httpx.Client(base_url=address) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(20)
    assert not thread.is_alive()


def wait_for(client: httpx.Client, status: int) -> None:
    until = time.monotonic() + 20
    while client.get("/readyz").status_code != status:
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_signal_drains_before_it_stops(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "b").folder
    server = Server(Settings(bundle=folder, drain_seconds=30.0))
    with serving(server) as client:
        wait_for(client, 200)

        server.handle_exit(signal.SIGTERM, None)
        ready, answer = (
            client.get("/readyz"),
            client.post("/recommend", content=b'{"queries": ["x"]}'),
        )
        time.sleep(0.3)
        is_draining_on = not server.should_exit
        server.handle_exit(signal.SIGTERM, None)
        until = time.monotonic() + 20
        while not server.should_exit and time.monotonic() < until:
            time.sleep(0.01)

        assert (ready.status_code, answer.status_code) == (503, 200)
        assert is_draining_on
        assert server.should_exit
    assert server.failure is None


def test_a_second_interrupt_after_the_stop_ends_requests_in_flight(tmp_path: Path) -> None:
    server = Server(Settings(bundle=tmp_path))
    server.should_exit = True

    server.handle_exit(signal.SIGTERM, None)
    assert not server.force_exit
    server.handle_exit(signal.SIGINT, None)

    assert server.force_exit


def test_a_bundle_that_cannot_be_opened_stops_the_server(tmp_path: Path) -> None:
    server = Server(Settings(bundle=tmp_path / "absent"))
    listener = listen("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    thread.join(20)

    assert not thread.is_alive()
    assert "no bundle in" in str(server.failure)


def test_a_socket_takes_connections_at_once() -> None:
    with (
        listen("127.0.0.1", 0) as listener,
        socket.create_connection(listener.getsockname(), timeout=5),
    ):
        pass


@pytest.mark.parametrize("host", ["203.0.113.7", "2001:db8::7"])
def test_an_address_that_is_not_ours_is_an_error_that_names_it(host: str) -> None:
    with pytest.raises(ConfigError, match=f"cannot listen on {host} port 0"):
        listen(host, 0)


def test_a_port_that_is_taken_is_an_error_that_names_it() -> None:
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} .*in use.*name another"):
            listen("127.0.0.1", port)
