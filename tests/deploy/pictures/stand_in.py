"""A server that speaks the HTTP interface of Prometheus, with values that a test makes up."""

import json
import math
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

Rows = list[tuple[Mapping[str, str], Callable[[float], float]]]
"""Labels of each series, and its value at a time."""


class StandIn:
    """What it answers, and what it was asked.

    Attributes:
        url: its address.
        answers: returns the series of an expression; one that raises `ValueError` is refused.
        asked: every expression, with the path it was asked under.
    """

    def __init__(self, answers: Callable[[str], Rows]) -> None:
        self.url = ""
        self.answers = answers
        self.asked: list[tuple[str, str]] = []

    def respond(self, path: str, form: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        """Return the code and the body for one request."""
        self.asked.append((path, form["query"]))
        try:
            rows = self.answers(form["query"])
        except ValueError as error:
            return 400, {"status": "error", "errorType": "bad_data", "error": str(error)}
        if path.endswith("/query"):
            at = float(form["time"])
            result = [{"metric": m, "value": [at, _text(value(at))]} for m, value in rows]
            return 200, {"status": "success", "data": {"resultType": "vector", "result": result}}
        start, end, step = (float(form[name]) for name in ("start", "end", "step"))
        times = [start + n * step for n in range(int((end - start) / step) + 1)]
        result = [
            {"metric": m, "values": [[t, _text(value(t))] for t in times]} for m, value in rows
        ]
        return 200, {"status": "success", "data": {"resultType": "matrix", "result": result}}


@contextmanager
def standing_in(answers: Callable[[str], Rows]) -> Generator[StandIn]:
    """Yield a server on a port of its own, until the end."""
    stand_in = StandIn(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            code, answer = stand_in.respond(self.path, form)
            content = json.dumps(answer).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name there
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    stand_in.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield stand_in
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _text(value: float) -> str:
    return "NaN" if math.isnan(value) else str(value)
