"""What the batcher and the cache tell, as metrics."""

from collections.abc import Sequence
from typing import Any

from service.batching.formation import Batch
from service.metrics import Metrics
from service.products.served import Served
from service.recommender import StageClock


class BatchMetrics:
    """Counts batches; called in worker threads."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def batch_done(self, batch: Batch[Any, Any], clock: StageClock) -> None:
        """Count a batch with the seconds of its stages."""
        self._metrics.observe_batch(
            len(batch.works),
            real_tokens=batch.real_tokens,
            padded_tokens=batch.padded_tokens,
            release=batch.release,
        )
        self._metrics.time_stages(clock.seconds)

    def text_failed(self) -> None:
        """Count a text that an engine raised on."""
        self._metrics.count_encoder_failure("runtime", was_together=True)

    def worker_restarted(self) -> None:
        """Count a worker that was given up."""
        self._metrics.count_restart()

    def tokenised(self, lengths: Sequence[int]) -> None:
        """Count the tokens of texts."""
        self._metrics.observe_tokens(lengths)

    def missed(self) -> None:
        """Count a query that is answered anew."""
        self._metrics.count_cache("miss")

    def coalesced(self) -> None:
        """Count a query that waits for the answer of another one."""
        self._metrics.count_cache("coalesced")


class CacheMetrics:
    """Counts what the cache does."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def cache_hit(self) -> None:
        """Count a query whose answer was kept."""
        self._metrics.count_cache("hit")

    def cache_holds(self, *, entries: int, size: int) -> None:
        """Show what the cache holds."""
        self._metrics.show_cache(entries=entries, size=size)

    def cache_evicted(self, entries: int) -> None:
        """Count answers that made room."""
        self._metrics.count_evictions(entries)


class ProductMetrics:
    """Shows the catalogue that is served, and what its changes take."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def products_served(self, served: Served) -> None:
        """Show how far the catalogue is from its bundle."""
        self._metrics.show_products(served.counts)

    def changes_kept(self, size: int) -> None:
        """Show the bytes of the log."""
        self._metrics.show_changes_log(size)

    def products_merged(self, result: str, seconds: float) -> None:
        """Count a merge."""
        self._metrics.count_merge(result, seconds)
