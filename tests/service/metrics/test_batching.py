import math

import pytest

from service.batching.formation import Release
from service.metrics import Metrics
from tests.service.metrics.exposition import Clock, edges, value, values

LAST_END = "surematch_last_batch_completed_timestamp_seconds"


def test_a_batch_is_measured_in_texts_and_in_tokens_with_and_without_padding() -> None:
    metrics = Metrics()

    metrics.observe_batch(4, real_tokens=50, padded_tokens=64, release=Release.BUDGET)
    metrics.observe_batch(1, real_tokens=7, padded_tokens=7, release=Release.IDLE)

    for name, total in (("size", 5), ("tokens", 57), ("padded_tokens", 71)):
        assert value(metrics, f"surematch_batch_{name}_sum") == total
        assert value(metrics, f"surematch_batch_{name}_count") == 2
    assert value(metrics, "surematch_real_tokens_total") == 57
    assert value(metrics, "surematch_padding_tokens_total") == 14


@pytest.mark.parametrize("release", list(Release))
def test_a_batch_is_counted_by_why_it_was_not_made_larger(release: Release) -> None:
    metrics = Metrics()

    metrics.observe_batch(1, real_tokens=3, padded_tokens=3, release=release)

    found = values(metrics, "surematch_batch_release_total", "reason")
    assert found == {name: int(name == release) for name in Release}
    assert set(found) == {"idle", "budget", "padding", "max_size", "aged"}


def test_the_edges_of_batches_are_those_of_dashboards() -> None:
    metrics = Metrics()

    assert edges(metrics, "surematch_batch_size") == [
        *(1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 128, 256),
        math.inf,
    ]
    for name in ("surematch_batch_tokens", "surematch_batch_padded_tokens"):
        assert edges(metrics, name) == [
            *(8, 16, 32, 64, 96, 128, 192, 256, 384, 512),
            *(1024, 2048, 4096, 8192, 16384, 32768),
            math.inf,
        ]


def test_the_end_of_the_newest_batch_is_shown() -> None:
    clock = Clock(1_000.0)
    metrics = Metrics(wall_clock=clock)
    before = value(metrics, LAST_END)

    for clock.now in (1_001.0, 1_002.5):
        metrics.observe_batch(1, real_tokens=3, padded_tokens=3, release="idle")

    assert math.isnan(before)
    assert value(metrics, LAST_END) == 1_002.5
