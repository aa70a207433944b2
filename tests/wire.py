"""One HTTP/1.1 connection as bytes on a socket, with what became of each request on it."""

import json
import select
import socket
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

SECONDS = 30.0
END_OF_HEAD = b"\r\n\r\n"


class NoAnswerError(Exception):
    """The connection ended, or fell silent, before the answer was complete."""


class ClosedError(Exception):
    """The server had closed the connection before the request was sent."""


@dataclass(frozen=True)
class WireAnswer:
    """An answer as it came."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def closes(self) -> bool:
        """Whether the server says that it takes no other request on this connection."""
        return self.headers.get("connection", "").lower() == "close"


def request(
    method: str,
    path: str,
    body: object = None,
    *,
    headers: Sequence[tuple[str, str]] = (),
) -> bytes:
    """Return the bytes of a request; a body that is no bytes is sent as JSON."""
    content = (
        body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    )
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(content)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join(lines).encode() + END_OF_HEAD + content


def recommending(*queries: str, k: int = 1, headers: Sequence[tuple[str, str]] = ()) -> bytes:
    """Return the bytes of a request for recommendations."""
    return request("POST", "/recommend", {"queries": queries, "k": k}, headers=headers)


@contextmanager
def wires(address: str, number: int) -> Generator[list["Wire"]]:
    """Yield so many connections."""
    with ExitStack() as stack:
        yield [stack.enter_context(Wire(address)) for _ in range(number)]


class Wire:
    """A connection to a service; requests and answers go over it one after another."""

    def __init__(self, address: str, *, seconds: float = SECONDS) -> None:
        """Connect; raises OSError where nobody listens."""
        host, port = address.removeprefix("http://").split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=seconds)
        self._received = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.socket.close()

    def send(self, content: bytes) -> None:
        """Send bytes, whatever they are.

        Raises:
            ClosedError: if the server had closed the connection before.
            NoAnswerError: if it closes it while they are sent, without a word.
        """
        if self.is_closed:
            raise ClosedError
        try:
            self.socket.sendall(content)
        except OSError as error:
            if self.is_silent:
                raise NoAnswerError(repr(error)) from error

    def read(self) -> WireAnswer:
        """Return the next answer.

        Raises:
            NoAnswerError: if there is none, or only a part of one.
        """
        while END_OF_HEAD not in self._received:
            self._receive()
        head = self._take(self._received.index(END_OF_HEAD))
        self._take(len(END_OF_HEAD))
        status, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        body = self._read_body(headers)
        return WireAnswer(int(status.split(" ")[1]), headers, body)

    def ask(self, content: bytes) -> WireAnswer:
        """Send a request and return its answer; raises as `send` and `read` do."""
        self.send(content)
        return self.read()

    @property
    def is_closed(self) -> bool:
        """Whether the server has closed the connection, as far as this machine knows by now."""
        return not self._received and self._look() == b""

    @property
    def is_silent(self) -> bool:
        """Whether nothing that the server sent is left to be read."""
        return not self._received and not self._look()

    def wait_for_end(self) -> bytes:
        """Return what comes until the server ends the connection, by closing or resetting it.

        Raises:
            NoAnswerError: if it does neither.
        """
        try:
            while True:
                self._receive()
        except NoAnswerError as error:
            if isinstance(error.__cause__, TimeoutError):
                raise
        return bytes(self._received)

    def _read_body(self, headers: Mapping[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return self._read_chunks()
        return self._take(int(headers.get("content-length", "0")))

    def _read_chunks(self) -> bytes:
        body = b""
        while size := int(self._take_line(), 16):
            body += self._take(size)
            self._take_line()
        self._take_line()
        return body

    def _take(self, size: int) -> bytes:
        while len(self._received) < size:
            self._receive()
        taken = bytes(self._received[:size])
        del self._received[:size]
        return taken

    def _take_line(self) -> bytes:
        while b"\r\n" not in self._received:
            self._receive()
        line = self._take(self._received.index(b"\r\n"))
        self._take(2)
        return line

    def _receive(self) -> None:
        try:
            received = self.socket.recv(65536)
        except OSError as error:
            message = f"{error!r} after {bytes(self._received[:200])!r}"
            raise NoAnswerError(message) from error
        if not received:
            message = f"end of the connection after {bytes(self._received[:200])!r}"
            raise NoAnswerError(message)
        self._received += received

    def _look(self) -> bytes | None:
        """Return what can be read without waiting; None for nothing yet, nothing for the end."""
        readable, _, _ = select.select([self.socket], [], [], 0)
        if not readable:
            return None
        try:
            return self.socket.recv(1, socket.MSG_PEEK)
        except OSError:
            return b""
