import numpy as np
import pytest

from export.index_families import build
from export.index_measures import TIMED, Yardstick, median_milliseconds
from service.contract.retriever_record import Family
from service.retrievers import FlatRetriever, Retriever
from service.retrievers.approximate import Effort
from tests.clustered import clustered_units, near

PRODUCTS = clustered_units(900, 16)
QUERIES = near(PRODUCTS, 200)


def no_time(retriever: Retriever, queries: np.ndarray) -> float:
    return len(queries) + retriever.products / 10_000


@pytest.fixture(scope="module")
def yardstick() -> Yardstick:
    return Yardstick.of(PRODUCTS, QUERIES, stopwatch=no_time)


def flat() -> FlatRetriever:
    return FlatRetriever(build(Family.FLAT, PRODUCTS, seed=0).index)  # pyright: ignore[reportArgumentType]


def test_comparing_everything_recalls_everything(yardstick: Yardstick) -> None:
    assert yardstick.recall(flat()) == 1.0
    assert yardstick.reaches(flat(), 1.0)


def test_a_catalogue_of_fewer_than_ten_products_has_recall_too() -> None:
    few = PRODUCTS[:3]
    retriever = FlatRetriever(build(Family.FLAT, few, seed=0).index)  # pyright: ignore[reportArgumentType]

    assert Yardstick.of(few, QUERIES, stopwatch=no_time).recall(retriever) == 1.0


def test_recall_is_what_comparing_each_query_with_everything_says(yardstick: Yardstick) -> None:
    narrow = build(Family.IVF, PRODUCTS, seed=0).retriever(PRODUCTS).with_effort(Effort(width=2))

    assert yardstick.recall(narrow) == pytest.approx(narrow.recall(QUERIES, 10).mean())
    assert 0.1 < yardstick.recall(narrow) < 1


def test_both_halves_must_reach_what_is_promised(yardstick: Yardstick) -> None:
    narrow = build(Family.IVF, PRODUCTS, seed=0).retriever(PRODUCTS).with_effort(Effort(width=2))
    found = narrow.recall(QUERIES, 10)
    halves = sorted((found[::2].mean(), found[1::2].mean()))

    assert halves[0] < yardstick.recall(narrow) < halves[1]
    assert yardstick.reaches(narrow, halves[0])
    assert not yardstick.reaches(narrow, yardstick.recall(narrow))


def test_only_some_queries_are_timed(yardstick: Yardstick) -> None:
    assert yardstick.milliseconds(flat()) == TIMED + 900 / 10_000


def test_a_search_takes_time() -> None:
    assert median_milliseconds(flat(), QUERIES[:5]) > 0
