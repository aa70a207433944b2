"""What a client sends in a stream, read as it comes, so that it may send all before it reads."""

import asyncio
import time

from starlette.types import Receive

from service.line_schemas import LineError
from service.problems import Code
from service.schemas import MAX_LINE_BYTES
from service.streaming.lines import Line, LineBuffer

CHUNK_BYTES = 64 * 1024
"""Lines of a chunk are parsed on the event loop; longer ones come in smaller chunks."""


class Intake:
    """Reads the body of one request into memory, and gives it out in lines.

    Attributes:
        moved: when something came last, in seconds of the monotonic clock.
        ended_by: why the lines end before the body does; None if they do not.
    """

    def __init__(self, receive: Receive, *, max_bytes: int) -> None:
        self._receive = receive
        self._max_bytes = max_bytes
        self._lines = LineBuffer(max_line_bytes=MAX_LINE_BYTES, max_bytes=max_bytes)
        self._came = asyncio.Event()
        self.moved = time.monotonic()
        self.ended_by: LineError | None = None

    @property
    def next_number(self) -> int:
        """Return the number of the first line that was not given out."""
        return self._lines.next_number

    async def read(self) -> None:
        """Read the body to its end and beyond; return once the client is gone."""
        while (message := await self._receive())["type"] != "http.disconnect":
            if not self._lines.has_ended:
                self._take_in(message.get("body", b""), is_last=not message.get("more_body"))
            self._came.set()

    async def next_lines(self, most: int) -> list[Line]:
        """Wait for lines and return those that are there, up to ``most``; none at the end."""
        while True:
            lines = self._held_lines(most)
            if lines or self._lines.has_ended:
                return lines
            self._came.clear()
            await self._came.wait()

    def cut(self, error: LineError) -> None:
        """Give out no more lines than have come by now."""
        self.ended_by = error
        self._lines.cut()
        self._came.set()

    def _take_in(self, piece: bytes, *, is_last: bool) -> None:
        self.moved = time.monotonic()
        self._lines.feed(piece)
        if self._lines.is_cut:
            detail = f"the stream has more than {self._max_bytes} bytes; send the rest in another"
            self.ended_by = LineError(code=Code.BODY_TOO_LARGE, detail=detail)
        if is_last:
            self._lines.end()

    def _held_lines(self, most: int) -> list[Line]:
        lines: list[Line] = []
        room = CHUNK_BYTES
        while len(lines) < most and room > 0 and (line := self._lines.take()) is not None:
            lines.append(line)
            room -= len(line.content or b"")
        return lines
