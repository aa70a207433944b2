"""Streams of lines over real sockets: both ways at once, and nothing left behind."""

import json
import signal
import socket
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.process import Process, service_process

SECONDS = 30.0
LINE = b'"canon eos r5 body"\n'
LONG_LINE = b'"canon eos r5 body' + b" " * 3000 + b'"\n'
MAX_STREAM_BYTES = 6000 * len(LONG_LINE)
"""More than the buffers of two sockets hold where Linux is as it comes, as is the answer to it."""


@pytest.fixture(scope="module")
def process(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[Process]:
    log = tmp_path_factory.mktemp("logs") / "log"
    limit = f"--max-stream-bytes={MAX_STREAM_BYTES}"
    with service_process(log, "--bundle", str(tiny_bundle), "--port=0", limit) as process:
        process.ready_address()
        yield process


class Stream:
    """One request with a chunked body, over a socket whose buffers are small."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._answer = connection.makefile("rb")

    def send(self, piece: bytes) -> None:
        self.connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))

    def finish(self) -> None:
        self.connection.sendall(b"0\r\n\r\n")

    def head(self) -> bytes:
        """Return the status line; the headers are read over."""
        status = self._answer.readline()
        while self._answer.readline().strip():
            pass
        return status

    def piece(self) -> bytes:
        """Return the next piece of the answer; none at its end."""
        size = int(self._answer.readline(), 16)
        piece = self._answer.read(size)
        self._answer.readline()
        return piece

    def rest(self) -> list[dict[str, Any]]:
        """Return the lines up to the end of the answer."""
        pieces: list[bytes] = []
        while piece := self.piece():
            pieces.append(piece)
        return [json.loads(line) for line in b"".join(pieces).splitlines()]

    def close(self) -> None:
        self._answer.close()
        self.connection.close()


@contextmanager
def streaming(address: str, query: str = "", expect: bytes = b"") -> Generator[Stream]:
    host, port = address.removeprefix("http://").split(":")
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(SECONDS)
    connection.connect((host, int(port)))
    stream = Stream(connection)
    head = f"POST /recommend/stream{query} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
    connection.sendall(head.encode() + expect + b"\r\n")
    try:
        yield stream
    finally:
        stream.close()


def open_files(process: Process) -> int:
    return len(list(Path(f"/proc/{process.popen.pid}/fd").iterdir()))


def in_flight(process: Process) -> dict[str, float]:
    """Return how many streams are under way, and how many chunks of them."""
    shown = httpx.get(f"{process.address()}/metrics").text.splitlines()
    names = ("surematch_streams_in_flight ", 'surematch_queue_requests{lane="bulk"} ')
    return {line: float(line.split()[-1]) for line in shown if line.startswith(names)}


def wait_until_closed(address: str) -> None:
    """Wait until nobody can connect any more."""
    until = time.monotonic() + SECONDS
    try:
        while time.monotonic() < until:
            httpx.get(f"{address}/livez")
            time.sleep(0.02)
    except httpx.TransportError:
        return
    pytest.fail("the socket is still open")


def test_answers_come_while_the_body_is_still_being_sent(process: Process) -> None:
    with streaming(process.address()) as stream:
        stream.send(LINE)
        status = stream.head()
        numbers: list[int] = []
        for _ in range(3):
            numbers.append(json.loads(stream.piece())["line"])
            stream.send(LINE)
        stream.finish()
        rest = stream.rest()

    assert status.startswith(b"HTTP/1.1 200 ")
    assert numbers == [1, 2, 3]
    assert [line["line"] for line in rest] == [4]


def test_a_client_that_sends_everything_before_it_reads_anything_gets_everything(
    process: Process,
) -> None:
    with streaming(process.address(), "?k=8&fields=brand&fields=category") as stream:
        for _ in range(6000):
            stream.send(LONG_LINE)
        stream.finish()
        stream.head()
        found = stream.rest()

    assert sum(len(json.dumps(line)) for line in found) > 6_000_000
    assert [line["line"] for line in found] == list(range(1, 6001))


def test_a_client_that_sends_too_much_before_it_reads_is_told_on_the_last_line(
    process: Process,
) -> None:
    with streaming(process.address(), "?k=1") as stream:
        for _ in range(9000):
            stream.send(LONG_LINE)
        stream.finish()
        stream.head()
        found = stream.rest()
        stream.connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        next_status = stream.head()

    assert [line["line"] for line in found] == list(range(1, 6002))
    assert found[-1]["error"]["code"] == "body_too_large"
    assert next_status.startswith(b"HTTP/1.1 200 ")  # the connection is as good as before


def test_clients_that_leave_take_all_of_theirs_with_them(process: Process) -> None:
    before = open_files(process)
    for turn in range(30):
        with streaming(process.address()) as stream:
            stream.send(LINE * 500)
            if turn % 2:
                stream.head()
                stream.piece()

    until = time.monotonic() + SECONDS
    while set(in_flight(process).values()) != {0.0} or open_files(process) > before + 2:
        assert time.monotonic() < until, (in_flight(process), before, open_files(process))
        time.sleep(0.05)


def test_a_client_that_waits_to_be_told_to_send_is_told_to(process: Process) -> None:
    with streaming(process.address(), expect=b"Expect: 100-continue\r\n") as stream:
        told = stream.head()
        stream.send(LINE)
        stream.finish()

        assert told.startswith(b"HTTP/1.1 100 ")
        assert stream.head().startswith(b"HTTP/1.1 200 ")
        assert [line["line"] for line in stream.rest()] == [1]


def test_a_stream_with_another_client_library_is_the_same(process: Process) -> None:
    def pieces() -> Generator[bytes]:
        for start in range(0, len(LINE) * 100, 7):
            yield (LINE * 100)[start : start + 7]

    url = f"{process.address()}/recommend/stream"
    with httpx.stream("POST", url, content=pieces(), params={"k": 2}) as response:
        found = [json.loads(line) for line in response.iter_lines()]

    assert [line["line"] for line in found] == list(range(1, 101))


def test_a_stream_under_way_is_finished_when_the_process_is_told_to_stop(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    with service_process(tmp_path / "log", "--bundle", str(tiny_bundle), "--port=0") as process:
        with streaming(process.ready_address()) as stream:
            stream.send(LINE)
            stream.head()
            first = json.loads(stream.piece())
            process.popen.send_signal(signal.SIGTERM)
            wait_until_closed(process.address())
            stream.send(LINE)
            second = json.loads(stream.piece())
            stream.finish()
            rest = stream.rest()

        assert process.exit_code() == 0

    assert (first["line"], second["line"], rest) == (1, 2, [])
