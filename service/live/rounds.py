"""Requests for bundles, brought together: one is opened at a time, and of those waiting the newest.

However often somebody asks, there is at most one opening under way and one round that waits.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from service.live.outcomes import RefusedError, SwapOutcome, SwapStatus

STOPPING = "the service is stopping and opens no further bundle; ask the one that takes its place"


@dataclass(eq=False)
class Round:
    """Requests that wait for one opening.

    Attributes:
        target: the bundle to open, that of the newest request.
        is_overruled: true if something that came later says not to serve it.
        end: the outcome for those who asked for the target, or why it was refused.
    """

    target: Path
    is_overruled: bool = False
    end: asyncio.Future[SwapOutcome | str] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def finish(self, end: SwapOutcome | str) -> None:
        """Tell all requests, unless they were told before."""
        if not self.end.done():
            self.end.set_result(end)


class Rounds:
    """Gives every request an end; all methods are called on the event loop.

    Attributes:
        serving: the id of the bundle that answers; None before there is one.
    """

    def __init__(
        self,
        attempt: Callable[[Round], Awaitable[SwapOutcome | str]],
        *,
        serving: Callable[[], str | None],
    ) -> None:
        """Set who opens.

        Args:
            attempt: opens the target of a round; returns the outcome or the reason of a refusal,
                and never raises.
            serving: returns the id of the bundle that answers, None if none does.
        """
        self._attempt = attempt
        self._serving = serving
        self._opening: Round | None = None
        self._waiting: Round | None = None
        self._work: asyncio.Task[None] | None = None
        self._is_closed = False

    async def ask(self, target: Path) -> SwapOutcome:
        """Return how the round of this request ended.

        Raises:
            RefusedError: if the target was opened and refused, or nothing answers yet.
        """
        joined = self._join(target)
        end = await asyncio.shield(joined.end)  # a caller who leaves cancels nothing for the rest
        serving = self._serving()
        if joined.target != target and serving is not None:
            seconds = end.seconds if isinstance(end, SwapOutcome) else 0.0
            return SwapOutcome(SwapStatus.SUPERSEDED, serving, seconds)
        if isinstance(end, str):
            raise RefusedError(end)
        return end

    def overrule(self) -> None:
        """Let nothing be served that was asked for before now."""
        for asked in (self._opening, self._waiting):
            if asked is not None:
                asked.is_overruled = True

    def close(self) -> None:
        """Refuse what waits and what will be asked."""
        self._is_closed = True
        for asked in (self._opening, self._waiting):
            if asked is not None:
                asked.finish(STOPPING)
        self._waiting = None
        if self._work is not None:
            self._work.cancel()

    def _join(self, target: Path) -> Round:
        if self._is_closed:
            raise RefusedError(STOPPING)
        if self._waiting is None:
            self._waiting = Round(target)
        self._waiting.target, self._waiting.is_overruled = target, False
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._open_what_waits())
        return self._waiting

    async def _open_what_waits(self) -> None:
        while self._waiting is not None:
            self._opening, self._waiting = self._waiting, None
            self._opening.finish(await self._attempt(self._opening))
            self._opening = None
