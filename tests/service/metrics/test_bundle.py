import math
from pathlib import Path

import pytest

from service.contract.bundle import INDEX
from service.live.keeper import REFUSED
from service.live.outcomes import SwapStatus
from service.metrics import SWAP_RESULTS, Metrics
from tests.service.metrics.exposition import Clock, edges, samples, value, values
from tests.tiny import DIM, PRODUCTS, write_bundle


def labels_of(metrics: Metrics, name: str) -> list[dict[str, str]]:
    """Return the labels of every series of a metric."""
    return [dict(labels) for series, labels in samples(metrics) if series == name]


def test_before_a_bundle_is_open_none_is_named() -> None:
    metrics = Metrics()

    assert labels_of(metrics, "surematch_bundle_info") == []
    assert labels_of(metrics, "surematch_index_info") == []
    assert math.isnan(value(metrics, "surematch_index_vectors"))
    assert math.isnan(value(metrics, "surematch_index_loaded_timestamp_seconds"))


def test_the_bundle_that_answers_is_named_with_its_index(tmp_path: Path) -> None:
    metrics = Metrics(wall_clock=Clock(1_800_000_000.0))
    manifest = write_bundle(tmp_path / "bundle").manifest

    metrics.show_bundle(manifest, generation=1)

    assert value(metrics, "surematch_bundle_info", bundle_id=manifest.bundle_id) == 1
    sha = manifest.files[INDEX].sha256[:12]
    index = {"generation": "1", "type": "Flat", "dim": str(DIM), "sha": sha}
    assert value(metrics, "surematch_index_info", **index) == 1
    assert value(metrics, "surematch_index_vectors") == len(PRODUCTS)
    assert value(metrics, "surematch_index_loaded_timestamp_seconds") == 1_800_000_000


def test_after_a_swap_only_the_new_bundle_is_named(tmp_path: Path) -> None:
    clock = Clock(100.0)
    metrics = Metrics(wall_clock=clock)
    metrics.show_bundle(write_bundle(tmp_path / "first").manifest, generation=1)
    second = write_bundle(tmp_path / "second", products=PRODUCTS[:3], seed=1).manifest

    clock.now = 200.0
    metrics.show_bundle(second, generation=2)

    assert labels_of(metrics, "surematch_bundle_info") == [{"bundle_id": second.bundle_id}]
    assert [info["generation"] for info in labels_of(metrics, "surematch_index_info")] == ["2"]
    assert value(metrics, "surematch_index_vectors") == 3
    assert value(metrics, "surematch_index_loaded_timestamp_seconds") == 200


@pytest.mark.parametrize("result", SWAP_RESULTS)
def test_an_end_of_a_swap_is_counted_and_only_a_swap_is_timed(result: str) -> None:
    metrics = Metrics()

    metrics.count_swap(result, 1.5)

    found = values(metrics, "surematch_bundle_swaps_total", "result")
    assert found == dict.fromkeys(SWAP_RESULTS, 0) | {result: 1}
    timed = value(metrics, "surematch_bundle_swap_duration_seconds_sum")
    assert timed == (1.5 if result == "swapped" else 0)


def test_every_way_a_swap_can_end_has_a_series() -> None:
    assert {*SwapStatus, REFUSED, "rolled_back"} == set(SWAP_RESULTS)


def test_swaps_of_minutes_are_still_told_apart() -> None:
    assert edges(Metrics(), "surematch_bundle_swap_duration_seconds")[-3:] == [120, 300, math.inf]
