import asyncio
import time
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.types import Message

from service.answering import Call
from service.batching.ticket import DeadlineError, Tickets
from service.batching.work import Lane
from service.callers import Callers
from service.calls import (
    DEADLINE_HEADER,
    LOOK_AFTER_SECONDS,
    ClientGoneError,
    begin_call,
    note_size,
    read_in_time,
    while_wanted,
)
from service.problems import Code, ProblemError
from service.serving import Serving
from service.settings import Settings
from tests.engine import EchoEngine, work_of


def serving(**settings: object) -> Serving:
    chosen = Settings.model_validate({"bundle": Path("none"), **settings})
    return Serving(chosen, Callers(chosen))


def request_of(messages: list[Message], *, deadline: str | None = None) -> Request:
    """Return a request whose connection gives these messages, the last one over and over."""

    async def receive() -> Message:
        return messages.pop(0) if len(messages) > 1 else messages[0]

    headers = [] if deadline is None else [(DEADLINE_HEADER.lower().encode(), deadline.encode())]
    scope = {"type": "http", "method": "POST", "headers": headers, "state": {"arrived": 100.0}}
    return Request(scope, receive)


def call_of(*, seconds: float = 20.0) -> Call:
    now = time.monotonic()
    return Call(Lane.INTERACTIVE, now, now + seconds)


@pytest.mark.parametrize(("given", "seconds"), [(None, 60.0), ("1", 0.001), ("2500", 2.5)])
def test_the_deadline_counts_from_the_arrival(given: str | None, seconds: float) -> None:
    call = begin_call(request_of([{}], deadline=given), serving())

    assert call.deadline == pytest.approx(100.0 + seconds)


@pytest.mark.parametrize(
    "given", ["0", "-1", "1.5", "3600001", "", "soon", "1e3", "\xb2", "9" * 99]
)
def test_a_deadline_that_is_no_number_of_milliseconds_is_refused(given: str) -> None:
    request = request_of([{}])
    request.scope["headers"] = [(DEADLINE_HEADER.lower().encode(), given.encode("latin-1"))]

    with pytest.raises(ProblemError) as refused:
        begin_call(request, serving())

    assert refused.value.code is Code.INVALID_REQUEST
    assert DEADLINE_HEADER in refused.value.detail


@pytest.mark.parametrize(("queries", "lane"), [(1, Lane.INTERACTIVE), (3, Lane.INTERACTIVE)])
def test_a_body_of_few_queries_is_interactive(queries: int, lane: Lane) -> None:
    few, many = call_of(), call_of()
    state = serving(interactive_queries=3)

    note_size(request_of([{}]), few, state, queries=queries)
    note_size(request_of([{}]), many, state, queries=4)

    assert (few.lane, many.lane) == (lane, Lane.BULK)


def test_a_body_that_never_ends_ends_at_the_deadline() -> None:
    async def slow() -> Message:
        await asyncio.sleep(3600)
        return {}

    request = Request({"type": "http", "method": "POST", "headers": []}, slow)

    with pytest.raises(DeadlineError) as late:
        asyncio.run(read_in_time(request, call_of(seconds=0.05), max_bytes=10))

    assert late.value.stage == "read"


def test_a_client_that_goes_ends_the_wait() -> None:
    async def scenario() -> None:
        call = call_of()
        work = work_of(EchoEngine(), 3)
        call.ticket = Tickets(asyncio.get_running_loop()).issue([work], seconds=20)
        with while_wanted(request_of([{"type": "http.disconnect"}]), call):
            await call.ticket.wait()

    with pytest.raises(ClientGoneError) as gone:
        asyncio.run(scenario())

    assert gone.value.stage == "queue"


def test_a_server_that_repeats_the_end_of_a_body_leaves_the_loop_to_others() -> None:
    seen = 0

    async def scenario() -> None:
        request = request_of([{"type": "http.request", "body": b"", "more_body": False}])
        with while_wanted(request, call_of()):
            nonlocal seen
            until = time.monotonic() + 3 * LOOK_AFTER_SECONDS
            while time.monotonic() < until:
                seen += 1
                await asyncio.sleep(LOOK_AFTER_SECONDS / 10)

    asyncio.run(asyncio.wait_for(scenario(), 10))

    assert seen > 3
