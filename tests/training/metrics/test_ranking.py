from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import ndcg_score

from training.metrics import (
    RankedHits,
    mean_reciprocal_rank,
    ndcg_at,
    precision_at,
    recall_at,
)

SCORES = np.array([[0.9, 0.8, 0.1], [0.2, 0.7, 0.6], [0.5, 0.4, 0.3]])
POSITIVES = np.array([[True, False, True], [False, False, True], [False, False, False]])


Measure = Callable[[np.ndarray, np.ndarray, int], float]


def drawn(data: st.DataObject, queries: int, products: int) -> tuple[np.ndarray, np.ndarray]:
    """Return scores, no two equal, and marks of positives."""
    shape = (queries, products)
    scores = data.draw(hnp.arrays(np.float64, shape, elements=st.floats(-1, 1), unique=True))
    return scores, data.draw(hnp.arrays(np.bool_, shape))


@pytest.mark.parametrize(("k", "precision", "recall"), [(1, 1 / 2, 1 / 4), (2, 1 / 2, 3 / 4)])
def test_precision_and_recall_of_a_worked_example(k: int, precision: float, recall: float) -> None:
    """Best two: query 0 gets products 0, 1 (one of two positives), query 1 gets 1, 2 (its one)."""
    assert precision_at(SCORES, POSITIVES, k) == pytest.approx(precision)
    assert recall_at(SCORES, POSITIVES, k) == pytest.approx(recall)


@given(st.data(), st.integers(1, 4), st.integers(1, 5))
def test_they_equal_a_slow_loop(data: st.DataObject, queries: int, products: int) -> None:
    scores, positives = drawn(data, queries, products)
    k = data.draw(st.integers(1, products))
    precisions: list[float] = []
    recalls: list[float] = []
    for row, marks in zip(scores, positives, strict=True):
        best = sorted(range(products), key=lambda p: -row[p])[:k]
        if marks.any():
            precisions.append(sum(marks[p] for p in best) / k)
            recalls.append(sum(marks[p] for p in best) / marks.sum())

    precision, recall = precision_at(scores, positives, k), recall_at(scores, positives, k)

    if precisions:
        assert precision == pytest.approx(np.mean(precisions))
        assert recall == pytest.approx(np.mean(recalls))
    else:
        assert np.isnan(precision)
        assert np.isnan(recall)


def test_equal_scores_count_in_catalogue_order() -> None:
    scores, positives = np.full((1, 3), 0.5), np.array([[True, False, False]])

    assert precision_at(scores, positives, 1) == 1
    assert recall_at(scores, positives[:, ::-1], 2) == 0


@pytest.mark.parametrize("measure", [precision_at, recall_at, ndcg_at])
@pytest.mark.parametrize("k", [0, 4])
def test_a_k_outside_the_catalogue_is_refused(measure: Measure, k: int) -> None:
    with pytest.raises(ValueError, match="1 to the number of products"):
        measure(SCORES, POSITIVES, k)


def test_ndcg_and_reciprocal_rank_of_a_worked_example() -> None:
    """Positives at ranks 1 and 3 of query 0, at rank 2 of query 1, none of query 2."""
    ideal = 1 + 1 / np.log2(3)

    assert ndcg_at(SCORES, POSITIVES, 3) == pytest.approx(
        ((1 + 1 / 2) / ideal + 1 / np.log2(3)) / 2
    )
    assert ndcg_at(SCORES, POSITIVES, 1) == pytest.approx((1 + 0) / 2)
    assert mean_reciprocal_rank(SCORES, POSITIVES) == pytest.approx((1 + 1 / 2) / 2)


@given(st.data(), st.integers(1, 4), st.integers(2, 6))
def test_ndcg_is_that_of_scikit_learn(data: st.DataObject, queries: int, products: int) -> None:
    scores, positives = drawn(data, queries, products)
    k = data.draw(st.integers(1, products))

    found = ndcg_at(scores, positives, k)

    answerable = positives.any(axis=1)
    if answerable.any():
        expected = ndcg_score(positives[answerable], scores[answerable], k=k, ignore_ties=True)
        assert found == pytest.approx(expected)
    else:
        assert np.isnan(found)


@given(st.data(), st.integers(1, 4), st.integers(1, 6))
def test_the_reciprocal_rank_equals_a_slow_loop(
    data: st.DataObject, queries: int, products: int
) -> None:
    scores, positives = drawn(data, queries, products)
    inverse = [
        1 / (1 + min(int((row > row[p]).sum()) for p in range(products) if marks[p]))
        for row, marks in zip(scores, positives, strict=True)
        if marks.any()
    ]

    found = mean_reciprocal_rank(scores, positives)

    assert found == pytest.approx(np.mean(inverse) if inverse else np.nan, nan_ok=True)


def test_equal_scores_rank_in_catalogue_order() -> None:
    scores, last = np.full((1, 4), 0.5), np.array([[False, False, False, True]])

    assert mean_reciprocal_rank(scores, last) == 1 / 4
    assert ndcg_at(scores, last, 3) == 0
    assert ndcg_at(scores, last[:, ::-1], 3) == 1


def test_the_best_products_alone_are_enough() -> None:
    """The first two ranks known, a third positive not found, one query without any."""
    hits = RankedHits(
        np.array([[False, True], [False, False], [False, False]]), np.array([3, 1, 0])
    )

    assert hits.precision_at(5) == pytest.approx((1 / 5 + 0) / 2)
    assert hits.recall_at(5) == pytest.approx((1 / 3 + 0) / 2)
    assert hits.mean_reciprocal_rank(1) == 0
    assert hits.mean_reciprocal_rank(10) == pytest.approx((1 / 2 + 0) / 2)
    ideal = 1 + 1 / np.log2(3) + 1 / 2
    assert hits.ndcg_at(10) == pytest.approx((1 / np.log2(3) / ideal + 0) / 2)
    assert np.isnan(hits.where(np.array([False, False, True])).ndcg_at(10))
