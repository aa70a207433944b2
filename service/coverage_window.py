"""The accepted share of the queries of the last while, in bounded memory."""

import math
import time
from collections.abc import Callable

SLOTS = 300
"""Parts of a window; a query leaves it at most one part early."""


class CoverageWindow:
    """Counts of asked and accepted queries in a window that slides a part at a time.

    A query is counted for at least ``seconds`` less one part, and never after ``seconds``.
    """

    def __init__(
        self, *, seconds: float, slots: int = SLOTS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._slot_seconds = seconds / slots
        self._slots = slots
        self._clock = clock
        self._asked = [0] * slots
        self._accepted = [0] * slots
        self._newest = self._now()

    def add(self, *, asked: int, accepted: int) -> None:
        """Count queries that were answered just now."""
        slot = self._advance()
        self._asked[slot] += asked
        self._accepted[slot] += accepted

    def ratio(self) -> float:
        """Return accepted / asked in [0, 1], or NaN where nothing was asked in the window."""
        self._advance()
        asked = sum(self._asked)
        return sum(self._accepted) / asked if asked else math.nan

    def _advance(self) -> int:
        """Empty the slots that time has passed over; return the one that is filled now."""
        now = self._now()
        oldest_kept = max(self._newest, now - self._slots)
        for passed in range(oldest_kept + 1, now + 1):
            self._asked[passed % self._slots] = 0
            self._accepted[passed % self._slots] = 0
        self._newest = max(self._newest, now)
        return self._newest % self._slots

    def _now(self) -> int:
        return math.floor(self._clock() / self._slot_seconds)
