"""Requests that wait for texts: each is resolved once, whatever becomes of the texts."""

import asyncio
from collections.abc import Iterable, Sequence

from service.batching.batch_queue import AnyWork


class DeadlineError(Exception):
    """The time that a request may take is over.

    Attributes:
        stage: what would have come next, or was under way.
    """

    def __init__(self, stage: str) -> None:
        super().__init__(f"the time of this request was over at the stage {stage}; allow it more")
        self.stage = stage


class StoppedError(Exception):
    """The service stopped before the request was answered."""

    def __init__(self) -> None:
        super().__init__("the service stops; send the request elsewhere")


class Ticket:
    """One request that waits until each of its texts is done with.

    Attributes:
        timer: ends the wait at the deadline.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, works: Iterable[AnyWork]) -> None:
        self._future: asyncio.Future[None] = loop.create_future()
        self._open = set(works)
        self.timer: asyncio.TimerHandle | None = None
        if not self._open:
            self._future.set_result(None)

    async def wait(self) -> None:
        """Return once every text is done with.

        Raises:
            DeadlineError: if the time is over before.
            StoppedError: if the service stops before.
        """
        await self._future

    def done_with(self, work: AnyWork) -> None:
        """Note that a text has its answer, or will never have one."""
        self._open.discard(work)
        if not self._open and not self._future.done():
            self._future.set_result(None)

    def fail(self, error: Exception) -> None:
        """End the wait without the answers."""
        if not self._future.done():
            self._future.set_exception(error)

    @property
    def stage(self) -> str:
        """Return what is under way: ``queue``, or ``encode`` once a batch took one of the texts."""
        begun = any(work.taken is not None for work in self._open)
        return "encode" if begun else "queue"

    def expire(self) -> None:
        """End the wait, since the time is over."""
        self.fail(DeadlineError(self.stage))


class Tickets:
    """Which requests wait for which texts; used on the event loop alone."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiters: dict[AnyWork, set[Ticket]] = {}

    def issue(self, works: Sequence[AnyWork], *, seconds: float) -> Ticket:
        """Return a ticket for texts that are not done with, which expires after ``seconds``."""
        ticket = Ticket(self._loop, works)
        for work in works:
            self._waiters.setdefault(work, set()).add(ticket)
        ticket.timer = self._loop.call_later(max(0.0, seconds), ticket.expire)
        return ticket

    def give_back(self, ticket: Ticket, works: Iterable[AnyWork]) -> list[AnyWork]:
        """Let a request go; return the texts that nobody waits for any more."""
        if ticket.timer is not None:
            ticket.timer.cancel()
        left: list[AnyWork] = []
        for work in works:
            waiters = self._waiters.get(work)
            if waiters is None:
                continue
            waiters.discard(ticket)
            if not waiters:
                del self._waiters[work]
                left.append(work)
        return left

    def deliver(self, works: Iterable[AnyWork]) -> None:
        """Tell every request that waits for one of these texts."""
        for work in works:
            for ticket in self._waiters.pop(work, ()):
                ticket.done_with(work)

    def fail_all(self, error: StoppedError) -> None:
        """End every wait."""
        for tickets in self._waiters.values():
            for ticket in tickets:
                ticket.fail(error)
        self._waiters.clear()
