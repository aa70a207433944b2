import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.metrics import (
    area_under_risk_coverage,
    coverage_at_precision,
    risk_coverage_counts,
)

ANSWERS = st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.3, np.nan]), st.booleans()), max_size=12)


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


@given(ANSWERS, st.sampled_from([0.5, 0.75, 0.9, 1.0]))
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


def test_the_area_under_risk_and_coverage_of_a_worked_example() -> None:
    """Right, right, wrong, right: risks 0, 0, 1/3 and 1/4."""
    similarity = np.array([0.9, 0.8, 0.7, 0.6])
    is_correct = np.array([True, True, False, True])

    area = area_under_risk_coverage(similarity, is_correct)

    assert area == pytest.approx((1 / 3 + 1 / 4) / 4)


def test_equal_similarities_have_one_risk() -> None:
    """The three at 0.5 are accepted together: risk 1/4 at each of their coverages."""
    similarity = np.array([0.9, 0.5, 0.5, 0.5])
    is_correct = np.array([True, True, False, True])

    assert area_under_risk_coverage(similarity, is_correct) == pytest.approx(3 / 4 * 1 / 4)


@pytest.mark.parametrize(
    ("similarity", "is_correct", "area"),
    [([0.9, 0.8], [True, True], 0), ([0.9, np.nan], [True, True], 0.5), ([np.nan], [True], 1)],
)
def test_a_coverage_that_no_threshold_reaches_has_risk_one(
    similarity: list[float], is_correct: list[bool], area: float
) -> None:
    assert area_under_risk_coverage(np.array(similarity), np.array(is_correct)) == area


def test_risk_of_no_queries_is_an_error() -> None:
    with pytest.raises(ValueError, match="no queries"):
        area_under_risk_coverage(np.empty(0), np.empty(0, dtype=bool))


@given(ANSWERS.filter(bool))
def test_the_area_equals_a_walk_over_all_coverages(pairs: list[tuple[float, bool]]) -> None:
    known = sorted({s for s, _ in pairs if not np.isnan(s)}, reverse=True)
    risks: list[float] = []
    for wanted in range(1, len(pairs) + 1):
        groups = ([c for s, c in pairs if s >= threshold] for threshold in known)
        accepted = next((group for group in groups if len(group) >= wanted), None)
        risks.append(accepted.count(False) / len(accepted) if accepted else 1)

    area = area_under_risk_coverage(
        np.array([s for s, _ in pairs], dtype=np.float64), np.array([c for _, c in pairs])
    )

    assert area == pytest.approx(np.mean(risks))
