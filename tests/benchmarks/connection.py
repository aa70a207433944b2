"""One keep-alive HTTP/1.1 connection that does no more than a load generator needs."""

import asyncio
import re
from dataclasses import dataclass
from typing import cast

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
_END_OF_HEAD = b"\r\n\r\n"


class LostConnectionError(Exception):
    """The server closed the connection before its answer was complete."""


class UnreadableAnswerError(Exception):
    """The server sent what is no HTTP/1.1 answer with a Content-Length."""


@dataclass(frozen=True, slots=True)
class Head:
    """What matters of the head of an answer: its status, and where its body ends."""

    status: int
    body_bytes: int
    closes: bool


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer."""

    status: int
    body: bytes


def read_head(head: bytes) -> Head:
    """Return what the bytes before the empty line say.

    Raises:
        UnreadableAnswerError: if they name no status, or not the length of the body.
    """
    length = _LENGTH.search(head)
    if not head.startswith(b"HTTP/1.1 ") or not head[9:12].isdigit() or length is None:
        message = f"an answer begins {head[:60]!r}, needed are a status and a Content-Length"
        raise UnreadableAnswerError(message)
    return Head(int(head[9:12]), int(length[1]), _CLOSE.search(head) is not None)


class Connection(asyncio.Protocol):
    """Sends one request at a time and returns its answer."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._head: Head | None = None
        self._body_starts = 0
        self._transport: asyncio.Transport | None = None
        self._reply: asyncio.Future[Reply] | None = None

    @classmethod
    async def open(cls, host: str, port: int) -> "Connection":
        """Return a connection; raises OSError where nobody listens."""
        _, connection = await asyncio.get_running_loop().create_connection(cls, host, port)
        return connection

    @property
    def is_open(self) -> bool:
        """Return whether another request may be sent."""
        return self._transport is not None and not self._transport.is_closing()

    async def ask(self, request: bytes) -> Reply:
        """Return the answer to the bytes of a request.

        Raises:
            LostConnectionError: if the connection ends before the answer does.
            UnreadableAnswerError: if the answer cannot be read.
        """
        if self._transport is None or self._transport.is_closing():
            raise LostConnectionError
        self._reply = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            return await self._reply
        except (asyncio.CancelledError, UnreadableAnswerError):
            self.close()  # whatever comes now would be taken for the next answer
            raise

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport (called by the event loop)."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the request under way (called by the event loop)."""
        self._transport = None
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(exc or LostConnectionError())

    def data_received(self, data: bytes) -> None:
        """Take bytes of an answer (called by the event loop)."""
        self._received += data
        try:
            self._read()
        except UnreadableAnswerError as error:
            if self._reply is not None and not self._reply.done():
                self._reply.set_exception(error)

    def _read(self) -> None:
        if self._head is None:
            end = self._received.find(_END_OF_HEAD)
            if end < 0:
                return
            self._head = read_head(bytes(self._received[:end]))
            self._body_starts = end + len(_END_OF_HEAD)
        end = self._body_starts + self._head.body_bytes
        if len(self._received) < end or self._reply is None or self._reply.done():
            return
        reply = Reply(self._head.status, bytes(self._received[self._body_starts : end]))
        if self._head.closes:
            self.close()
        self._received.clear()
        self._head = None
        self._reply.set_result(reply)
