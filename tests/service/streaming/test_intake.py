import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from service.line_schemas import LineError
from service.problems import Code
from service.schemas import MAX_LINE_BYTES
from service.streaming.intake import CHUNK_BYTES, Intake
from service.streaming.lines import Line
from tests.conversation import Conversation

SECONDS = 20.0


def reading(
    work: Callable[[Conversation, Intake], Coroutine[Any, Any, Any]], *, max_bytes: int = 10**6
) -> Any:
    """Return what ``work`` returns while an intake reads what a client says."""

    async def run() -> Any:
        client = Conversation()
        intake = Intake(client.receive, max_bytes=max_bytes)
        read = asyncio.create_task(intake.read())
        async with asyncio.timeout(SECONDS):
            found = await work(client, intake)
            client.leave()
            await read
        return found

    return asyncio.run(run())


def test_lines_are_given_out_as_soon_as_there_is_one() -> None:
    async def two(client: Conversation, intake: Intake) -> list[list[Line]]:
        waiting = asyncio.create_task(intake.next_lines(10))
        client.say(b"a", b"b\nc")
        first = await waiting
        client.finish()
        return [first, await intake.next_lines(10), await intake.next_lines(10)]

    assert reading(two) == [[Line(1, b"ab")], [Line(2, b"c")], []]


def test_no_more_lines_are_given_out_than_were_asked_for() -> None:
    async def few(client: Conversation, intake: Intake) -> list[int]:
        client.say(b"x\n" * 5)
        client.finish()
        return [len(await intake.next_lines(2)) for _ in range(4)]

    assert reading(few) == [2, 2, 1, 0]


def test_long_lines_are_given_out_few_at_a_time() -> None:
    async def long(client: Conversation, intake: Intake) -> list[int]:
        client.say((b"x" * (CHUNK_BYTES // 2) + b"\n") * 5)
        client.finish()
        return [len(await intake.next_lines(32)) for _ in range(4)]

    assert reading(long) == [2, 2, 1, 0]


def test_a_line_above_the_bound_is_given_out_without_its_bytes() -> None:
    async def endless(client: Conversation, intake: Intake) -> list[Line]:
        client.say(*[b"x" * CHUNK_BYTES] * 3)
        return await intake.next_lines(32)

    assert CHUNK_BYTES * 3 > MAX_LINE_BYTES
    assert reading(endless) == [Line(1, None)]


def test_everything_is_read_though_nobody_takes_it() -> None:
    async def say_all(client: Conversation, intake: Intake) -> int:
        client.say(*[b"x\n"] * 500)
        client.finish()
        while client.taken < 501:
            await asyncio.sleep(0)
        return len(await intake.next_lines(1000))

    assert reading(say_all) == 500


@pytest.mark.parametrize(
    ("pieces", "whole", "ended_by"),
    [
        ([b"a\nb\n"], 2, None),
        ([b"a\nb\n", b"c"], 2, Code.BODY_TOO_LARGE),
        ([b"a\nb\nc\n"], 2, Code.BODY_TOO_LARGE),
        ([b"a\nbcd\n"], 1, Code.BODY_TOO_LARGE),
    ],
)
def test_what_comes_beyond_the_bound_is_not_given_out_and_ends_the_lines(
    pieces: list[bytes], whole: int, ended_by: Code | None
) -> None:
    async def too_much(client: Conversation, intake: Intake) -> tuple[int, Code | None, int]:
        client.say(*pieces)
        client.finish()
        while client.taken < len(pieces) + 1:
            await asyncio.sleep(0)
        lines = await intake.next_lines(10)
        assert await intake.next_lines(10) == []
        error = intake.ended_by
        return len(lines), error and error.code, intake.next_number

    assert reading(too_much, max_bytes=4) == (whole, ended_by, whole + 1)


def test_what_is_cut_short_gives_out_whole_lines_only() -> None:
    error = LineError(code=Code.DEADLINE_EXCEEDED, detail="too slow")

    async def cut(client: Conversation, intake: Intake) -> list[list[Line]]:
        client.say(b"a\nhalf a li")
        first = await intake.next_lines(10)
        waiting = asyncio.create_task(intake.next_lines(10))
        await asyncio.sleep(0)
        intake.cut(error)
        assert intake.ended_by is error
        return [first, await waiting]

    assert reading(cut) == [[Line(1, b"a")], []]
