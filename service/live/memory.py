"""Memory of bundles that are gone, back to the operating system.

A session or an index that is dropped frees its memory to the C library, and glibc keeps a good
part of that for itself. Trimming gives it back: ``docs/swap_memory.json`` has both figures.
"""

import asyncio
import ctypes
import weakref
from collections.abc import Callable
from concurrent.futures import Executor

from service.opening import OpenBundle

SECONDS_TO_THE_TRIM = 0.5
"""Python tells that an object goes just before its memory is free; by then it is."""


def trim_memory() -> bool:
    """Give free memory to the operating system; return False where the C library cannot."""
    try:
        trim = ctypes.CDLL(None).malloc_trim  # glibc has it, musl and macOS do not
    except AttributeError:
        return False
    trim.argtypes, trim.restype = [ctypes.c_size_t], ctypes.c_int
    trim(0)
    return True


class MemoryReturn:
    """Trims memory when it pays, in a thread; its methods are called on the event loop."""

    def __init__(
        self,
        executor: Executor,
        *,
        trim: Callable[[], object] = trim_memory,
        delay_seconds: float = SECONDS_TO_THE_TRIM,
    ) -> None:
        self._executor = executor
        self._trim = trim
        self._delay_seconds = delay_seconds
        self._due: asyncio.TimerHandle | None = None
        self._is_closed = False

    def when_gone(self, dropped: OpenBundle, *, kept: OpenBundle) -> None:
        """Trim once no request holds the index or the encoder of ``dropped`` any more.

        Args:
            dropped: a bundle that gets no further request.
            kept: one that goes on; an encoder that both share is not waited for.
        """
        loop = asyncio.get_running_loop()
        going: list[object] = [dropped.recommender.retriever]
        if dropped.recommender.encoder is not kept.recommender.encoder:
            going.append(dropped.recommender.encoder)
        for part in going:
            weakref.finalize(part, self._tell, loop).atexit = False

    def trim_soon(self) -> None:
        """Trim after the delay, once for all who ask until then."""
        if self._due is None:
            loop = asyncio.get_running_loop()
            self._due = loop.call_later(self._delay_seconds, self._trim_now)

    def close(self) -> None:
        """Trim no more."""
        self._is_closed = True
        if self._due is not None:
            self._due.cancel()

    def _trim_now(self) -> None:
        self._due = None
        if not self._is_closed:
            self._executor.submit(self._trim)

    def _tell(self, loop: asyncio.AbstractEventLoop) -> None:
        """Come back to the event loop, from whichever thread let go last."""
        if not self._is_closed and not loop.is_closed():
            loop.call_soon_threadsafe(self.trim_soon)
