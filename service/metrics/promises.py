"""Series of what the bundle that answers promises: its operating points and their evidence."""

import math
from collections.abc import Callable
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.utils import floatToGoString

from service.contract.manifest import Calibration, Manifest, OperatingPoint
from service.contract.signals import DecidesOn
from service.contract.similarities import EDGES
from service.metrics.decisions import NO_TARGET


class PromiseSeries:
    """Shows the promises of one bundle at a time."""

    def __init__(self, registry: CollectorRegistry, *, wall_clock: Callable[[], float]) -> None:
        self._wall_clock = wall_clock
        self._make_default_series(registry)
        self._make_evidence_series(registry)
        self._make_series_of_each(registry)
        self._make_similarity_series(registry)

    def show(self, manifest: Manifest) -> None:
        """Show what is promised from now on."""
        is_score = manifest.decides_on is DecidesOn.SCORE
        self._threshold.set(math.nan if is_score else _threshold_of(manifest.operating_point))
        self._score.set(_threshold_of(manifest.operating_point) if is_score else math.nan)
        self._coverage.set(manifest.coverage_at(None))
        self._valid.set(manifest.operating_point is not None)
        self._size.set(manifest.calibration.queries)
        made = _unix_time_of(manifest.created_at)
        self._age.set_function(lambda: self._wall_clock() - made)
        self._threshold_at.clear()
        self._coverage_at.clear()
        self._score_at.clear()
        for promise in manifest.calibration.promises:
            target = promise.target_precision
            threshold = _threshold_of(promise.operating_point)
            self._threshold_at.labels(str(target)).set(math.nan if is_score else threshold)
            self._score_at.labels(str(target)).set(threshold if is_score else math.nan)
            self._coverage_at.labels(str(target)).set(manifest.coverage_at(target))
        self._show_similarities(manifest.calibration)

    def _show_similarities(self, calibration: Calibration) -> None:
        counted = calibration.top_similarity
        shares = counted.shares_up_to_edges() if counted else {}
        self._similarities.clear()
        for edge, share in (shares or dict.fromkeys(EDGES, math.nan)).items():
            self._similarities.labels(floatToGoString(edge)).set(share)

    def _make_default_series(self, registry: CollectorRegistry) -> None:
        self._threshold = Gauge(
            "surematch_threshold_similarity",
            "Least similarity that is accepted; NaN without a threshold, or with one on the score.",
            registry=registry,
        )
        self._score = Gauge(
            "surematch_threshold_score",
            "Least score that is accepted; NaN without a threshold, or with one on the similarity.",
            registry=registry,
        )
        self._coverage = Gauge(
            "surematch_calibrated_coverage_ratio",
            "Accepted share of the calibration queries; 0 without a threshold, NaN until ready.",
            registry=registry,
        )
        self._threshold.set(math.nan)
        self._score.set(math.nan)
        self._coverage.set(math.nan)

    def _make_evidence_series(self, registry: CollectorRegistry) -> None:
        self._valid = Gauge(
            "surematch_threshold_valid",
            "1 where the bundle has a threshold; 0 where it has none, and until it is open.",
            registry=registry,
        )
        self._size = Gauge(
            "surematch_threshold_calibration_size",
            "Calibration queries behind the threshold, or that gave none; NaN until ready.",
            registry=registry,
        )
        self._age = Gauge(
            "surematch_threshold_age_seconds",
            "Seconds since the bundle was built; NaN until ready, or where its date is unreadable.",
            registry=registry,
        )
        self._size.set(math.nan)
        self._age.set(math.nan)

    def _make_series_of_each(self, registry: CollectorRegistry) -> None:
        self._threshold_at = Gauge(
            "surematch_operating_point_threshold_similarity",
            "Least similarity that is accepted for a target precision; NaN where there is none.",
            ("target_precision",),
            registry=registry,
        )
        self._coverage_at = Gauge(
            "surematch_operating_point_calibrated_coverage_ratio",
            "Accepted share of the calibration queries for a target precision; 0 without any.",
            ("target_precision",),
            registry=registry,
        )
        self._score_at = Gauge(
            "surematch_operating_point_threshold_score",
            "Least score that is accepted for a target precision; NaN where there is none.",
            ("target_precision",),
            registry=registry,
        )
        self._score_at.labels(NO_TARGET).set(math.nan)
        self._threshold_at.labels(NO_TARGET).set(math.nan)
        self._coverage_at.labels(NO_TARGET).set(math.nan)

    def _make_similarity_series(self, registry: CollectorRegistry) -> None:
        self._similarities = Gauge(
            "surematch_calibrated_similarity_ratio",
            "Share of calibration queries whose best similarity is at most le; NaN if unknown.",
            ("le",),  # as surematch_top_similarity_bucket has them, so that PromQL can compare
            registry=registry,
        )
        for edge in EDGES:
            self._similarities.labels(floatToGoString(edge)).set(math.nan)


def _threshold_of(point: OperatingPoint | None) -> float:
    return math.nan if point is None else point.threshold


def _unix_time_of(created_at: str) -> float:
    """Return a manifest's time as Unix time; NaN where it is no time, which nothing else checks."""
    try:
        made = datetime.fromisoformat(created_at)
    except ValueError:
        return math.nan
    return (made if made.tzinfo else made.replace(tzinfo=UTC)).timestamp()
