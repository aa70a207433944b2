"""The rate limit of one key: a token bucket, counted in whole nanoseconds so that it is exact."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

SECOND = 10**9
"""Nanoseconds."""


class RateLimitError(Exception):
    """A key has asked as much as it may for now.

    Attributes:
        retry_after_seconds: whole seconds, at least 1, after which the same request passes if
            the key spends nothing in between.
    """

    def __init__(self, retry_after_seconds: int) -> None:
        message = f"this key has asked as much as it may; come back in {retry_after_seconds} s"
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True)
class RateLimit:
    """How much a key may ask.

    Attributes:
        queries_per_second: how fast the bucket fills, above 0.
        burst: how many queries the full bucket holds, at least 1.
    """

    queries_per_second: float
    burst: int

    @property
    def query_nanoseconds(self) -> int:
        """Return how long the bucket takes to earn one query, rounded up to a nanosecond."""
        return math.ceil(SECOND / Fraction(self.queries_per_second))


class TokenBucket:
    """Holds up to ``burst`` queries and fills continuously; it starts full.

    A body larger than the burst could never be paid from the bucket. It passes when the bucket is
    full and leaves it in debt, which must fill up before anything else passes; so no body that
    the service takes is refused for ever, and over time nobody gets more than the rate. In any
    stretch of time no more passes than the rate allows in it, and on top of that one burst, or
    the last body of the stretch where that is larger.

    A refusal costs nothing. Used from one thread.
    """

    def __init__(self, limit: RateLimit, *, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self.limit = limit
        self._clock = clock
        self._query = limit.query_nanoseconds
        # The one piece of state: when the bucket will be full if nothing more is taken.
        self._full_at = clock()

    def spend(self, queries: int) -> None:
        """Take so many queries out of the bucket.

        Raises:
            RateLimitError: if they are not in it yet.
        """
        now = self._clock()
        full_at = max(self._full_at, now)
        needed = min(queries, self.limit.burst)
        wait = full_at - now - (self.limit.burst - needed) * self._query
        if wait > 0:
            raise RateLimitError(math.ceil(Fraction(wait, SECOND)))
        self._full_at = full_at + queries * self._query
