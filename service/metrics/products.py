"""Series of a catalogue that changes while it is served."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from service.metrics.series import counters
from service.products.outcomes import Operation, Outcome
from service.products.served import Counts

MERGE_RESULTS = ("merged", "superseded")
"""How a merge ends: it answers from then on, or another bundle answers by then."""
MERGE_EDGES = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class ProductSeries:
    """Counts changes of products, and shows how far the catalogue is from its bundle."""

    def __init__(self, registry: CollectorRegistry) -> None:
        changes = Counter(
            "surematch_product_changes",
            "Changes of products that were asked for, by what they do and what came of it.",
            ("operation", "outcome"),
            registry=registry,
        )
        self._changes = {
            (operation, outcome): changes.labels(operation, outcome)
            for operation in Operation
            for outcome in Outcome
        }
        self._make_catalogue_series(registry)
        self._make_merge_series(registry)

    def count_change(self, operation: Operation, outcome: Outcome) -> None:
        """Count one change that was asked for."""
        self._changes[operation, outcome].inc()

    def show(self, counts: Counts) -> None:
        """Show the catalogue that is served from now on."""
        self._fresh.set(counts.fresh)
        self._removed.set(counts.removed)
        self._pending.set(counts.pending)
        self._newer.set(counts.newer_ratio)

    def show_log(self, size: int) -> None:
        """Show the bytes of the log of changes."""
        self._log.set(size)

    def count_merge(self, result: str, seconds: float) -> None:
        """Count a merge that ended in one of `MERGE_RESULTS`."""
        self._merges[result].inc()
        self._merge_seconds.observe(seconds)

    def _make_catalogue_series(self, registry: CollectorRegistry) -> None:
        self._fresh = Gauge(
            "surematch_fresh_products",
            "Products searched beside the index, until they are merged into it.",
            registry=registry,
        )
        self._removed = Gauge(
            "surematch_removed_products",
            "Products in the index that are never answered: replaced, or deleted.",
            registry=registry,
        )
        self._pending = Gauge(
            "surematch_pending_products",
            "Products that were put and wait for the encoder of a bundle swapped in.",
            registry=registry,
        )
        self._newer = Gauge(
            "surematch_catalogue_newer_ratio",
            "Share of the products served that is newer than the calibration.",
            registry=registry,
        )
        self._log = Gauge(
            "surematch_changes_log_bytes",
            "Bytes of the log of changes; 0 where none is kept.",
            registry=registry,
        )

    def _make_merge_series(self, registry: CollectorRegistry) -> None:
        self._merges = counters(
            registry,
            "surematch_product_merges",
            "Merges of fresh products into the index, by how they ended.",
            label="result",
            values=MERGE_RESULTS,
        )
        self._merge_seconds = Histogram(
            "surematch_product_merge_duration_seconds",
            "Seconds that a merge took, beside the requests answered meanwhile.",
            buckets=MERGE_EDGES,
            registry=registry,
        )
