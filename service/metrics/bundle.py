"""Series of the bundle that answers, and of the ways from one bundle to the next."""

import math
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge, Histogram

from service.contract.bundle import INDEX
from service.contract.manifest import Manifest
from service.metrics.series import counters

SWAPPED = "swapped"
SWAP_RESULTS = (SWAPPED, "unchanged", "superseded", "refused", "rolled_back")
SWAP_EDGES = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0)
SHA_DIGITS = 12


class BundleSeries:
    """Shows which bundle answers, and counts what became of others."""

    def __init__(self, registry: CollectorRegistry, *, wall_clock: Callable[[], float]) -> None:
        self._wall_clock = wall_clock
        self._bundle_info = Gauge(
            "surematch_bundle_info",
            "1 for the bundle that answers now; none until it is open.",
            ("bundle_id",),
            registry=registry,
        )
        self._make_index_series(registry)
        self._make_swap_series(registry)

    def show(self, manifest: Manifest, *, generation: int) -> None:
        """Show the bundle that answers from now on, which is the ``generation``-th one."""
        sha = manifest.files[INDEX].sha256[:SHA_DIGITS]
        index = (str(generation), manifest.catalogue.index, str(manifest.encoder.dim), sha)
        for info, labels in (
            (self._bundle_info, (manifest.bundle_id,)),
            (self._index_info, index),
        ):
            info.clear()
            info.labels(*labels).set(1)
        self._vectors.set(manifest.catalogue.products)
        self._loaded.set(self._wall_clock())

    def count_swap(self, result: str, seconds: float) -> None:
        """Count a request for another bundle that ended in one of `SWAP_RESULTS`.

        Args:
            result: what became of it.
            seconds: how long that took; shown of swaps only, since the others open nothing, or
                not to the end.
        """
        self._swaps[result].inc()
        if result == SWAPPED:
            self._swap_seconds.observe(seconds)

    def _make_index_series(self, registry: CollectorRegistry) -> None:
        self._index_info = Gauge(
            "surematch_index_info",
            "1 for the index that is searched now; none until its bundle is open.",
            ("generation", "type", "dim", "sha"),
            registry=registry,
        )
        self._vectors = Gauge(
            "surematch_index_vectors",
            "Products in the index that is searched now; NaN until its bundle is open.",
            registry=registry,
        )
        self._loaded = Gauge(
            "surematch_index_loaded_timestamp_seconds",
            "When that index began to answer, in Unix time; NaN until its bundle is open.",
            registry=registry,
        )
        self._vectors.set(math.nan)
        self._loaded.set(math.nan)

    def _make_swap_series(self, registry: CollectorRegistry) -> None:
        self._swaps = counters(
            registry,
            "surematch_bundle_swaps",
            "Requests to answer from another bundle, the first one included, by what came of it.",
            label="result",
            values=SWAP_RESULTS,
        )
        self._swap_seconds = Histogram(
            "surematch_bundle_swap_duration_seconds",
            "Seconds that it took to open, check and warm up a bundle that was swapped in.",
            buckets=SWAP_EDGES,
            registry=registry,
        )
