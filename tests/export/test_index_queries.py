import numpy as np
import pytest

from export.index_queries import FEW, MOST, draw_queries
from tests.clustered import clustered_units

PRODUCTS = clustered_units(1500, 32)
QUERIES = clustered_units(MOST + 50, 32, seed=5)


def test_enough_validation_queries_are_used_themselves() -> None:
    drawn = draw_queries(PRODUCTS, QUERIES[:FEW], seed=0)

    assert drawn.source == "validation queries"
    assert sorted(drawn.queries.tolist()) == sorted(QUERIES[:FEW].tolist())


def test_of_many_queries_some_are_drawn() -> None:
    drawn = draw_queries(PRODUCTS, QUERIES, seed=0)

    assert len(drawn.queries) == MOST
    assert len({tuple(query) for query in drawn.queries.tolist()}) == MOST


@pytest.mark.parametrize(
    "queries", [QUERIES[: FEW - 1], QUERIES[:0], np.full_like(QUERIES, np.nan)]
)
def test_with_few_queries_products_with_noise_are_asked_for(queries: np.ndarray) -> None:
    drawn = draw_queries(PRODUCTS, queries, seed=0)

    assert drawn.source == "products with noise"
    assert drawn.queries.shape == (MOST, 32)
    np.testing.assert_allclose(np.linalg.norm(drawn.queries, axis=1), 1, atol=1e-6)
    nearest = (drawn.queries @ PRODUCTS.T).max(axis=1)
    assert 0.6 < nearest.mean() < 0.95


def test_a_catalogue_smaller_than_that_asks_for_each_product_once() -> None:
    assert draw_queries(PRODUCTS[:7], QUERIES[:0], seed=0).queries.shape == (7, 32)


@pytest.mark.parametrize("given", [0, FEW + 100])
def test_the_seed_says_what_is_drawn(given: int) -> None:
    first, again, other = (
        draw_queries(PRODUCTS, QUERIES[:given], seed=seed).queries for seed in (1, 1, 2)
    )

    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
