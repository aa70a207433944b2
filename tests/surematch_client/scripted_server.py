"""A server on a socket that answers as a test says, also as no sane service would."""

import json
import socket
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

SECONDS = 20.0


@dataclass(frozen=True)
class Asked:
    """A request as it came in."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """What goes back; ``missing_bytes`` are announced and never sent."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    missing_bytes: int = 0
    is_chunked: bool = False


DROP = Reply(status=0)
"""The connection ends without a word."""
SILENCE = Reply(status=-1)
"""The connection stays open without a word."""
CUT = Reply(200, b'{"bundle_id"', missing_bytes=100)
"""The connection ends within the answer."""
BAD_GATEWAY = Reply(502, b"<html>Bad gateway</html>", {"Content-Type": "text/html"})
"""What a proxy says of a service that is gone."""

Step = Reply | Callable[[Asked], Reply]


class ScriptedServer(ThreadingHTTPServer):
    """Answers request after request with the steps of its script; the last one repeats.

    Attributes:
        asked: every request so far.
        most_at_once: the most requests that were under way at the same time.
    """

    daemon_threads = True

    def __init__(self, script: Sequence[Step]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[Asked] = []
        self.most_at_once = 0
        self.is_over = threading.Event()
        self._at_once = 0
        self._script = list(script)
        self._lock = threading.Lock()

    @property
    def address(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.server_port}"

    def reply_to(self, asked: Asked) -> Reply:
        """Return what the script says now."""
        with self._lock:
            self.asked.append(asked)
            step = self._script.pop(0) if len(self._script) > 1 else self._script[0]
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            return step if isinstance(step, Reply) else step(asked)
        finally:
            with self._lock:
                self._at_once -= 1

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing where a client went away."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name it has above
        pass

    def _answer(self) -> None:
        server = cast("ScriptedServer", self.server)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = server.reply_to(Asked(self.command, self.path, headers, body))
        if reply is SILENCE:
            server.is_over.wait(SECONDS)
        if reply.status <= 0:
            self.close_connection = True
            return
        self._send(reply)

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.is_chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(reply.body) + reply.missing_bytes))
        self.end_headers()
        if reply.is_chunked:  # byte by byte, each in a packet of its own
            for byte in reply.body:
                self.wfile.write(b"1\r\n%c\r\n" % byte)
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.wfile.write(reply.body)
        self.close_connection = reply.missing_bytes > 0


@contextmanager
def serving(*script: Step) -> Generator[ScriptedServer]:
    """Yield a server that answers by this script."""
    server = ScriptedServer(script)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.is_over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def nowhere() -> str:
    """Return an address at which nothing listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as gone:
        return f"http://127.0.0.1:{gone.getsockname()[1]}"


def json_reply(value: object, *, status: int = 200, **headers: str) -> Reply:
    """Return a reply of JSON; an underscore in the name of a header stands for a hyphen."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Reply(status, json.dumps(value).encode(), {"Content-Type": "application/json"} | named)


def problem(status: int, code: str, **headers: str) -> Reply:
    """Return an error as the service words it."""
    value = {"type": "about:blank", "title": "T", "status": status, "detail": "d", "code": code}
    return json_reply(value, status=status, **headers)


def recommendations(asked: Asked) -> Reply:
    """Return what the service would say: each query recommends the product that is its text."""
    results = [
        {
            "id": query["id"],
            "decision": "auto_accepted",
            "reason": "above_threshold",
            "truncated": False,
            "recommendations": [{"product_id": query["text"], "title": "T", "similarity": 0.9}],
        }
        for query in asked.json["queries"]
    ]
    return json_reply({"bundle_id": "b-1", "results": results})
