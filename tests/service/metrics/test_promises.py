import math
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.contract.manifest import Manifest
from service.contract.similarities import EDGES, SimilarityHistogram
from service.metrics import Metrics
from tests.service.metrics.exposition import Clock, value, values
from tests.tiny import write_bundle

THRESHOLD_AT = "surematch_operating_point_threshold_similarity"
SIMILARITIES = "surematch_calibrated_similarity_ratio"
COVERAGE_AT = "surematch_operating_point_calibrated_coverage_ratio"
AGE = "surematch_threshold_age_seconds"
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
"""When a tiny bundle claims to have been made."""


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    folder = tmp_path_factory.mktemp("promises") / "bundle"
    return write_bundle(folder, threshold=0.8, further={0.9: 0.7, 0.99: None}).manifest


def shown(manifest: Manifest, *, now: float = NEW_YEAR) -> Metrics:
    """Return the metrics of a service that opened a bundle."""
    metrics = Metrics(wall_clock=Clock(now))
    metrics.show_bundle(manifest, generation=1)
    return metrics


def test_before_a_bundle_is_open_nothing_is_promised() -> None:
    metrics = Metrics()

    for name in (
        "surematch_threshold_similarity",
        "surematch_calibrated_coverage_ratio",
        "surematch_threshold_calibration_size",
        AGE,
    ):
        assert math.isnan(value(metrics, name)), name
    assert value(metrics, "surematch_threshold_valid") == 0
    assert math.isnan(value(metrics, THRESHOLD_AT, target_precision="none"))
    assert math.isnan(value(metrics, COVERAGE_AT, target_precision="none"))


def test_the_open_bundle_shows_its_promise_and_the_evidence(manifest: Manifest) -> None:
    metrics = shown(manifest)

    assert value(metrics, "surematch_threshold_similarity") == 0.8
    assert value(metrics, "surematch_calibrated_coverage_ratio") == 0.8
    assert value(metrics, "surematch_threshold_valid") == 1
    assert value(metrics, "surematch_threshold_calibration_size") == 100


def test_each_promise_is_shown_under_its_precision_whether_it_could_be_made_or_not(
    manifest: Manifest,
) -> None:
    metrics = shown(manifest)

    thresholds = values(metrics, THRESHOLD_AT, "target_precision")
    coverages = values(metrics, COVERAGE_AT, "target_precision")
    assert math.isnan(thresholds.pop("0.99"))
    assert thresholds == {"0.95": 0.8, "0.9": 0.7}
    assert coverages == {"0.95": 0.8, "0.9": 0.8, "0.99": 0.0}


def test_a_bundle_without_threshold_promises_no_coverage(
    manifest: Manifest, tmp_path: Path
) -> None:
    metrics = shown(manifest)

    metrics.show_bundle(write_bundle(tmp_path / "second", threshold=None).manifest, generation=2)

    assert math.isnan(value(metrics, "surematch_threshold_similarity"))
    assert value(metrics, "surematch_calibrated_coverage_ratio") == 0
    assert value(metrics, "surematch_threshold_valid") == 0
    assert value(metrics, "surematch_threshold_calibration_size") == 100
    assert values(metrics, COVERAGE_AT, "target_precision") == {"0.95": 0}


def test_the_promise_ages_with_the_wall_clock(manifest: Manifest) -> None:
    clock = Clock(NEW_YEAR)
    metrics = Metrics(wall_clock=clock)
    metrics.show_bundle(manifest, generation=1)

    young = value(metrics, AGE)
    clock.now += 86_400

    assert (young, value(metrics, AGE)) == (0, 86_400)


@pytest.mark.parametrize(
    ("created_at", "age"),
    [
        ("2026-01-01T00:00:00Z", 10),
        ("2026-01-01T00:00:00+00:00", 10),
        ("2026-01-01T01:00:00+01:00", 10),
        ("2026-01-01T00:00:00", 10),
        ("2026-01-01T00:00:20Z", -10),
    ],
)
def test_the_date_of_a_manifest_is_read_in_its_time_zone_or_else_in_utc(
    manifest: Manifest, created_at: str, age: float
) -> None:
    metrics = shown(manifest.model_copy(update={"created_at": created_at}), now=NEW_YEAR + 10)

    assert value(metrics, AGE) == age


def test_a_date_that_is_none_makes_no_age_and_stops_no_bundle(manifest: Manifest) -> None:
    metrics = shown(manifest.model_copy(update={"created_at": "last spring"}))

    assert math.isnan(value(metrics, AGE))
    assert value(metrics, "surematch_threshold_valid") == 1


def test_the_similarities_of_the_calibration_have_the_buckets_of_live_ones(
    manifest: Manifest,
) -> None:
    counted = SimilarityHistogram.of([-0.5, 0.42, 0.45, 0.97])
    calibration = manifest.calibration.model_copy(update={"top_similarity": counted})
    metrics = shown(manifest.model_copy(update={"calibration": calibration}))

    shares = values(metrics, SIMILARITIES, "le")

    live = values(metrics, "surematch_top_similarity_bucket", "le")
    assert set(shares) == set(live) - {"+Inf"}
    assert [shares[edge] for edge in ("0.0", "0.4", "0.45", "0.95", "1.0")] == [
        0.25, 0.25, 0.75, 0.75, 1.0,
    ]  # fmt: skip


@pytest.mark.parametrize("counted", [None, SimilarityHistogram.of([])])
def test_similarities_that_no_bundle_recorded_are_not_known(
    manifest: Manifest, counted: SimilarityHistogram | None
) -> None:
    calibration = manifest.calibration.model_copy(update={"top_similarity": counted})
    metrics = shown(manifest.model_copy(update={"calibration": calibration}))

    for found in (metrics, Metrics()):
        assert all(map(math.isnan, values(found, SIMILARITIES, "le").values()))
        assert len(values(found, SIMILARITIES, "le")) == len(EDGES)
