import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from training.metrics import (
    coverage_at_precision,
    precision_at,
    recall_at,
    risk_coverage_counts,
)

SCORES = np.array([[0.9, 0.8, 0.1], [0.2, 0.7, 0.6], [0.5, 0.4, 0.3]])
POSITIVES = np.array([[True, False, True], [False, False, True], [False, False, False]])


@pytest.mark.parametrize(("k", "precision", "recall"), [(1, 1 / 2, 1 / 4), (2, 1 / 2, 3 / 4)])
def test_precision_and_recall_of_a_worked_example(k: int, precision: float, recall: float) -> None:
    """Best two: query 0 gets products 0, 1 (one of two positives), query 1 gets 1, 2 (its one)."""
    assert precision_at(SCORES, POSITIVES, k) == pytest.approx(precision)
    assert recall_at(SCORES, POSITIVES, k) == pytest.approx(recall)


@given(st.data(), st.integers(1, 4), st.integers(1, 5))
def test_they_equal_a_slow_loop(data: st.DataObject, queries: int, products: int) -> None:
    scores = data.draw(
        hnp.arrays(np.float64, (queries, products), elements=st.floats(-1, 1), unique=True)
    )
    positives = data.draw(hnp.arrays(np.bool_, (queries, products)))
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


@pytest.mark.parametrize("k", [0, 4])
def test_a_k_outside_the_catalogue_is_refused(k: int) -> None:
    with pytest.raises(ValueError, match="1 to the number of products"):
        precision_at(SCORES, POSITIVES, k)


@pytest.mark.parametrize(
    ("precision", "coverage"), [(1.0, 0.4), (0.75, 0.8), (0.6, 1.0), (0.1, 1.0)]
)
def test_oracle_coverage_of_a_worked_example(precision: float, coverage: float) -> None:
    """Right, right, wrong, right, wrong from the most similar on."""
    similarity = np.array([0.5, 0.9, 0.8, 0.7, 0.6])
    is_correct = np.array([False, True, True, False, True])

    assert coverage_at_precision(similarity, is_correct, precision) == pytest.approx(coverage)


def test_equal_similarities_stand_or_fall_together() -> None:
    similarity = np.array([0.9, 0.9, 0.9])

    assert coverage_at_precision(similarity, np.array([True, True, False]), 0.95) == 0


def test_an_answer_that_is_never_accepted_counts_as_a_query() -> None:
    similarity = np.array([0.9, np.nan])

    assert coverage_at_precision(similarity, np.array([True, True]), 0.95) == 0.5


def test_coverage_of_no_queries_is_an_error() -> None:
    with pytest.raises(ValueError, match="no queries"):
        coverage_at_precision(np.empty(0), np.empty(0, dtype=bool), 0.95)


@given(
    st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.3, np.nan]), st.booleans()), max_size=12),
    st.sampled_from([0.5, 0.75, 0.9, 1.0]),
)
def test_coverage_equals_trying_every_threshold(
    pairs: list[tuple[float, bool]], precision: float
) -> None:
    similarity = np.array([s for s, _ in pairs], dtype=np.float64)
    is_correct = np.array([c for _, c in pairs], dtype=bool)
    best = 0
    for threshold in set(similarity[~np.isnan(similarity)]):
        accepted = [c for s, c in pairs if s >= threshold]
        if sum(accepted) >= precision * len(accepted):
            best = max(best, len(accepted))

    if pairs:
        assert coverage_at_precision(similarity, is_correct, precision) == best / len(pairs)
    accepted_counts, wrong = risk_coverage_counts(similarity, is_correct)
    assert len(accepted_counts) == len(wrong) == len(set(similarity[~np.isnan(similarity)]))
