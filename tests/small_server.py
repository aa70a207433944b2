"""The service's protocol under a small app of its own, on real sockets."""

import asyncio
import json
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

import uvicorn
from starlette.types import Message, Receive, Scope, Send

from service.connection import Connection
from service.server import listen

SECONDS = 20.0
LARGE = 50_000_000
"""Bytes of the answer of ``/large``: more than all buffers on the way hold."""


@dataclass
class App:
    """Answers with what it was asked; some paths answer late, early or at length.

    Attributes:
        go: lets ``/late`` answer.
        begun: set once ``/late`` waits.
        left: set once a client has left ``/late``.
        asked: paths in turn.
    """

    go: threading.Event = field(default_factory=threading.Event)
    begun: threading.Event = field(default_factory=threading.Event)
    left: threading.Event = field(default_factory=threading.Event)
    asked: list[str] = field(default_factory=list[str])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        self.asked.append(scope["path"])
        body = b""
        if scope["path"] != "/early":
            body = await _body(receive)
        if scope["path"] == "/late":
            await self._wait(receive)
        names = [name.decode() for name, _ in scope["headers"]]
        told = {"path": scope["path"], "body": body.decode(), "headers": names}
        content = json.dumps(told).encode()
        if scope["path"] == "/large":
            content = b" " * LARGE
        await send({"type": "http.response.start", "status": 200, "headers": _length(content)})
        await send({"type": "http.response.body", "body": content})

    async def _wait(self, receive: Receive) -> None:
        self.begun.set()
        watching = asyncio.ensure_future(receive())
        while not self.go.is_set() and not watching.done():
            await asyncio.sleep(0.001)
        if watching.done():
            self.left.set()
        watching.cancel()


async def _body(receive: Receive) -> bytes:
    body = b""
    while True:
        message: Message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


def _length(content: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"content-length", str(len(content)).encode())]


@dataclass
class Served:
    """A running server, its app and its address."""

    server: uvicorn.Server
    app: App
    address: str

    @property
    def connections(self) -> list[Connection]:
        """Those that are open."""
        return [one for one in self.server.server_state.connections if isinstance(one, Connection)]

    def wait_for_connections(self, number: int) -> None:
        until = time.monotonic() + SECONDS
        while len(self.connections) != number:
            assert time.monotonic() < until
            time.sleep(0.001)


@contextmanager
def serving_small() -> Generator[Served]:
    """Yield a running server; idle connections are kept for ever."""
    app = App()
    config = uvicorn.Config(
        app,
        http=Connection,
        loop="uvloop",
        ws="none",
        lifespan="off",
        log_config=None,
        timeout_keep_alive=600,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    with listen("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        port = listener.getsockname()[1]
        try:
            yield Served(server, app, f"http://127.0.0.1:{port}")
        finally:
            server.should_exit = True
            app.go.set()
            thread.join(SECONDS)
    assert not thread.is_alive()
