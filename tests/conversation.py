"""One request to an app in this process whose body and answer go by piece by piece, both ways."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from starlette.types import ASGIApp, Message

SECONDS = 20.0


class Conversation:
    """The client's side.

    Attributes:
        reads: the app's sends wait until it is set, as for a client whose buffers are full.
        taken: pieces of the body that the app has taken.
        ended: true once the answer is complete.
        status: of the answer; None before it began.
        headers: of the answer.
    """

    def __init__(self) -> None:
        self.reads = asyncio.Event()
        self.reads.set()
        self.taken = 0
        self.ended = False
        self.status: int | None = None
        self.headers: Mapping[str, str] = {}
        self._said: asyncio.Queue[Message] = asyncio.Queue()
        self._heard: deque[bytes] = deque()
        self._rest = b""
        self._news = asyncio.Event()

    def say(self, *pieces: bytes) -> None:
        """Send parts of the body."""
        for piece in pieces:
            self._said.put_nowait({"type": "http.request", "body": piece, "more_body": True})

    def finish(self) -> None:
        """Send the end of the body."""
        self._said.put_nowait({"type": "http.request", "body": b"", "more_body": False})

    def leave(self) -> None:
        """Close the connection."""
        self._said.put_nowait({"type": "http.disconnect"})

    async def hear(self) -> dict[str, Any] | None:
        """Wait for the next line of the answer; None at its end."""
        async with asyncio.timeout(SECONDS):
            while not self._heard and not self.ended:
                self._news.clear()
                await self._news.wait()
        return json.loads(self._heard.popleft()) if self._heard else None

    async def hear_all(self) -> list[dict[str, Any]]:
        """Wait for the end of the answer; return the lines that were not heard before."""
        lines: list[dict[str, Any]] = []
        while (line := await self.hear()) is not None:
            lines.append(line)
        return lines

    async def rest(self) -> bytes:
        """Wait for the end of the answer; return all of it that was not heard before."""
        async with asyncio.timeout(SECONDS):
            while not self.ended:
                self._news.clear()
                await self._news.wait()
        return b"".join(line + b"\n" for line in self._heard) + self._rest

    async def receive(self) -> Message:
        """Give the app what was said, as a server does."""
        message = await self._said.get()
        self.taken += message["type"] == "http.request"
        return message

    async def send(self, message: Message) -> None:
        """Take what the app answers, as a server does."""
        await self.reads.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {k.decode(): v.decode() for k, v in message["headers"]}
        else:
            *lines, self._rest = (self._rest + message.get("body", b"")).split(b"\n")
            self._heard.extend(lines)
            self.ended = not message.get("more_body", False)
        self._news.set()


@asynccontextmanager
async def talking(
    app: ASGIApp, target: str, headers: Mapping[str, str] | None = None
) -> AsyncGenerator[Conversation]:
    """Yield a POST that has begun; at the end the client leaves, and the app must be done with it.

    Args:
        app: what answers.
        target: path and query.
        headers: of the request.
    """
    path, _, query = target.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1234),
        "root_path": "",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(k.lower().encode(), v.encode()) for k, v in (headers or {}).items()],
    }
    conversation = Conversation()
    answering = asyncio.create_task(app(scope, conversation.receive, conversation.send))  # pyright: ignore[reportArgumentType]  # an ASGI app is a coroutine function
    try:
        yield conversation
    finally:
        conversation.leave()
        async with asyncio.timeout(SECONDS):
            await answering
