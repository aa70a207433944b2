"""All metrics of one app behind one object: what an app calls, and what Prometheus reads."""

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, disable_created_metrics, generate_latest

from service.contract.manifest import Manifest
from service.metrics.admission import AdmissionSeries
from service.metrics.batching import BatchSeries
from service.metrics.bundle import BundleSeries
from service.metrics.cache import CacheSeries
from service.metrics.decisions import DecisionSeries
from service.metrics.health import HealthSeries
from service.metrics.http_requests import HttpSeries
from service.metrics.process import add_process_series
from service.metrics.products import ProductSeries
from service.metrics.promises import PromiseSeries
from service.metrics.queues import QueueSeries
from service.metrics.recall import RecallSeries
from service.metrics.stages import StageSeries


class Metrics:
    """Counts what one app does; read by Prometheus through `render`.

    Each part owns some series and the methods that count them; the methods are gathered here, so
    that whoever counts something need not know whose it is.

    Attributes:
        registry: every series, and nothing of another app.
        requests_in_flight: requests that are being answered now.
        streams_in_flight: of these, the streams of lines.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """Make every series.

        Args:
            clock: monotonic seconds, for the windows of coverage.
            wall_clock: Unix time in seconds, for ages and timestamps.
        """
        disable_created_metrics()  # they double the series and say when this process started
        self.registry = CollectorRegistry()
        add_process_series(self.registry)
        self._gather_requests()
        self._gather_queries(clock)
        self._gather_work(wall_clock)
        self._bundle = BundleSeries(self.registry, wall_clock=wall_clock)
        self.count_swap = self._bundle.count_swap
        products = ProductSeries(self.registry)
        self.count_product_change = products.count_change
        self.show_products = products.show
        self.show_changes_log = products.show_log
        self.count_merge = products.count_merge
        self._promises = PromiseSeries(self.registry, wall_clock=wall_clock)
        self._recall = RecallSeries(self.registry)
        self.count_recall = self._recall.count_compared
        self.count_probe_dropped = self._recall.count_dropped

    def show_bundle(self, manifest: Manifest, *, generation: int) -> None:
        """Show which bundle answers from now on, and what it promises.

        Args:
            manifest: of the bundle.
            generation: 1 for the first bundle of this process, then counted up.
        """
        self._bundle.show(manifest, generation=generation)
        self._promises.show(manifest)
        self._recall.begin()
        self._decisions.expect_targets(manifest.target_precisions)

    def render(self) -> bytes:
        """Return every metric in Prometheus's text format."""
        return generate_latest(self.registry)

    def _gather_requests(self) -> None:
        http = HttpSeries(self.registry)
        self.requests_in_flight = http.requests_in_flight
        self.streams_in_flight = http.streams_in_flight
        self.count_request = http.count_request
        self.count_stream_lines = http.count_stream_lines
        self.count_embeddings = http.count_embeddings
        admission = AdmissionSeries(self.registry)
        self.count_rejection = admission.count_rejection
        self.count_cancelled = admission.count_cancelled
        self.count_deadline = admission.count_deadline

    def _gather_queries(self, clock: Callable[[], float]) -> None:
        self._decisions = DecisionSeries(self.registry, clock=clock)
        self.count_answers = self._decisions.count_answers
        self.observe_tokens = self._decisions.observe_tokens
        self.time_stages = StageSeries(self.registry).time_stages
        cache = CacheSeries(self.registry)
        self.count_cache = cache.count_cache
        self.show_cache = cache.show_cache
        self.count_evictions = cache.count_evictions

    def _gather_work(self, wall_clock: Callable[[], float]) -> None:
        self.watch_queue = QueueSeries(self.registry).watch_queue
        self.observe_batch = BatchSeries(self.registry, wall_clock=wall_clock).observe_batch
        health = HealthSeries(self.registry)
        self.count_encoder_failure = health.count_encoder_failure
        self.count_restart = health.count_restart
        self.watch_progress = health.watch_progress
        self.watch_ready = health.watch_ready
