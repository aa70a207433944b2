"""Prometheus metrics of one app, in a registry of their own; every series exists from the start."""

import math
import time
from collections.abc import Callable, Mapping, Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from service.contract.decision import Decision, Reason
from service.contract.manifest import Manifest
from service.coverage_window import CoverageWindow
from service.recommender import Answer

WINDOWS: Mapping[str, float] = {"5m": 300.0, "1h": 3600.0, "1d": 86400.0}
STAGES = ("tokenise", "queue", "encode", "search", "decide")
REJECTIONS: Mapping[int, str] = {413: "payload", 429: "queue_requests", 503: "not_ready"}
"""Statuses of `/recommend` that mean it refused a body before any work on it, and why."""
ROUTES: Mapping[str, str] = {
    "/recommend": "POST",
    "/livez": "GET",
    "/readyz": "GET",
    "/info": "GET",
    "/metrics": "GET",
    "/docs": "GET",
    "/docs/{file}": "GET",
    "/openapi.json": "GET",
}
"""Template and method of each route; whatever matches none of them counts as `UNMATCHED`."""
UNMATCHED = "unmatched"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
CODES: Mapping[str, Sequence[int]] = {
    "/recommend": (200, 400, 413, 422, 429, 500, 503),
    "/readyz": (200, 503),
    "/info": (200, 503),
    "/docs/{file}": (200, 404),
    UNMATCHED: (404,),
}
"""Codes that a route gives; one that is not named here gives 200."""
SIMILARITY_EDGES = tuple(round(0.05 * step, 2) for step in range(21))
REQUEST_EDGES = (
    *(0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.075),
    *(0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0),
)
STAGE_EDGES = (
    *(0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075),
    *(0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 1.0),
)


class Metrics:
    """Counts what one app answers; read by Prometheus through `render`."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        disable_created_metrics()  # they double the series and say when this process started
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._windows = {
            name: CoverageWindow(seconds=seconds, clock=clock) for name, seconds in WINDOWS.items()
        }
        self._make_decision_metrics()
        self._make_bundle_metrics()
        self._make_http_metrics()

    def count_answers(self, answers: Sequence[Answer]) -> None:
        """Count queries that were answered, each exactly once."""
        accepted = 0
        for answer in answers:
            accepted += answer.decision is Decision.AUTO_ACCEPTED
            self._recommendations[answer.reason].inc()
            self.encoder_failures.inc(answer.reason is Reason.ENCODER_FAILED)
            self.truncated.inc(answer.truncated)
            if answer.similarity is not None:
                self.top_similarity.observe(answer.similarity)
        for window in self._windows.values():
            window.add(asked=len(answers), accepted=accepted)

    def time_stages(self, seconds: Mapping[str, float]) -> None:
        """Note the seconds that each stage of one body took."""
        for stage, taken in seconds.items():
            self.stage_duration.labels(stage).observe(taken)

    def count_request(self, route: str, method: str, *, status: int, seconds: float) -> None:
        """Count one HTTP request; an unusual method counts as ``other``."""
        known = method if method in METHODS else "other"
        self.http_requests.labels(route, known, status).inc()
        self.request_duration.labels(route).observe(seconds)
        if route == "/recommend" and status in REJECTIONS:
            self.admission_rejected.labels(REJECTIONS[status]).inc()

    def show_bundle(self, manifest: Manifest) -> None:
        """Show which bundle answers from now on, and what it promises."""
        point = manifest.operating_point
        self.bundle_info.clear()
        self.bundle_info.labels(manifest.bundle_id).set(1)
        self.threshold.set(math.nan if point is None else point.threshold)
        self.calibrated_coverage.set(0.0 if point is None else point.coverage)

    def render(self) -> bytes:
        """Return every metric in Prometheus's text format."""
        return generate_latest(self.registry)

    def _make_decision_metrics(self) -> None:
        recommendations = Counter(
            "surematch_recommendations",
            "Queries answered, by decision and its reason.",
            ("decision", "reason"),
            registry=self.registry,
        )
        self._recommendations = {
            reason: recommendations.labels(reason.decision, reason) for reason in Reason
        }
        self.top_similarity = Histogram(
            "surematch_top_similarity",
            "Cosine similarity of a query's best product; negative ones fall in the first bucket.",
            buckets=SIMILARITY_EDGES,
            registry=self.registry,
        )
        coverage = Gauge(
            "surematch_coverage_ratio",
            "Auto-accepted share of the queries answered in the window; NaN while there are none.",
            ("window",),
            registry=self.registry,
        )
        for name, window in self._windows.items():
            coverage.labels(name).set_function(window.ratio)
        self.truncated = self._counter(
            "surematch_truncated", "Queries whose text was cut at the model's longest input."
        )
        self.encoder_failures = self._counter(
            "surematch_encoder_failures", "Queries that the encoder failed on."
        )

    def _make_bundle_metrics(self) -> None:
        self.bundle_info = Gauge(
            "surematch_bundle_info",
            "1 for the bundle that answers now; none until it is open.",
            ("bundle_id",),
            registry=self.registry,
        )
        self.threshold = Gauge(
            "surematch_threshold_similarity",
            "Least similarity that is accepted; NaN where the bundle has no threshold.",
            registry=self.registry,
        )
        self.calibrated_coverage = Gauge(
            "surematch_calibrated_coverage_ratio",
            "Accepted share of the calibration queries; 0 without a threshold, NaN until ready.",
            registry=self.registry,
        )
        self.threshold.set(math.nan)
        self.calibrated_coverage.set(math.nan)

    def _make_http_metrics(self) -> None:
        self.http_requests = Counter(
            "surematch_http_requests",
            "HTTP requests by route template, method and status code.",
            ("route", "method", "code"),
            registry=self.registry,
        )
        self.request_duration = Histogram(
            "surematch_request_duration_seconds",
            "Seconds from the head of a request to the end of its answer.",
            ("route",),
            buckets=REQUEST_EDGES,
            registry=self.registry,
        )
        self.stage_duration = Histogram(
            "surematch_stage_duration_seconds",
            "Seconds that a stage of answering one body took.",
            ("stage",),
            buckets=STAGE_EDGES,
            registry=self.registry,
        )
        self.admission_rejected = Counter(
            "surematch_admission_rejected",
            "Bodies refused before any work on them, by reason.",
            ("reason",),
            registry=self.registry,
        )
        self.requests_in_flight = Gauge(
            "surematch_requests_in_flight",
            "HTTP requests that are being answered now, this one included.",
            registry=self.registry,
        )
        self._create_series()

    def _create_series(self) -> None:
        for route, method in {**ROUTES, UNMATCHED: "GET"}.items():
            self.request_duration.labels(route)
            for code in CODES.get(route, (200,)):
                self.http_requests.labels(route, method, code)
        for stage in STAGES:
            self.stage_duration.labels(stage)
        for reason in REJECTIONS.values():
            self.admission_rejected.labels(reason)

    def _counter(self, name: str, documentation: str) -> Counter:
        return Counter(name, documentation, registry=self.registry)
