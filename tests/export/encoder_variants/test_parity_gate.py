import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.encoder_variants.parity_gate import (
    Difference,
    Embedded,
    Gate,
    difference,
    gate_threshold,
    verdict,
)


def unit(rows: list[list[float]]) -> np.ndarray:
    array = np.array(rows, dtype=np.float32)
    return array / np.linalg.norm(array, axis=1, keepdims=True)


PRODUCTS = unit([[1, 0, 0], [0, 1, 0], [0, 0, 1]])
EXPECTED = Embedded(unit([[9, 1, 0], [1, 9, 0], [1, 0, 1.2], [0, 3, 4]]), PRODUCTS)


def test_an_encoder_that_gives_the_same_vectors_changes_nothing() -> None:
    same = difference(EXPECTED, EXPECTED, threshold=0.8)

    assert same == Difference(0.0, 0.0, 1.0, 0, 4)


@pytest.mark.parametrize(
    ("row", "vector", "threshold", "changed"),
    [
        (0, [1, 9, 0], 0.8, 1),  # accepted by both, another product
        (0, [9, 9, 0], 0.8, 1),  # no longer accepted
        (2, [0, 0, 1], 0.8, 1),  # now accepted
        (2, [1.2, 0, 1], 0.8, 0),  # another product, but in review with both
        (0, [9, 1.5, 0], 0.8, 0),  # a bit less similar
        (3, [0, 4, 3], 0.9, 0),
    ],
)
def test_what_counts_is_the_decision_and_the_product_that_goes_out(
    row: int, vector: list[float], threshold: float, changed: int
) -> None:
    queries = EXPECTED.queries.copy()
    queries[row] = unit([vector])[0]

    found = difference(EXPECTED, Embedded(queries, PRODUCTS), threshold=threshold)

    assert found.changed_decisions == changed


def test_without_a_threshold_half_of_the_queries_count_as_accepted() -> None:
    queries = EXPECTED.queries.copy()
    queries[0] = unit([[9, 9, 0]])[0]

    found = difference(EXPECTED, Embedded(queries, PRODUCTS), threshold=None)

    assert found.changed_decisions == 1


def test_the_threshold_is_where_the_answers_of_fp32_reach_the_precision() -> None:
    positives = [frozenset({0}), frozenset({1}), frozenset({1}), frozenset({2})]
    best = EXPECTED.queries.max(axis=1)

    strict = gate_threshold(EXPECTED, positives, target_precision=0.9)
    lax = gate_threshold(EXPECTED, positives, target_precision=0.7)

    assert strict == pytest.approx(best[3])
    assert lax == pytest.approx(best[2])
    assert gate_threshold(EXPECTED, [frozenset()] * 4, target_precision=0.9) is None


def measured(changed: int, queries: int, recall: float = 1.0) -> Difference:
    return Difference(0.001, 0.01, recall, changed, queries)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (measured(0, 1000), ""),
        (measured(5, 1000), ""),
        (measured(6, 1000), "it changes 6 of 1000 decisions (0.60%), 5 are allowed"),
        (measured(1, 120), ""),  # fewer than one cannot be told from none
        (measured(2, 120), "it changes 2 of 120 decisions (1.67%), 1 are allowed"),
        (measured(0, 99), "only 99 validation queries, 100 are needed to judge it"),
        (measured(0, 1000, 0.94), "recall at 10 against fp32 is 0.940, 0.95 needed"),
    ],
)
def test_the_gate_says_with_figures_why_a_form_fails(found: Difference, said: str) -> None:
    assert verdict(found, Gate()) == said


@given(st.integers(0, 2**32 - 1), st.floats(-1, 1))
def test_no_more_decisions_change_than_queries_are_asked(seed: int, threshold: float) -> None:
    rng = np.random.default_rng(seed)
    one, other = (
        Embedded(unit(rng.normal(size=(7, 4)).tolist()), unit(rng.normal(size=(12, 4)).tolist()))
        for _ in range(2)
    )

    found = difference(one, other, threshold=threshold)
    back = difference(other, one, threshold=threshold)

    assert 0 <= found.changed_decisions <= found.queries == 7
    assert 0 <= found.recall_at_10 <= 1
    assert back.changed_decisions == found.changed_decisions
    assert back.max_similarity_error == pytest.approx(found.max_similarity_error)


def test_a_text_without_a_vector_is_counted() -> None:
    queries = EXPECTED.queries.copy()
    queries[2] = np.nan

    assert Embedded(queries, PRODUCTS).failed == 1
    assert EXPECTED.failed == 0
