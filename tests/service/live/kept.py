"""A keeper with a small service around it, and an opener whose doors a test holds shut."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from service.live.keeper import BundleKeeper, BundleOpener, SwapHooks
from service.live.outcomes import SwapStatus
from service.opening import OpenBundle, open_bundle_to_serve

QUERY = "canon eos r6 body"
SWAPPED, UNCHANGED, SUPERSEDED = SwapStatus.SWAPPED, SwapStatus.UNCHANGED, SwapStatus.SUPERSEDED
Hook = Callable[[Any], Any]


class Service:
    """What stands around a keeper: the bundle that answers, and how each opening ended.

    A test may set a hook of its own under the name it has in `SwapHooks`, and take it away.
    """

    def __init__(self, opener: BundleOpener = open_bundle_to_serve, **hooks: Hook) -> None:
        self.answers: OpenBundle | None = None
        self.ends: list[str] = []
        self.threads: list[str] = []
        self.trimmed = threading.Event()
        self.hooks = hooks
        mine = SwapHooks(
            on_open=self._open,
            may_serve=lambda manifest: self._own("may_serve", manifest),
            warm_up=lambda new: self._own("warm_up", new),
            on_end=lambda end, _: self.ends.append(end),
        )
        self.keeper = BundleKeeper(mine, opener=opener, trim=self.trimmed.set)

    @property
    def bundle_id(self) -> str | None:
        """The bundle that answers, which the keeper must agree with."""
        current = self.keeper.current
        assert current is self.answers
        return None if current is None else current.manifest.bundle_id

    def best_product(self) -> str:
        """The answer to a query at this moment."""
        assert self.answers is not None
        return self.answers.recommender.recommend([QUERY])[0].recommendations[0].product_id

    def _open(self, new: OpenBundle) -> None:
        self.threads.append(threading.current_thread().name)
        self._own("on_open", new)
        self.answers = new

    def _own(self, name: str, argument: object) -> Any:
        return self.hooks[name](argument) if name in self.hooks else None


class Doors:
    """Opens real bundles, each once a test lets it."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.reached: dict[str, threading.Event] = {}
        self.open: dict[str, threading.Event] = {}

    def close(self, *names: str) -> None:
        for name in names:
            self.reached[name], self.open[name] = threading.Event(), threading.Event()

    def __call__(self, folder: Path, *, current: OpenBundle | None) -> OpenBundle:
        self.opened.append(folder.name)
        if folder.name in self.open:
            self.reached[folder.name].set()
            assert self.open[folder.name].wait(20)
        return open_bundle_to_serve(folder, current=current)

    async def until_reached(self, name: str) -> None:
        assert await asyncio.to_thread(self.reached[name].wait, 20)


@asynccontextmanager
async def serving(
    first: Path, opener: BundleOpener = open_bundle_to_serve, **hooks: Hook
) -> AsyncGenerator[Service]:
    """Yield a service that answers from ``first``."""
    service = Service(opener, **hooks)
    try:
        await service.keeper.swap(first)
        yield service
    finally:
        service.keeper.close()


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 60))


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)
