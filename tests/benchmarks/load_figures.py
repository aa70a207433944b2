"""What a run of the load generator adds up to."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

ANSWERED = "200"
REFUSED = "429"
GOOD_SECONDS = 1.0
"""An answer counts as good if it is there so long after the moment its request was due."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and what became of it; seconds since the run began.

    Attributes:
        due: when it was to be sent; in a closed loop that is when it was sent.
        sent: when it was sent.
        done: when its answer was complete, or when it was given up.
        outcome: the status, or in words why there is none.
    """

    due: float
    sent: float
    done: float
    outcome: str

    @property
    def seconds(self) -> float:
        """Return how long a caller waited, from the moment the request was due."""
        return self.done - self.due


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Milliseconds that so many per cent of the requests took at most; each was observed."""

    p50: float
    p95: float
    p99: float
    longest: float


@dataclass(frozen=True, slots=True)
class Figures:
    """What one run measured.

    Attributes:
        seconds: from the first request to the last answer.
        outcomes: number of requests by status, or by what went wrong.
        queries_per_second: queries answered over ``seconds``.
        good_per_second: queries answered within `GOOD_SECONDS` while load was offered, a second.
        answered_ms: how long answers took; None if there was none.
        refused_ms: how long refusals took; None if there was none.
        late_ms: how long after it was due a request was sent, which is part of its time.
    """

    seconds: float
    outcomes: dict[str, int]
    queries_per_second: float
    good_per_second: float
    answered_ms: Quantiles | None
    refused_ms: Quantiles | None
    late_ms: Quantiles | None


def quantiles_ms(seconds: Sequence[float]) -> Quantiles | None:
    """Return the quantiles of durations, in milliseconds; None where there are none."""
    if not seconds:
        return None
    found = np.percentile(np.asarray(seconds), (50, 95, 99, 100), method="inverted_cdf")
    return Quantiles(*(round(1000 * float(value), 3) for value in found))


def add_up(
    exchanges: Sequence[Exchange], *, queries_a_body: int, offered_seconds: float | None = None
) -> Figures:
    """Return the figures of a run.

    Args:
        exchanges: every request of it, in any order.
        queries_a_body: how many queries each of them asked.
        offered_seconds: how long an open loop offered load; None for a closed one, which
            counts to its end.
    """
    answered = [one for one in exchanges if one.outcome == ANSWERED]
    begun = min((one.due for one in exchanges), default=0.0)
    seconds = max((one.done for one in exchanges), default=0.0) - begun
    offered = offered_seconds or seconds
    # what is answered later was queued, which a steady state would not be spared
    good = [one for one in answered if one.seconds <= GOOD_SECONDS and one.done - begun <= offered]
    return Figures(
        seconds=round(seconds, 3),
        outcomes=dict(sorted(Counter(one.outcome for one in exchanges).items())),
        queries_per_second=_rate(len(answered) * queries_a_body, seconds),
        good_per_second=_rate(len(good) * queries_a_body, offered),
        answered_ms=quantiles_ms([one.seconds for one in answered]),
        refused_ms=quantiles_ms([one.seconds for one in exchanges if one.outcome == REFUSED]),
        late_ms=quantiles_ms([one.sent - one.due for one in exchanges]),
    )


def _rate(number: int, seconds: float) -> float:
    return round(number / seconds, 2) if seconds > 0 else 0.0
