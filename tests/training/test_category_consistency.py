from dataclasses import replace

import numpy as np
import pytest

from tests.training.data.labelled import labelled
from training import category_consistency
from training.category_consistency import FAR_RANGE, threshold_consistency
from training.data.matches import LabelledQuery
from training.data.products import Product, Products
from training.metrics import opis
from training.retrieval import EmbeddedTexts
from training.rules import Rules

CATEGORIES = ("lamps > desk", "drills", "phones > new > big", None)
PRODUCTS = Products(
    tuple(Product(f"p-{n}", f"Product {n}", CATEGORIES[n % 4], {}) for n in range(40)), ()
)
QUERIES = [labelled(f"q-{n}", f"query {n}", f"p-{n % 40}") for n in range(200)]


@pytest.fixture(scope="module")
def embedded() -> EmbeddedTexts:
    """Queries near their product, those of drills less so."""
    generator = np.random.default_rng(0)
    products = generator.normal(size=(40, 8))
    noise = np.where(np.arange(200) % 4 == 1, 1.5, 0.5)[:, None]
    queries = products[np.arange(200) % 40] + noise * generator.normal(size=(200, 8))
    return EmbeddedTexts(
        *(unit.astype(np.float32) for unit in (_unit(queries), _unit(products))),
        is_blank=np.zeros(200, dtype=bool),
        has_twin=np.zeros(40, dtype=bool),
    )


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def of_the_matrix(embedded: EmbeddedTexts) -> float:
    """Return OPIS of all pairs of the queries that have a category."""
    similarity = embedded.queries @ embedded.products.T
    is_positive = np.arange(200)[:, None] % 40 == np.arange(40)
    segment = np.arange(200) % 4
    rows = np.flatnonzero(segment != CATEGORIES.index(None))
    return opis(similarity[rows], is_positive[rows], segment[rows], FAR_RANGE)


@pytest.mark.parametrize("pairs_at_once", [1, 40 * 7, 2**22])
def test_it_is_opis_within_five_per_cent_whatever_the_block(
    embedded: EmbeddedTexts, monkeypatch: pytest.MonkeyPatch, pairs_at_once: int
) -> None:
    monkeypatch.setattr(category_consistency, "_PAIRS_AT_ONCE", pairs_at_once)

    found = threshold_consistency(embedded, QUERIES, PRODUCTS)

    assert found == pytest.approx(of_the_matrix(embedded), rel=0.05)
    assert found is not None
    assert found > 1e-4


def test_filtered_pairs_are_neither_positive_nor_negative(embedded: EmbeddedTexts) -> None:
    """A product filtered for every query changes nothing, whatever its vector."""
    another = Products((*PRODUCTS.items, Product("p-40", "Another", "drills", {})), ())
    wider = replace(embedded, products=np.vstack([embedded.products, embedded.queries[:1]]))
    queries = [replace(q, positives=(*q.positives, "p-40")) for q in QUERIES]
    rules = Rules(filtered={q.query_id: frozenset({"p-40"}) for q in queries})

    assert threshold_consistency(wider, queries, another, rules=rules) == threshold_consistency(
        embedded, QUERIES, PRODUCTS
    )
    assert threshold_consistency(wider, queries, another) != threshold_consistency(
        embedded, QUERIES, PRODUCTS
    )


def test_only_the_top_level_parts_categories(embedded: EmbeddedTexts) -> None:
    levels = ("a > x", "a > y", "a", None)
    items = tuple(replace(p, category=levels[n % 4]) for n, p in enumerate(PRODUCTS.items))

    assert threshold_consistency(embedded, QUERIES, Products(items, ())) is None


@pytest.mark.parametrize("queries", [[], QUERIES[:80], [labelled("q", "no product")] * 200])
def test_too_few_positives_are_no_figure(
    embedded: EmbeddedTexts, queries: list[LabelledQuery]
) -> None:
    """Eighty queries are twenty a category."""
    few = replace(embedded, queries=embedded.queries[: len(queries)])

    assert threshold_consistency(few, queries, PRODUCTS) is None
