import pytest

from service.metrics import CACHE_RESULTS, Metrics
from tests.service.metrics.exposition import value, values


@pytest.mark.parametrize("result", ["hit", "miss", "coalesced"])
def test_a_query_is_counted_by_how_it_met_the_cache(result: str) -> None:
    metrics = Metrics()

    metrics.count_cache(result)

    found = values(metrics, "surematch_cache_requests_total", "result")
    assert found == dict.fromkeys(CACHE_RESULTS, 0) | {result: 1}


def test_what_the_cache_holds_is_shown_as_it_was_told_last() -> None:
    metrics = Metrics()

    metrics.show_cache(entries=3, size=3000)
    metrics.show_cache(entries=2, size=2000)
    metrics.count_evictions(4)
    metrics.count_evictions(1)

    assert value(metrics, "surematch_cache_entries") == 2
    assert value(metrics, "surematch_cache_bytes") == 2000
    assert value(metrics, "surematch_cache_evictions_total") == 5
