"""Who may wait: limits in requests and in tokens, and when one that is refused may come back."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from service.batching.work import Lane

NEWEST_SHARE = 0.1
"""Weight of the newest batch in the running mean of tokens per second."""


class Refusal(StrEnum):
    """Why a request may not wait."""

    QUEUE_REQUESTS = "queue_requests"
    QUEUE_TOKENS = "queue_tokens"
    DEADLINE = "deadline"
    STREAMS = "streams"
    STOPPED = "draining"


class BusyError(Exception):
    """A request may not wait; the caller should come back later.

    Attributes:
        reason: which limit it met.
        retry_after_seconds: whole seconds until the work at hand should be done, at least 1.
    """

    def __init__(self, reason: Refusal, retry_after_seconds: int) -> None:
        super().__init__(f"too many requests wait ({reason}); come back in {retry_after_seconds} s")
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True)
class QueueLimits:
    """How much may wait; a lane that is empty takes any one request, however large.

    Attributes:
        requests: under way in each lane.
        tokens: that wait in a lane.
        seconds: in which what waits in a lane should be done; a lane not named has no such bound.
    """

    requests: int
    tokens: Mapping[Lane, int]
    seconds: Mapping[Lane, float] = field(default_factory=dict[Lane, float])


class Speed:
    """Tokens per second that one worker gets done, as a running mean over its batches."""

    def __init__(self, tokens_per_second: float) -> None:
        self._rate = tokens_per_second

    @property
    def tokens_per_second(self) -> float:
        """Return the mean of one worker; above 0."""
        return self._rate

    def set(self, tokens_per_second: float) -> None:
        """Start anew from what was measured, for another encoder."""
        self._rate = tokens_per_second

    def learn(self, *, tokens: int, seconds: float) -> None:
        """Count one batch."""
        if seconds > 0 and tokens > 0:
            self._rate += NEWEST_SHARE * (tokens / seconds - self._rate)

    def seconds_for(self, tokens: int, *, workers: int) -> float:
        """Return the seconds in which all workers should get ``tokens`` done."""
        return tokens / (self._rate * workers)


def whole_seconds(seconds: float) -> int:
    """Return a ``Retry-After``: whole seconds, at least 1."""
    return max(1, math.ceil(seconds))
