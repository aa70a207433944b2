"""The bundle that answers, the one before it, and the way from one to the next."""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from service.contract.bundle import MANIFEST, open_bundle
from service.contract.errors import SurematchError
from service.contract.manifest import Manifest
from service.live.memory import MemoryReturn, trim_memory
from service.live.outcomes import (
    NoPreviousError,
    Refusal,
    RefusedError,
    SwapOutcome,
    SwapStatus,
)
from service.live.rounds import Round, Rounds
from service.opening import OpenBundle, open_bundle_to_serve

REFUSED = "refused"
"""The result of an opening that has no `SwapStatus`."""

logger = logging.getLogger(__name__)


class BundleOpener(Protocol):
    """Opens and checks a bundle; called in a thread."""

    def __call__(self, folder: Path, /, *, current: OpenBundle | None) -> OpenBundle:
        """Return the bundle in ``folder``, sharing with ``current`` what is the same."""
        ...


@dataclass(frozen=True)
class SwapHooks:
    """What the service does about a new bundle.

    Attributes:
        on_open: makes a bundle answer from now on; called on the event loop.
        may_serve: returns why a bundle cannot be served here, or None; called in a thread.
        warm_up: makes a bundle fast before its first request; called in a thread.
        on_end: told how each opening ended, a `SwapStatus` or `REFUSED`, and its seconds;
            called on the event loop, must not raise.
    """

    on_open: Callable[[OpenBundle], None]
    may_serve: Callable[[Manifest], str | None] = lambda _manifest: None
    warm_up: Callable[[OpenBundle], None] = lambda _new: None
    on_end: Callable[[str, float], None] = lambda _result, _seconds: None


class BundleKeeper:
    """Opens a bundle beside the one that answers, and swaps only what is whole.

    All methods are called on the event loop; opening is done in a thread. In memory are the
    bundle that answers, the one before it, and during an opening a third one.

    Attributes:
        current: the bundle that answers; None before the first one is open.
        previous: the bundle that a roll back brings back; None where there is none.
        last_refusal: the newest bundle that was not taken.
    """

    def __init__(
        self,
        hooks: SwapHooks,
        *,
        opener: BundleOpener = open_bundle_to_serve,
        trim: Callable[[], object] = trim_memory,
    ) -> None:
        self.current: OpenBundle | None = None
        self.previous: OpenBundle | None = None
        self.last_refusal: Refusal | None = None
        self._hooks = hooks
        self._opener = opener
        # one thread for all openings: glibc keeps memory apart for each thread that asks for it
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="open-bundle")
        self._memory = MemoryReturn(self._thread, trim=trim)
        self._rounds = Rounds(self._attempt, serving=self._serving)

    async def swap(self, folder: Path) -> SwapOutcome:
        """Answer from the bundle in ``folder``, unless a later request names another one.

        Requests that come while a bundle is being opened share the next opening, which is that
        of the newest of them. A caller that is cancelled cancels nothing for the others.

        Raises:
            RefusedError: if the bundle is not whole or may not be served.
        """
        return await self._rounds.ask(folder.resolve())  # one bundle, however it is spelt

    async def roll_back(self) -> SwapOutcome:
        """Answer from the previous bundle again; what is being opened will not be served.

        Afterwards there is no previous bundle, so that a call which is sent twice by mistake
        does not bring the bad one back.

        Raises:
            NoPreviousError: if there is no previous bundle.
        """
        started = time.perf_counter()
        left, back = self.current, self.previous
        if left is None or back is None:
            message = "no earlier bundle is in memory to roll back to; swap to one by its name"
            raise NoPreviousError(message)
        self._hooks.on_open(back)
        self.current, self.previous = back, None
        self._rounds.overrule()
        self._memory.when_gone(left, kept=back)
        bundle_id = back.manifest.bundle_id
        facts = {"bundle_id": bundle_id, "left": left.manifest.bundle_id}
        logger.info("bundle rolled back", extra=facts)
        return SwapOutcome(SwapStatus.SWAPPED, bundle_id, time.perf_counter() - started)

    def close(self) -> None:
        """Open nothing more; requests that wait for a bundle are refused."""
        self._rounds.close()
        self._memory.close()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _serving(self) -> str | None:
        return None if self.current is None else self.current.manifest.bundle_id

    async def _attempt(self, asked: Round) -> SwapOutcome | str:
        """Return how the opening of a round's target ended, or why it was refused."""
        started = time.perf_counter()
        try:
            status = await self._open(asked)
        except SurematchError as error:
            return self._refuse(asked.target, str(error), started=started)
        except Exception as error:  # whatever it is, callers must know, and the old one serves on
            reason = (
                f"{asked.target} cannot be opened ({type(error).__name__}: {error}); see the log"
            )
            return self._refuse(asked.target, reason, started=started, is_bug=True)
        seconds = time.perf_counter() - started
        self._hooks.on_end(status, seconds)
        return SwapOutcome(status, self._serving() or "", seconds)

    async def _open(self, asked: Round) -> SwapStatus:
        if asked.is_overruled:
            return SwapStatus.SUPERSEDED
        loop = asyncio.get_running_loop()
        new = await loop.run_in_executor(self._thread, self._opened, asked.target, self.current)
        if asked.is_overruled:
            self._memory.trim_soon()
            return SwapStatus.SUPERSEDED
        if new is None:
            return SwapStatus.UNCHANGED
        self._put_in_place(new)
        return SwapStatus.SWAPPED

    def _opened(self, folder: Path, current: OpenBundle | None) -> OpenBundle | None:
        """Return a bundle that is ready to answer, or None if it is the current one.

        Raises:
            BundleError: if it is not whole, or may not be served.
        """
        if current is not None and _is_same(folder, current.manifest):
            open_bundle(folder)  # a damaged copy is refused, though nothing would be read from it
            return None
        new = self._opener(folder, current=current)
        if reason := self._hooks.may_serve(new.manifest):
            raise RefusedError(reason)
        self._hooks.warm_up(new)
        return new

    def _put_in_place(self, new: OpenBundle) -> None:
        self._hooks.on_open(new)
        dropped, self.previous, self.current = self.previous, self.current, new
        if dropped is not None:
            self._memory.when_gone(dropped, kept=new)
        self._memory.trim_soon()
        facts = {
            "bundle_id": new.manifest.bundle_id,
            "products": new.manifest.catalogue.products,
            "threshold": new.manifest.threshold,
            "previous": None if self.previous is None else self.previous.manifest.bundle_id,
        }
        logger.info("bundle opened", extra=facts)

    def _refuse(self, folder: Path, reason: str, *, started: float, is_bug: bool = False) -> str:
        self.last_refusal = Refusal(folder, reason, datetime.now(UTC))
        self._memory.trim_soon()
        self._hooks.on_end(REFUSED, time.perf_counter() - started)
        level = logging.ERROR if is_bug or self.current is None else logging.WARNING
        facts = {"bundle": str(folder), "reason": reason}
        logger.log(level, "bundle refused", exc_info=is_bug, extra=facts)
        return reason


def _is_same(folder: Path, manifest: Manifest) -> bool:
    """Return whether a bundle has this very manifest, and with it the digest of every file."""
    try:
        return (folder / MANIFEST).read_bytes() == manifest.to_bytes()
    except OSError:
        return False  # opening it says what is wrong
