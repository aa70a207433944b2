"""Series of the index's recall on live queries, as the recall probe finds it."""

import math
from collections import deque

from prometheus_client import CollectorRegistry, Gauge

from service.metrics.series import counters

PROBE_RESULTS = ("compared", "dropped")
WINDOW = 200
"""Comparisons that the ratio is an average of."""


class RecallSeries:
    """Shows the recall of the index that answers; each bundle begins anew."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._recent: deque[float] = deque(maxlen=WINDOW)
        self._probes = counters(
            registry,
            "surematch_index_recall_probes",
            "Searches that were to be compared with exact ones; dropped where too many waited.",
            label="result",
            values=PROBE_RESULTS,
        )
        self._ratio = Gauge(
            "surematch_index_recall_probe_ratio",
            "Found share of the ten nearest products in the last 200 comparisons; NaN without any.",
            registry=registry,
        )
        self.begin()

    def begin(self) -> None:
        """Forget the comparisons of another index."""
        self._recent.clear()
        self._ratio.set(math.nan)

    def count_compared(self, recall: float) -> None:
        """Count one comparison; called by one thread."""
        self._probes["compared"].inc()
        self._recent.append(recall)
        recent = [*self._recent]
        self._ratio.set(sum(recent) / len(recent) if recent else math.nan)

    def count_dropped(self) -> None:
        """Count a search that was not compared."""
        self._probes["dropped"].inc()
