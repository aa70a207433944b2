"""Series of the answers that are kept: how often they were of use, and what they take."""

from prometheus_client import CollectorRegistry, Counter, Gauge

from service.metrics.series import counters

CACHE_RESULTS = ("hit", "miss", "coalesced")
"""How a query met the cache; a coalesced one waits for the answer that another waits for."""


class CacheSeries:
    """Counts what the cache of answers does."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._asked = counters(
            registry,
            "surematch_cache_requests",
            "Queries looked up in the cache of answers, by what came of it.",
            label="result",
            values=CACHE_RESULTS,
        )
        self._bytes = Gauge(
            "surematch_cache_bytes",
            "Estimated bytes of the answers that are kept.",
            registry=registry,
        )
        self._entries = Gauge(
            "surematch_cache_entries", "Answers that are kept.", registry=registry
        )
        self._evictions = Counter(
            "surematch_cache_evictions", "Answers that had to make room.", registry=registry
        )

    def count_cache(self, result: str) -> None:
        """Count a query that met the cache with one of `CACHE_RESULTS`."""
        self._asked[result].inc()

    def show_cache(self, *, entries: int, size: int) -> None:
        """Show how many answers are kept from now on, and their bytes."""
        self._entries.set(entries)
        self._bytes.set(size)

    def count_evictions(self, entries: int) -> None:
        """Count answers that had to make room."""
        self._evictions.inc(entries)
