"""One HTTP connection: bounds on what its client may do, and an end that loses no request."""

import asyncio
import logging

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from service.listener import has_something_to_read

MAX_HEAD_BYTES = 64 * 1024
"""Of the request line and all header fields of a request, trailers included."""
HEAD_SECONDS = 10.0
"""How long the head of a request may take to arrive."""
REST_SECONDS = 5.0
"""How long a client may go on to send a body that was answered before it had arrived."""
UNREAD_SECONDS = 60.0
"""How long a client may leave an answer unread that is larger than the buffers on the way."""
QUIET_SECONDS = 1.0
"""A connection without a byte for so long may be closed when the service stops."""
_OFFERS = (b"upgrade", b"connection", b"http2-settings")

logger = logging.getLogger(__name__)


class TooLargeError(Exception):
    """A head is larger than `MAX_HEAD_BYTES`."""


class Connection(HttpToolsProtocol):
    """What uvicorn makes of a connection, with the bounds that it leaves to a proxy.

    By itself it takes a head of any size in any time; waits for ever for the rest of a body that
    is answered already, and for a client that does not read; answers what is no HTTP in the midst
    of another answer; loses the body of a request that offers HTTP/2; and at its end closes every
    connection that seems idle, though a request may just have been sent on it.
    """

    _is_receiving = False
    _is_in_head = False
    _head_bytes = 0
    _unparsed_bytes = 0
    _last_byte = 0.0
    _due = 0.0
    _unread: asyncio.TimerHandle | None = None
    _answering: RequestResponseCycle | None = None

    @property
    def is_answering(self) -> bool:
        """Return whether a request is under way whose head has arrived."""
        return bool(self.pipeline) or not (self.cycle is None or self.cycle.response_complete)  # pyright: ignore[reportUnnecessaryComparison]  # None at first

    def close_if_quiet(self) -> None:
        """Close the connection, unless a request is under way on it or may be."""
        is_quiet = self.loop.time() - self._last_byte >= QUIET_SECONDS
        if is_quiet and not self.is_answering:
            self._close_unless_asked()

    # called by the event loop

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Take a connection."""
        super().connection_made(transport)
        self._last_byte = self.loop.time()
        self._due = self._last_byte + self.timeout_keep_alive
        self._wait_until_due()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection, and whatever is asked on it."""
        self._unset_keepalive_if_required()
        self._unset_unread()
        for cycle in (self._answering, *(cycle for cycle, _ in self.pipeline)):
            if cycle is not None:  # uvicorn tells the last one only
                cycle.disconnected = True
                cycle.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes of requests."""
        self._last_byte = self.loop.time()
        self._unset_keepalive_if_required()
        self._unparsed_bytes += len(data)
        while data:
            data = self._parse(data)
        if self._unparsed_bytes > MAX_HEAD_BYTES:
            self._refuse()
        if self._is_in_head or not self.is_answering:
            self._wait_until_due()

    def pause_writing(self) -> None:
        """Wait for a client that does not read, but not for ever."""
        super().pause_writing()
        self._unread = self.loop.call_later(UNREAD_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: the client has read."""
        super().resume_writing()
        self._unset_unread()

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection whose client did not go on in time."""
        if self.is_answering:  # and what comes behind that request is not complete
            self.cycle.keep_alive = False
        else:
            self._close_unless_asked()

    # called by the parser

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._is_receiving = self._is_in_head = True
        self._head_bytes = 0
        self._due = self.loop.time() + HEAD_SECONDS

    def on_url(self, url: bytes) -> None:
        """Take a part of the request line."""
        self._count_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header field or a trailer."""
        self._count_head(len(name) + len(value))
        if self._is_in_head:  # a trailer is no header of the request
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to answer."""
        if not self.parser.should_upgrade():
            super().on_headers_complete()
            self._is_in_head = False

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._unparsed_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        if not self.parser.should_upgrade():
            self._unparsed_bytes = 0
            self._is_receiving = False
            super().on_message_complete()

    # called by the cycle of a request

    def on_response_complete(self) -> None:
        """Go on to the next request."""
        is_for_next = self._is_in_head or self.pipeline
        super().on_response_complete()
        if is_for_next or self.transport.is_closing():
            return
        seconds = REST_SECONDS if self._is_receiving else self.timeout_keep_alive
        self._due = self.loop.time() + seconds
        self._wait_until_due()

    def _parse(self, data: bytes) -> bytes:
        """Return what is left to be parsed."""
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            return self._without_upgrade(data[upgrade.args[0] :])
        except HttpParserError:
            self._refuse()
        return b""

    def _without_upgrade(self, rest: bytes) -> bytes:
        """Return a request that offers another protocol as if it did not, to be read again.

        Clients offer HTTP/2 with a first request (Java's do), and the parser leaves the rest of
        the connection to that protocol, the body of the request included.
        """
        kept = [field for field in self.headers if field[0] not in _OFFERS]
        if len(kept) == len(self.headers):  # CONNECT: nothing is asked of this service
            self._refuse()
            return b""
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
        lines += [b"%s: %s" % field for field in kept]
        self.parser = HttpRequestParser(self)
        return b"\r\n".join([*lines, b"", rest])

    def _refuse(self) -> None:
        """Answer what is no HTTP, unless the client would take that for another answer."""
        is_of_cycle = self._is_receiving and not self._is_in_head and not self.pipeline
        if self.is_answering and not is_of_cycle:
            self.cycle.keep_alive = False  # what came before it is answered first
        elif is_of_cycle and self.cycle.response_started:
            self.transport.close()
        elif not self.transport.is_closing():
            logger.warning("request refused that is no HTTP")
            self.send_400_response("Invalid HTTP request received.")

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def _count_head(self, size: int) -> None:
        self._unparsed_bytes = 0
        self._head_bytes += size
        if self._head_bytes > MAX_HEAD_BYTES:
            raise TooLargeError  # the parser stops, and the answer is 400

    def _wait_until_due(self) -> None:
        self._unset_keepalive_if_required()
        if not self.transport.is_closing():
            seconds = max(0.0, self._due - self.loop.time())
            handler = self.timeout_keep_alive_handler
            self.timeout_keep_alive_task = self.loop.call_later(seconds, handler)

    def _unset_unread(self) -> None:
        if self._unread is not None:
            self._unread.cancel()

    def _close_unless_asked(self) -> None:
        """Close the connection, unless it has bytes that were not read yet."""
        if not has_something_to_read(self.transport.get_extra_info("socket")):
            self.transport.close()
