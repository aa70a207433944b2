"""A collector of OpenTelemetry traces on a socket of its own; it needs the extra ``otel``."""

import importlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECONDS = 20.0


class Collector:
    """Takes spans over HTTP as a real one does.

    Attributes:
        status: what it answers.
        paths: of the requests it got.
        exports: what was in them.
        asked: set once a request is there.
        answers: cleared by a test that wants it to hang.
    """

    def __init__(self) -> None:
        self.status = 200
        self.paths: list[str] = []
        self.exports: list[Any] = []
        self.asked = threading.Event()
        self.answers = threading.Event()
        self.answers.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def address(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def spans(self) -> list[Any]:
        """Every span that it got."""
        return [
            span
            for export in self.exports
            for resource in export.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def span(self, name: str) -> Any:
        """The only span of this name."""
        (span,) = [span for span in self.spans if span.name == name]
        return span

    def close(self) -> None:
        """Answer what hangs, then stop."""
        self.answers.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.asked.set()
                collector.answers.wait(SECONDS)
                collector.paths.append(self.path)
                collector.exports.append(decoded(body))
                self.send_response(collector.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        return Handler


def decoded(body: bytes) -> Any:
    """What a body of OTLP says; untyped, since the extra may not be installed."""
    messages = importlib.import_module("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    return messages.ExportTraceServiceRequest.FromString(body)


def facts_of(thing: Any) -> dict[str, Any]:
    """Return the attributes of a span or a resource."""
    return {
        attribute.key: getattr(attribute.value, attribute.value.WhichOneof("value"))
        for attribute in thing.attributes
    }
