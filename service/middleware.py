"""Around every request: its id, its log line, its metrics, and an answer whatever happens."""

import logging
import time
import uuid
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.metrics import UNMATCHED, Metrics
from service.problems import answer_error

REQUEST_ID = "X-Request-ID"
MAX_REQUEST_ID_CHARACTERS = 128
CLIENT_GONE = 499
"""Logged and counted where the client left before its answer; nobody ever receives it."""

logger = logging.getLogger(__name__)


@dataclass
class _Sending:
    """Puts the request id on a response and remembers its status."""

    send: Send
    request_id: str
    status: int | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            MutableHeaders(scope=message)[REQUEST_ID] = self.request_id
        await self.send(message)


class Observed:
    """ASGI middleware that sees every request come in and every answer go out."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; a failure becomes a 500 that does not tell what failed."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        sending = _Sending(send, request_id_of(Headers(scope=scope)))
        scope.setdefault("state", {})["queries"] = 0
        try:
            with self._metrics.requests_in_flight.track_inprogress():
                await self._answer(scope, receive, sending)
        finally:
            self._report(scope, sending, time.perf_counter() - started)

    async def _answer(self, scope: Scope, receive: Receive, sending: _Sending) -> None:
        try:
            await self._app(scope, receive, sending)
        except ClientDisconnect:
            return
        except Exception as error:  # whatever fails must become this one request's answer
            logger.exception("request failed", extra={"request_id": sending.request_id})
            if sending.status is not None:
                raise  # too late for another answer: the server closes the connection
            response = await answer_error(Request(scope), error)
            await response(scope, receive, sending)

    def _report(self, scope: Scope, sending: _Sending, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", UNMATCHED)
        status = sending.status or CLIENT_GONE
        self._metrics.count_request(route, scope["method"], status=status, seconds=seconds)
        facts = {
            "method": scope["method"],
            "route": route,
            "status": status,
            "seconds": round(seconds, 6),
            "queries": scope["state"]["queries"],
            "request_id": sending.request_id,
        }
        logger.info("request answered", extra=facts)


def request_id_of(headers: Headers) -> str:
    """Return the id that the client gave its request, or a new one where that is not sane."""
    given = headers.get(REQUEST_ID, "")
    is_sane = 0 < len(given) <= MAX_REQUEST_ID_CHARACTERS and given.isascii()
    return given if is_sane and given.isprintable() else uuid.uuid4().hex
