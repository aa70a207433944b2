import math

import pytest
from prometheus_client import CollectorRegistry

from service.metrics.recall import WINDOW, RecallSeries


def ratio(registry: CollectorRegistry) -> float:
    found = registry.get_sample_value("surematch_index_recall_probe_ratio")
    assert found is not None
    return found


def test_the_ratio_is_the_average_of_the_last_comparisons() -> None:
    registry = CollectorRegistry()
    series = RecallSeries(registry)
    assert math.isnan(ratio(registry))

    for _ in range(WINDOW):
        series.count_compared(0.0)
    assert ratio(registry) == 0.0
    for _ in range(WINDOW // 2):
        series.count_compared(1.0)

    assert ratio(registry) == pytest.approx(0.5)


def test_another_bundle_begins_anew_and_counts_go_on() -> None:
    registry = CollectorRegistry()
    series = RecallSeries(registry)
    series.count_compared(1.0)
    series.count_dropped()

    series.begin()

    assert math.isnan(ratio(registry))
    probes = "surematch_index_recall_probes_total"
    assert registry.get_sample_value(probes, {"result": "compared"}) == 1
    assert registry.get_sample_value(probes, {"result": "dropped"}) == 1
