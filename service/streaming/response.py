"""The response to a stream: its lines dealt in chunks, several under way, written in order."""

import asyncio
import time
from collections.abc import Generator
from contextlib import contextmanager

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from service.batching.admission import BusyError, Refusal
from service.calls import ClientGoneError
from service.line_schemas import LINES_MEDIA_TYPE, FailedLine, LineError
from service.problems import Code
from service.serving import Serving
from service.streaming.chunks import ChunkAnswerer, StreamTerms, WrittenChunk
from service.streaming.intake import Intake

CHUNKS = 4
"""So many are under way at most."""
LOOKS = 10
"""The client is looked at so often in the time that it may do nothing."""
PIECE_BYTES = 64 * 1024
RETRY_SECONDS = 5
"""When to come back where all places are taken; nobody knows how long a stream takes."""


class LinesResponse(Response):
    """Answers the lines of a request while they come."""

    media_type = LINES_MEDIA_TYPE

    def __init__(self, terms: StreamTerms) -> None:
        self._terms = terms
        self.status_code = 200
        self.background = None
        self.init_headers({"X-Accel-Buffering": "no"})  # or nginx would hold lines back

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Answer until the client has all its answers, or has gone.

        Raises:
            BusyError: if so many streams are under way that this one may not begin.
            ClientGoneError: if the client has gone, or neither sends nor reads.
        """
        serving = self._terms.serving
        with _place(serving):
            intake = Intake(receive, max_bytes=serving.settings.max_stream_bytes)
            head = {"status": self.status_code, "headers": self.raw_headers}
            await _Stream(self._terms, intake, send).run({"type": "http.response.start", **head})


class _Stream:
    """One stream under way: a task that reads, one that deals, one that writes, one that looks."""

    def __init__(self, terms: StreamTerms, intake: Intake, send: Send) -> None:
        self._terms = terms
        self._intake = intake
        self._send = send
        self._answerer = ChunkAnswerer(terms)
        self._places = asyncio.Semaphore(CHUNKS)
        self._dealt: asyncio.Queue[asyncio.Task[WrittenChunk] | None] = asyncio.Queue()
        self._under_way = 0
        self._is_sending = False
        self._moved = time.monotonic()

    async def run(self, head: Message) -> None:
        """Send ``head``, and answer every line."""
        try:
            async with asyncio.TaskGroup() as group:
                reading = group.create_task(self._read())
                looking = group.create_task(self._look())
                group.create_task(self._deal(group))
                await self._write(head)
                reading.cancel()
                looking.cancel()
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None  # the others were cancelled because of it

    async def _read(self) -> None:
        await self._intake.read()
        raise ClientGoneError("queue" if self._under_way else "read")

    async def _deal(self, group: asyncio.TaskGroup) -> None:
        """Begin to answer lines as soon as there are any."""
        while True:
            await self._places.acquire()
            lines = await self._intake.next_lines(self._terms.chunk_lines)
            if not lines:
                break
            self._under_way += 1
            self._dealt.put_nowait(group.create_task(self._answerer.answer(lines)))
        self._dealt.put_nowait(None)

    async def _write(self, head: Message) -> None:
        """Write the chunks in order, then why there are no more of them."""
        await asyncio.sleep(0)  # the first read comes before, or none is told `100 Continue`
        await self._put(head)
        while (chunk := await self._dealt.get()) is not None:
            written = await chunk
            await self._put_body(written.content, is_last=False)
            self._count(written)
            self._under_way -= 1
            self._places.release()
        error = self._intake.ended_by
        await self._put_body(b"" if error is None else self._last_line(error), is_last=True)

    async def _put_body(self, content: bytes, *, is_last: bool) -> None:
        """Send in pieces, so that a client that reads slowly is seen to read."""
        for start in range(0, max(1, len(content)), PIECE_BYTES):
            piece = content[start : start + PIECE_BYTES]
            more = not is_last or start + PIECE_BYTES < len(content)
            await self._put({"type": "http.response.body", "body": piece, "more_body": more})

    async def _put(self, message: Message) -> None:
        self._is_sending, self._moved = True, time.monotonic()
        await self._send(message)
        self._is_sending, self._moved = False, time.monotonic()

    def _last_line(self, error: LineError) -> bytes:
        self._terms.serving.metrics.count_stream_lines(errors=1)
        line = FailedLine(line=self._intake.next_number, error=error)
        return f"{line.model_dump_json()}\n".encode()

    def _count(self, written: WrittenChunk) -> None:
        metrics = self._terms.serving.metrics
        answers = written.answers
        metrics.count_answers(answers, target_precision=self._terms.target_precision)
        metrics.count_stream_lines(answered=len(answers), errors=written.errors)
        self._terms.request.state.queries += len(answers)

    async def _look(self) -> None:
        """End the stream of a client that neither sends nor reads, though it waits for nothing.

        Raises:
            ClientGoneError: if it does not read, so that it cannot be told.
        """
        seconds = self._terms.seconds
        while True:
            await asyncio.sleep(seconds / LOOKS)
            if time.monotonic() - max(self._intake.moved, self._moved) < seconds:
                continue
            if self._is_sending:
                stage = "read"
                raise ClientGoneError(stage)
            if not self._under_way:
                detail = f"nothing came for {seconds:g} s; send the rest in another stream"
                self._intake.cut(LineError(code=Code.DEADLINE_EXCEEDED, detail=detail))


@contextmanager
def _place(serving: Serving) -> Generator[None]:
    """Count one more stream while it is under way.

    Raises:
        BusyError: if there are as many as there may be.
    """
    if serving.streams >= serving.settings.max_streams:
        raise BusyError(Refusal.STREAMS, RETRY_SECONDS)
    serving.streams += 1
    try:
        with serving.metrics.streams_in_flight.track_inprogress():
            yield
    finally:
        serving.streams -= 1
