"""Around every request: its id, its log line, its metrics, and an answer whatever happens."""

import logging
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.answering import Call
from service.calls import ClientGoneError
from service.logs import log_context
from service.metrics import UNMATCHED
from service.refusals import ANSWERED_ERRORS, refuse
from service.serving import Serving
from service.trace_context import TraceContext, read_traceparent
from service.tracing import NoTracer, RequestSpan, StageSpan

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
    is_draining: Callable[[], bool]
    status: int | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message["headers"], (b"x-request-id", self.request_id.encode("latin-1"))]
            if self.is_draining():
                headers.append((b"connection", b"close"))  # that no client sends another one here
            message = {**message, "headers": headers}
        await self.send(message)


class Observed:
    """ASGI middleware that sees every request come in and every answer go out."""

    def __init__(
        self, app: ASGIApp, *, serving: Serving, direct: Mapping[str, APIRoute] | None = None
    ) -> None:
        """Stand around ``app``.

        Args:
            app: answers requests.
            serving: the state of the app.
            direct: routes by path whose POST goes to their endpoint, past FastAPI's layers, since
                they read their own body and write their own response; the way that everybody
                takes should be short.
        """
        self._app = app
        self._direct = direct or {}
        self._serving = serving
        self._metrics = serving.metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; a failure becomes a 500 that does not tell what failed."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = request_id_of(headers)
        sending = _Sending(send, request_id, lambda: self._serving.is_draining)
        caller = read_traceparent(headers.getlist("traceparent"))
        own = caller.child() if caller else TraceContext.begin()
        started = time.monotonic()
        scope.setdefault("state", {}).update(queries=0, caller="", arrived=started, call=None)
        with log_context(request_id=request_id, trace_id=own.trace_id):
            try:
                with self._metrics.requests_in_flight.track_inprogress():
                    await self._answer(scope, receive, sending)
            finally:
                ended = time.monotonic()
                self._report(scope, sending, ended - started)
                self._trace(scope, sending, own, caller, (started, ended))

    async def _answer(self, scope: Scope, receive: Receive, sending: _Sending) -> None:
        try:
            await self._handle(scope, receive, sending)
        except ClientDisconnect:
            self._metrics.count_cancelled("read")
        except ClientGoneError as error:
            self._metrics.count_cancelled(error.stage)
        except Exception as error:  # whatever fails must become this one request's answer
            if not isinstance(error, ANSWERED_ERRORS):
                logger.exception("request failed", extra={"request_id": sending.request_id})
            if sending.status is not None:
                raise  # too late for another answer: the server closes the connection
            response = refuse(Request(scope), error, self._metrics)
            await response(scope, receive, sending)

    async def _handle(self, scope: Scope, receive: Receive, sending: _Sending) -> None:
        route = self._direct.get(scope["path"]) if scope["method"] == "POST" else None
        if route is None:
            await self._app(scope, receive, sending)
            return
        scope["route"] = route
        response = await route.endpoint(Request(scope, receive, sending))
        await response(scope, receive, sending)

    def _report(self, scope: Scope, sending: _Sending, seconds: float) -> None:
        route = _route_of(scope) or UNMATCHED
        status = sending.status or CLIENT_GONE
        self._metrics.count_request(route, scope["method"], status=status, seconds=seconds)
        facts = {
            "method": scope["method"],
            "route": route,
            "status": status,
            "seconds": round(seconds, 6),
            "queries": scope["state"]["queries"],
            "caller": scope["state"]["caller"],
            "request_id": sending.request_id,
        }
        logger.info("request answered", extra=facts)

    def _trace(
        self,
        scope: Scope,
        sending: _Sending,
        own: TraceContext,
        caller: TraceContext | None,
        times: tuple[float, float],
    ) -> None:
        if isinstance(self._serving.tracer, NoTracer):
            return
        state = scope["state"]
        call: Call | None = state["call"]
        generation = self._serving.generation
        self._serving.tracer.record(
            RequestSpan(
                context=own,
                caller=caller,
                method=scope["method"],
                route=_route_of(scope),
                status=sending.status or CLIENT_GONE,
                started=times[0],
                ended=times[1],
                queries=state["queries"],
                bundle_id=None if generation is None else generation.manifest.bundle_id,
                stages=[] if call is None else [StageSpan(*span) for span in call.spans],
            )
        )


def _route_of(scope: Scope) -> str | None:
    return getattr(scope.get("route"), "path_format", None)


def request_id_of(headers: Headers) -> str:
    """Return the id that the client gave its request, or a new one where that is not sane."""
    given = headers.get(REQUEST_ID, "")
    is_sane = 0 < len(given) <= MAX_REQUEST_ID_CHARACTERS and given.isascii()
    return given if is_sane and given.isprintable() else uuid.uuid4().hex
