import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.index_families import Built, build
from export.index_measures import Yardstick
from export.index_tuning import FINE, least, tune
from service.contract.retriever_record import Family
from service.retrievers import Retriever
from service.retrievers.approximate import ApproximateRetriever
from tests.clustered import clustered_units, near

PRODUCTS = clustered_units(2000, 16)
QUERIES = near(PRODUCTS, 200)


def by_effort(retriever: Retriever, _: np.ndarray) -> float:
    """Return a time that only the effort decides: candidates cost more than clusters."""
    assert isinstance(retriever, ApproximateRetriever)
    return retriever.effort.width + retriever.effort.candidates + 1.0


def by_few(retriever: Retriever, _: np.ndarray) -> float:
    """Return a time that is the shorter the more candidates there are."""
    assert isinstance(retriever, ApproximateRetriever)
    return 1000 / retriever.effort.candidates


@pytest.fixture(scope="module", params=[family for family in Family if family != Family.FLAT])
def built(request: pytest.FixtureRequest) -> Built:
    return build(request.param, PRODUCTS, seed=0)


@pytest.mark.parametrize("promised", [0.5, 0.9, 0.99])
def test_what_was_tuned_has_the_recall_promised_in_each_half(built: Built, promised: float) -> None:
    yardstick = Yardstick.of(PRODUCTS, QUERIES, stopwatch=by_effort)

    tuned = tune(built, PRODUCTS, yardstick, promised=promised)

    assert tuned is not None
    retriever = built.retriever(PRODUCTS).with_effort(tuned.effort)
    assert yardstick.reaches(retriever, promised)
    assert tuned.recall == yardstick.recall(retriever) >= promised
    assert tuned.milliseconds == by_effort(retriever, QUERIES)


def test_more_recall_takes_no_less_effort(built: Built) -> None:
    yardstick = Yardstick.of(PRODUCTS, QUERIES, stopwatch=by_effort)

    times = [
        tuned.milliseconds
        for promised in (0.3, 0.6, 0.9, 0.99)
        if (tuned := tune(built, PRODUCTS, yardstick, promised=promised))
    ]

    assert len(times) == 4
    assert times == sorted(times)


def test_the_time_decides_between_efforts_of_enough_recall() -> None:
    codes = build(Family.IVFPQ, PRODUCTS, seed=0)

    found = [
        tune(codes, PRODUCTS, Yardstick.of(PRODUCTS, QUERIES, stopwatch=watch), promised=0.95)
        for watch in (by_effort, by_few)
    ]

    wide, narrow = found
    assert wide is not None
    assert narrow is not None
    assert wide.effort.candidates < narrow.effort.candidates
    assert wide.effort.width >= narrow.effort.width


def test_a_recall_that_no_effort_reaches_is_none() -> None:
    codes = build(Family.INT8, PRODUCTS, seed=0)
    unreachable = Yardstick(QUERIES, np.full(200, 2.0, dtype=np.float32), by_effort)

    assert tune(codes, PRODUCTS, unreachable, promised=0.5) is None


@given(st.integers(0, 50), st.integers(0, 3000), st.integers(0, 6000))
def test_the_least_number_that_is_enough_is_found_to_a_part(
    low: int, more: int, needed: int
) -> None:
    high = low + more

    found = least(lambda number: number >= needed, low, high)

    if needed > high:
        assert found is None
    else:
        assert found is not None
        assert max(low, needed) <= found <= max(low, needed * (1 + 1.2 / FINE) + 1)
