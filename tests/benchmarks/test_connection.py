"""The load generator's connection, against a real server that says what it is told to."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import pytest

from tests.benchmarks.connection import (
    Connection,
    Head,
    LostConnectionError,
    Reply,
    UnreadableAnswerError,
    read_head,
)

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"


@asynccontextmanager
async def saying(parts: Sequence[bytes], *, hang_up: bool = False) -> AsyncGenerator[int]:
    """Yield the port of a server that answers each request with these parts."""

    served = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1000):
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0)
            if hang_up:
                break
        writer.close()
        served.set()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            await served.wait()


async def ask(parts: Sequence[bytes], *, times: int = 1, hang_up: bool = False) -> list[Reply]:
    async with saying(parts, hang_up=hang_up) as port:
        connection = await Connection.open("127.0.0.1", port)
        try:
            return [await connection.ask(b"GET / HTTP/1.1\r\n\r\n") for _ in range(times)]
        finally:
            connection.close()


def test_a_connection_is_used_again() -> None:
    assert asyncio.run(ask([ANSWER], times=3)) == [Reply(200, b"hello")] * 3


def test_an_answer_may_come_byte_by_byte() -> None:
    parts = [ANSWER[place : place + 1] for place in range(len(ANSWER))]

    assert asyncio.run(ask(parts, times=2)) == [Reply(200, b"hello")] * 2


def test_an_answer_may_have_no_body() -> None:
    head = b"HTTP/1.1 429 Too Many Requests\r\ncontent-length:0\r\n\r\n"

    assert asyncio.run(ask([head])) == [Reply(429, b"")]


def test_a_server_that_hangs_up_within_an_answer_is_a_lost_connection() -> None:
    with pytest.raises(LostConnectionError):
        asyncio.run(ask([ANSWER[:-1]], hang_up=True))


def test_a_connection_that_the_server_ends_is_not_used_again() -> None:
    closing = ANSWER.replace(b"Content-Type: text/plain", b"Connection: close")

    with pytest.raises(LostConnectionError):
        asyncio.run(ask([closing], times=2))


def test_an_answer_without_a_length_is_an_error_and_not_a_wait() -> None:
    with pytest.raises(UnreadableAnswerError, match="Content-Length"):
        asyncio.run(ask([b"HTTP/1.1 200 OK\r\n\r\n"]))


@pytest.mark.parametrize(
    ("head", "read"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 12", Head(200, 12, closes=False)),
        (b"HTTP/1.1 503 No\r\ncontent-length:0\r\nconnection: close", Head(503, 0, closes=True)),
        (b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nCONTENT-LENGTH: 3", Head(200, 3, False)),
    ],
)
def test_a_head_says_status_length_and_end(head: bytes, read: Head) -> None:
    assert read_head(head) == read


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 2x0 OK\r\nContent-Length: 3",
        b"SSH-2.0-x\r\nContent-Length: 3",
        b"HTTP/1.1 200 OK\r\nX-Content-Length: 3",
    ],
)
def test_what_is_no_head_is_not_read_as_one(head: bytes) -> None:
    with pytest.raises(UnreadableAnswerError):
        read_head(head)
