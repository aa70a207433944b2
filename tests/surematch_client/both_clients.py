"""One way to use the two clients, so that each test of one is a test of the other."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from dataclasses import dataclass, field
from inspect import isawaitable
from typing import Any

from surematch_client import AsyncClient, Client, Timing

Ask = Callable[..., Any]
"""Takes the address, what to do with a client, and its settings; a generator becomes a list."""


def ask_sync(address: str, action: Callable[[Any], Any], **settings: Any) -> Any:
    """Return what ``action`` gets of a `Client`."""
    with Client(address, **settings) as client:
        found = action(client)
        return list(found) if isinstance(found, Generator) else found


def ask_async(address: str, action: Callable[[Any], Any], **settings: Any) -> Any:
    """Return what ``action`` gets of an `AsyncClient`."""

    async def ask() -> Any:
        async with AsyncClient(address, **settings) as client:
            found = action(client)
            if isinstance(found, AsyncGenerator):
                return [each async for each in found]
            return await found if isawaitable(found) else found

    return asyncio.run(ask())


@dataclass
class Clock:
    """A clock that only pauses move; it remembers them."""

    seconds: float = 1000.0
    step: float = 0.0
    chance: float = 0.0
    waited: list[float] = field(default_factory=list[float])

    @property
    def timing(self) -> Timing:
        """What a client takes its time from."""
        return Timing(
            now=self._now,
            date=lambda: 0.0,
            wait=self._wait,
            sleep=self._sleep,
            chance=lambda: self.chance,
        )

    def _now(self) -> float:
        self.seconds += self.step
        return self.seconds

    def _wait(self, stop: threading.Event, seconds: float) -> bool:
        self.waited.append(seconds)
        self.seconds += seconds
        return stop.is_set()

    async def _sleep(self, seconds: float) -> None:
        self._wait(threading.Event(), seconds)
