import math
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from training.metrics import inverse_propensity, propensity_scored_precision_at

PROPENSITY = np.array([1.0, 0.5, 0.25])
SCORES = np.array([[0.9, 0.8, 0.1], [0.2, 0.7, 0.6], [0.5, 0.4, 0.3]])
POSITIVES = np.array([[True, False, True], [False, True, False], [False, False, False]])


@pytest.mark.parametrize(("k", "share"), [(1, (1 + 2) / (4 + 2)), (2, 3 / 7), (3, 7 / 7)])
def test_a_worked_example(k: int, share: float) -> None:
    """Weights 1, 2, 4; best first, query 0 gains 1, 0, 4 and query 1 gains 2, 0, 0.

    The most attainable is 4, then 1 for query 0 and 2 for query 1; query 2 has no part.
    """
    assert propensity_scored_precision_at(SCORES, POSITIVES, PROPENSITY, k) == pytest.approx(share)


@given(st.data(), st.integers(1, 4), st.integers(1, 6))
def test_it_equals_a_slow_loop(data: st.DataObject, queries: int, products: int) -> None:
    shape = (queries, products)
    scores = data.draw(hnp.arrays(np.float64, shape, elements=st.floats(-1, 1), unique=True))
    positives = data.draw(hnp.arrays(np.bool_, shape))
    propensity = data.draw(hnp.arrays(np.float64, products, elements=st.floats(0.01, 1)))
    k = data.draw(st.integers(1, products))
    gained = most = 0.0
    for row, marks in zip(scores, positives, strict=True):
        best = sorted(range(products), key=lambda p: -row[p])[:k]
        gained += sum(1 / propensity[p] for p in best if marks[p])
        weights = [1 / propensity[p] for p in range(products) if marks[p]]
        most += sum(sorted(weights, reverse=True)[:k])

    found = propensity_scored_precision_at(scores, positives, propensity, k)

    assert found == pytest.approx(gained / most if most else math.nan, nan_ok=True)


def test_equal_scores_count_in_catalogue_order() -> None:
    scores, first = np.full((1, 3), 0.5), np.array([[True, False, False]])

    assert propensity_scored_precision_at(scores, first, PROPENSITY, 1) == 1
    assert propensity_scored_precision_at(scores, first[:, ::-1], PROPENSITY, 2) == 0


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=20), st.randoms())
def test_a_perfect_ranking_has_one_and_never_more(chances: list[float], random: Random) -> None:
    propensity = np.array(chances)
    scores = np.array([random.sample(range(len(chances)), len(chances))] * 3, dtype=np.float64)
    everything = np.ones(scores.shape, dtype=bool)

    found = propensity_scored_precision_at(scores, everything, propensity, len(chances))

    assert found <= 1
    assert found == pytest.approx(1)


@pytest.mark.parametrize("wrong", [0.0, 1.01, -0.5, np.nan])
def test_a_propensity_that_is_no_chance_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="not in"):
        propensity_scored_precision_at(SCORES, POSITIVES, np.array([1.0, 0.5, wrong]), 1)


@pytest.mark.parametrize("k", [0, 4])
def test_a_k_outside_the_catalogue_is_refused(k: int) -> None:
    with pytest.raises(ValueError, match="1 to the number of products"):
        propensity_scored_precision_at(SCORES, POSITIVES, PROPENSITY, k)


def test_the_weights_of_lf_amazontitles_by_hand() -> None:
    """294,805 training queries, so ln N = 12.5941: C = 11.5941 * 3.6^0.6 = 25.0045.

    (0 + 2.6)^-0.6 = 0.563658 and (10 + 2.6)^-0.6 = 0.218664.
    """
    weights = inverse_propensity(np.array([0, 10]), 294_805, a=0.6, b=2.6)

    assert weights == pytest.approx([1 + 25.0045 * 0.563658, 1 + 25.0045 * 0.218664], rel=1e-5)


@given(st.integers(1, 10**7), st.floats(0.05, 2), st.floats(0.05, 10))
def test_a_weight_is_at_least_one_and_falls_with_the_count(
    queries: int, a: float, b: float
) -> None:
    weights = inverse_propensity(np.arange(50), queries, a=a, b=b)

    assert (weights >= 1).all()
    assert (np.diff(weights) <= 0).all()
    assert (1 / weights <= 1).all()


@pytest.mark.parametrize(("queries", "a", "b"), [(0, 0.5, 1.5), (9, 0.0, 1.5), (9, 0.5, -1.0)])
def test_numbers_without_a_meaning_are_refused(queries: int, a: float, b: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        inverse_propensity(np.array([1]), queries, a=a, b=b)
