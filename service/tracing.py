"""Traces of requests for an OpenTelemetry collector; without one nothing of it is even imported."""

import importlib
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

from service.contract.errors import ConfigError
from service.trace_context import TraceContext

TRACES_PATH = "/v1/traces"
MAX_WAITING_SPANS = 4096
"""Spans that wait for the collector; while it does not take them further ones are dropped."""
BATCH_SPANS = 512
BATCH_SECONDS = 2.0
"""Spans are sent when so many wait, or the oldest waits so long."""
EXPORT_SECONDS = 5.0
"""How long one batch of spans is tried to be sent."""
FLUSH_SECONDS = 3.0
"""How long the end of the process waits for the last spans to be sent."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SERVER_ERROR = 500

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StageSpan:
    """One run of a stage, in seconds of ``time.monotonic``."""

    name: str
    started: float
    ended: float


@dataclass(frozen=True, slots=True)
class RequestSpan:
    """What a trace tells of a request that is over; never anything its client wrote in a body.

    Attributes:
        context: its own place in the trace; ``parent_id`` is the id of its span.
        caller: where it came from; None if it begins the trace.
        method: of HTTP.
        route: template of the route; None if there is none for its path.
        status: of the answer.
        started: when it came, in seconds of ``time.monotonic``.
        ended: when its answer was out.
        queries: how many texts it asked for.
        bundle_id: what answered; None if nothing did.
        stages: what was done for it; runs of one name become one span.
    """

    context: TraceContext
    caller: TraceContext | None
    method: str
    route: str | None
    status: int
    started: float
    ended: float
    queries: int = 0
    bundle_id: str | None = None
    stages: Sequence[StageSpan] = ()


class Tracer(Protocol):
    """Takes the spans of requests; nothing that happens to them happens to a request."""

    def record(self, request: RequestSpan) -> None:
        """Take a request that is over; returns at once."""
        ...

    def close(self) -> None:
        """Send what waits, and give up on it after `FLUSH_SECONDS`; blocks meanwhile."""
        ...


class NoTracer:
    """The tracer of a service without a collector."""

    def record(self, request: RequestSpan) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def open_tracer(endpoint: str | None, *, service_version: str) -> Tracer:
    """Return what sends traces to the collector at ``endpoint``.

    Args:
        endpoint: its URL for OTLP over HTTP, with or without ``/v1/traces``; None for no traces.
        service_version: the release that runs.

    Raises:
        ConfigError: if it is no such URL, or the extra ``otel`` is not installed.
    """
    if endpoint is None:
        return NoTracer()
    return CollectorTracer(_traces_url(endpoint), service_version=service_version)


class CollectorTracer:
    """Sends spans in batches from a thread of its own.

    Headers and certificates for the collector come from the variables of OpenTelemetry
    (``OTEL_EXPORTER_OTLP_HEADERS`` and so on), as do a service name other than ``surematch``
    and further attributes (``OTEL_SERVICE_NAME``, ``OTEL_RESOURCE_ATTRIBUTES``).
    """

    def __init__(
        self, url: str, *, service_version: str, flush_seconds: float = FLUSH_SECONDS
    ) -> None:
        """Start the thread that sends; the collector need not be up.

        Args:
            url: where OTLP's trace requests go.
            service_version: the release that runs.
            flush_seconds: how long `close` waits.

        Raises:
            ConfigError: if the extra ``otel`` is not installed.
        """
        self._api = _load("opentelemetry.trace")
        self._sdk = _load("opentelemetry.sdk.trace")
        exporters = _load("opentelemetry.exporter.otlp.proto.http.trace_exporter")
        processors = _load("opentelemetry.sdk.trace.export")
        self._resource = _resource(service_version)
        self._exporter = exporters.OTLPSpanExporter(endpoint=url, timeout=EXPORT_SECONDS)
        self._processor = processors.BatchSpanProcessor(
            self._exporter,
            max_queue_size=MAX_WAITING_SPANS,
            max_export_batch_size=BATCH_SPANS,
            schedule_delay_millis=1000 * BATCH_SECONDS,
        )
        self._flush_seconds = flush_seconds

    def record(self, request: RequestSpan) -> None:
        """Let the spans of a request wait for the next batch, if its trace is recorded."""
        if not request.context.sampled:
            return
        epoch = time.time_ns() - time.monotonic_ns()
        self._processor.on_end(self._span_of(request, epoch))
        for runs in _by_name(request.stages).values():
            self._processor.on_end(self._span_of_stage(runs, request.context, epoch))

    def close(self) -> None:
        """Send what waits, and give up on it after ``flush_seconds``; blocks meanwhile."""
        flushing = threading.Thread(target=self._processor.shutdown, daemon=True)
        flushing.start()
        flushing.join(self._flush_seconds)
        if flushing.is_alive():
            logger.warning("traces given up", extra={"seconds": self._flush_seconds})
            self._exporter.shutdown()  # ends its waiting between two attempts

    # Both make a span by hand: the SDK's own tracer would draw the ids of a new trace itself, and
    # these must be the ones of the request's log lines.

    def _span_of(self, request: RequestSpan, epoch: int) -> Any:
        method = request.method if request.method in _METHODS else "_OTHER"
        codes = self._api.StatusCode
        code = codes.ERROR if request.status >= _SERVER_ERROR else codes.UNSET
        return self._sdk.ReadableSpan(
            name=method if request.route is None else f"{method} {request.route}",
            context=self._place(request.context),
            parent=None if request.caller is None else self._place(request.caller, is_remote=True),
            resource=self._resource,
            kind=self._api.SpanKind.SERVER,
            attributes=_attributes(request, method),
            status=self._api.Status(code),
            start_time=epoch + _nanoseconds(request.started),
            end_time=epoch + _nanoseconds(request.ended),
        )

    def _span_of_stage(self, runs: Sequence[StageSpan], parent: TraceContext, epoch: int) -> Any:
        return self._sdk.ReadableSpan(
            name=runs[0].name,
            context=self._place(parent.child()),
            parent=self._place(parent),
            resource=self._resource,
            attributes={
                "surematch.runs": len(runs),
                "surematch.seconds": sum(run.ended - run.started for run in runs),
            },
            start_time=epoch + _nanoseconds(min(run.started for run in runs)),
            end_time=epoch + _nanoseconds(max(run.ended for run in runs)),
        )

    def _place(self, context: TraceContext, *, is_remote: bool = False) -> Any:
        sampled = self._api.TraceFlags(self._api.TraceFlags.SAMPLED)
        ids = int(context.trace_id, 16), int(context.parent_id, 16)
        return self._api.SpanContext(*ids, is_remote=is_remote, trace_flags=sampled)


def _traces_url(endpoint: str) -> str:
    if not _is_http(endpoint):
        message = (
            f"otlp_endpoint is {endpoint!r}, it must be the URL of a collector for OTLP over HTTP; "
            "give one like http://localhost:4318"
        )
        raise ConfigError(message)
    url = urlsplit(endpoint)
    path = url.path.rstrip("/").removesuffix(TRACES_PATH)
    return url._replace(path=path + TRACES_PATH).geturl()


def _is_http(endpoint: str) -> bool:
    try:
        url = urlsplit(endpoint)
        return url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0
    except ValueError:  # a port or an address that is none
        return False


def _load(module: str) -> Any:
    """Return a module of the extra ``otel``; untyped, since it may not be installed.

    Raises:
        ConfigError: if it is not.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        message = (
            f"otlp_endpoint is set, but a package it needs is missing ({error}); "
            "run pip install 'surematch[otel]', or set no otlp_endpoint"
        )
        raise ConfigError(message) from error


def _resource(service_version: str) -> Any:
    """Return who sends the spans; what the environment says of it wins."""
    resources = _load("opentelemetry.sdk.resources")
    ours = {"service.name": "surematch", "service.version": service_version}
    given = resources.OTELResourceDetector().detect()
    return resources.Resource.create().merge(resources.Resource(ours)).merge(given)


def _attributes(request: RequestSpan, method: str) -> dict[str, str | int]:
    facts: dict[str, str | int | None] = {
        "http.request.method": method,
        "http.route": request.route,
        "http.response.status_code": request.status,
        "surematch.queries": request.queries,
        "surematch.bundle_id": request.bundle_id,
    }
    return {name: fact for name, fact in facts.items() if fact is not None}


def _by_name(stages: Sequence[StageSpan]) -> Mapping[str, Sequence[StageSpan]]:
    runs: dict[str, list[StageSpan]] = {}
    for stage in stages:
        runs.setdefault(stage.name, []).append(stage)
    return runs


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)
