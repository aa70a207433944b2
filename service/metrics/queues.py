"""Series of the queue: what waits, as it is when Prometheus looks."""

from collections.abc import Callable, Mapping
from functools import partial

from prometheus_client import CollectorRegistry, Gauge

from service.batching.work import Lane
from service.metrics.series import gauges

Depths = Callable[[], Mapping[Lane, tuple[int, int]]]
"""Returns, for each lane, its requests and its tokens."""


class QueueSeries:
    """Shows one queue; 0 everywhere until there is one."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = gauges(
            registry,
            "surematch_queue_requests",
            "Bodies that wait or are being answered, by lane.",
            label="lane",
            values=Lane,
        )
        self._tokens = gauges(
            registry,
            "surematch_queue_tokens",
            "Tokens that wait for a worker, by lane.",
            label="lane",
            values=Lane,
        )
        self._oldest_age = Gauge(
            "surematch_queue_oldest_age_seconds",
            "Seconds that the text next in line has waited; 0 while none waits.",
            registry=registry,
        )

    def watch_queue(self, depths: Depths, oldest_age: Callable[[], float]) -> None:
        """Show another queue from now on.

        Args:
            depths: returns the requests and the tokens of each lane.
            oldest_age: returns the seconds that the text next in line has waited.
        """
        for lane in Lane:
            self._requests[lane].set_function(partial(_requests, depths, lane))
            self._tokens[lane].set_function(partial(_tokens, depths, lane))
        self._oldest_age.set_function(oldest_age)


def _requests(depths: Depths, lane: Lane) -> float:
    return depths()[lane][0]


def _tokens(depths: Depths, lane: Lane) -> float:
    return depths()[lane][1]
