"""Series of batches: how large, how full, and when the newest one came to an end."""

import math
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from service.batching.formation import Release
from service.metrics.series import counters

SIZE_EDGES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 128, 256)
TOKEN_EDGES = (
    *(8, 16, 32, 64, 96, 128, 192, 256, 384, 512, 1024),
    *(2048, 4096, 8192, 16384, 32768),
)


class BatchSeries:
    """Counts batches; safe between threads."""

    def __init__(self, registry: CollectorRegistry, *, wall_clock: Callable[[], float]) -> None:
        self._wall_clock = wall_clock
        self._make_histograms(registry)
        self._make_counters(registry)
        self._last_end = Gauge(
            "surematch_last_batch_completed_timestamp_seconds",
            "When the newest batch came to an end, in Unix time; NaN before the first.",
            registry=registry,
        )
        self._last_end.set(math.nan)

    def observe_batch(
        self, texts: int, *, real_tokens: int, padded_tokens: int, release: str
    ) -> None:
        """Note a batch that came to an end just now.

        Args:
            texts: in the batch, at least 1.
            real_tokens: of these texts.
            padded_tokens: that the encoder ran on, padding included.
            release: why the batch was not made larger, a `Release`.
        """
        self._size.observe(texts)
        self._tokens.observe(real_tokens)
        self._padded_tokens.observe(padded_tokens)
        self._releases[release].inc()
        self._real.inc(real_tokens)
        self._padding.inc(padded_tokens - real_tokens)
        self._last_end.set(self._wall_clock())

    def _make_histograms(self, registry: CollectorRegistry) -> None:
        self._size = Histogram(
            "surematch_batch_size", "Texts of a batch.", buckets=SIZE_EDGES, registry=registry
        )
        self._tokens = Histogram(
            "surematch_batch_tokens",
            "Tokens of the texts of a batch, padding left out.",
            buckets=TOKEN_EDGES,
            registry=registry,
        )
        self._padded_tokens = Histogram(
            "surematch_batch_padded_tokens",
            "Tokens of a batch, padding included.",
            buckets=TOKEN_EDGES,
            registry=registry,
        )

    def _make_counters(self, registry: CollectorRegistry) -> None:
        self._releases = counters(
            registry,
            "surematch_batch_release",
            "Batches, by why they were not made larger.",
            label="reason",
            values=Release,
        )
        self._real = Counter(
            "surematch_real_tokens", "Tokens of texts in batches.", registry=registry
        )
        self._padding = Counter(
            "surematch_padding_tokens",
            "Tokens that batches had besides, to make all their texts of one length.",
            registry=registry,
        )
