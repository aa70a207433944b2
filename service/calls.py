"""What a request is besides its body: who sent it, how long it may take, whether it still waits."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager

from starlette.requests import Request

from service.access.door import Caller, NotPermittedError
from service.access.exposure import is_loopback
from service.access.keys import ANONYMOUS, Scope
from service.answering import Call
from service.batching.ticket import DeadlineError
from service.batching.work import Lane
from service.bodies import invalid_request, read_body
from service.problems import FieldError
from service.schemas import DEADLINE_HEADER, MAX_DEADLINE_MS
from service.serving import Serving

LOOK_AFTER_SECONDS = 0.1
"""Only a request that takes longer is looked at for a client that has gone."""


class ClientGoneError(Exception):
    """Nobody waits for the answer any more; nobody gets the one to this.

    Attributes:
        stage: what was under way.
    """

    def __init__(self, stage: str) -> None:
        super().__init__(f"the client left at the stage {stage}")
        self.stage = stage


def admit(request: Request, serving: Serving, scope: Scope) -> Caller:
    """Return who sent a request that needs ``scope``.

    Raises:
        NoKeyError: if no valid key came with it.
        NotPermittedError: if the caller may not do this.
    """
    caller = serving.door.admit(request.headers, scope)
    request.state.caller = caller.name
    return caller


def admit_program(request: Request, serving: Serving, scope: Scope) -> Caller:
    """Return who wants to change what is served; without keys only a program on this machine.

    A page in its browser is none.

    Raises:
        NoKeyError: if no valid key came with the request.
        NotPermittedError: if the caller may not do this.
    """
    caller = admit(request, serving, scope)
    if caller.name == ANONYMOUS:
        is_from_page = "Origin" in request.headers or "Sec-Fetch-Site" in request.headers
        is_other_page = is_from_page and not _is_own_page(request)
        if not is_loopback(request.url.hostname or "") or is_other_page:
            raise NotPermittedError(scope)
    return caller


def begin_call(request: Request, serving: Serving) -> Call:
    """Return the call that a request makes, in the lane of small bodies until its size is known.

    Raises:
        ProblemError: 422 if its deadline is no whole number of milliseconds in range.
    """
    arrived: float = request.state.arrived
    call = Call(Lane.INTERACTIVE, arrived, arrived + _seconds_allowed(request, serving))
    request.state.call = call
    return call


def note_size(request: Request, call: Call, serving: Serving, *, queries: int) -> None:
    """Choose the lane of a call by its number of queries."""
    request.state.queries = queries
    few = queries <= serving.settings.interactive_queries
    call.lane = Lane.INTERACTIVE if few else Lane.BULK


@contextmanager
def while_wanted(request: Request, call: Call) -> Generator[None]:
    """End the wait of a call whose client has gone; the body must have been read.

    Raises:
        ClientGoneError: in place of the answer nobody waits for.
    """
    loop = asyncio.get_running_loop()
    watching: list[asyncio.Task[None]] = []

    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            await asyncio.sleep(LOOK_AFTER_SECONDS)  # some servers repeat the end of the body
        if call.ticket is not None:
            call.ticket.fail(ClientGoneError(call.ticket.stage))

    timer = loop.call_later(LOOK_AFTER_SECONDS, lambda: watching.append(loop.create_task(watch())))
    try:
        yield
    finally:
        timer.cancel()
        for task in watching:
            task.cancel()


async def read_in_time(request: Request, call: Call, *, max_bytes: int) -> bytes:
    """Return the bytes of a body that arrives before the call's time is over.

    Raises:
        ProblemError: 413 if there are more than ``max_bytes``.
        DeadlineError: if the body is too slow.
    """
    stage = "read"
    try:
        async with asyncio.timeout(call.check(stage)):
            return await read_body(request, max_bytes=max_bytes)
    except TimeoutError:
        raise DeadlineError(stage) from None


def _is_own_page(request: Request) -> bool:
    """Return whether a browser says that the request comes from a page of this very service."""
    return request.headers.get("Sec-Fetch-Site") in ("same-origin", "none")


def _seconds_allowed(request: Request, serving: Serving) -> float:
    given = request.headers.get(DEADLINE_HEADER)
    if given is None:
        return serving.settings.deadline_seconds
    is_number = given.isascii() and given.isdecimal() and len(given) <= len(str(MAX_DEADLINE_MS))
    if not is_number or not 1 <= int(given) <= MAX_DEADLINE_MS:
        what = f"must be whole milliseconds from 1 to {MAX_DEADLINE_MS}"
        raise invalid_request([FieldError(where=f"header {DEADLINE_HEADER}", what=what)])
    return int(given) / 1000
