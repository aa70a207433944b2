"""How many tokens a batch may have: measured when an encoder warms up, less after it ran short."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

DEFAULT_TOKENS = 256
"""Before anything was measured; on a CPU throughput is flat above about 128 and memory is not."""
DEFAULT_RUN_TOKENS = 8.0
"""Before anything was measured; about what it is on a CPU."""
LEAST_TOKENS = 16
RECOVERY_SECONDS = 60.0
"""After the encoder ran out of memory, its budget is halved for so long."""
GOOD_ENOUGH = 0.95
"""Share of the best throughput at which a smaller budget, with its shorter wait, is preferred."""


class TokenBudget:
    """The most tokens of one batch, padding included; safe between threads.

    Attributes:
        tokens_per_second: throughput of one worker at this budget; None before it was measured.
        run_tokens: what a run costs besides its tokens, in tokens: padding below that is cheaper
            than another run.
    """

    def __init__(
        self, tokens: int = DEFAULT_TOKENS, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._tokens = tokens
        self._reduced = tokens
        self._until = 0.0
        self._clock = clock
        self.tokens_per_second: float | None = None
        self.run_tokens: float = DEFAULT_RUN_TOKENS

    @property
    def tokens(self) -> int:
        """Return the budget of the next batch."""
        if self._reduced < self._tokens and self._clock() >= self._until:
            self._reduced = self._tokens
        return self._reduced

    def set(self, tokens: int, *, speed: "Speed") -> None:
        """Replace the budget, with what was measured of the encoder."""
        self._tokens = self._reduced = tokens
        self.tokens_per_second = speed.tokens_per_second
        self.run_tokens = speed.run_tokens

    def halve(self) -> None:
        """Use half of it for a while, since the encoder ran out of memory."""
        self._reduced = max(LEAST_TOKENS, self._reduced // 2)
        self._until = self._clock() + RECOVERY_SECONDS


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast an encoder is, as far as batches are concerned.

    Attributes:
        budget: the smallest batch, in tokens, that comes near the best throughput.
        tokens_per_second: throughput at that batch.
        run_tokens: what a run costs besides its tokens, in tokens; at least 0.
    """

    budget: int
    tokens_per_second: float
    run_tokens: float


def speed_of(measured: Sequence[tuple[int, float]]) -> Speed:
    """Return what batches of several sizes tell of an encoder.

    Args:
        measured: (tokens of a batch, seconds it took), at least one.

    >>> speed_of([(16, 0.006), (64, 0.018), (128, 0.034), (256, 0.066)])
    Speed(budget=128, tokens_per_second=3764.7, run_tokens=8.0)
    """
    speeds = [(tokens, tokens / seconds) for tokens, seconds in sorted(measured)]
    best = max(speed for _, speed in speeds)
    budget, speed = next((t, speed) for t, speed in speeds if speed >= GOOD_ENOUGH * best)
    return Speed(budget, round(speed, 1), round(_run_tokens(measured), 1))


def _run_tokens(measured: Sequence[tuple[int, float]]) -> float:
    """Return intercept / slope of the line through the measured batches."""
    tokens, seconds = np.array(measured, dtype=np.float64).T
    if np.ptp(tokens) == 0:
        return DEFAULT_RUN_TOKENS
    slope, intercept = np.polyfit(tokens, seconds, 1)
    return max(0.0, float(intercept / slope)) if slope > 0 else DEFAULT_RUN_TOKENS
