from pathlib import Path

import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.contract.errors import BundleCorruptError
from service.retrievers import TIES, FlatRetriever
from service.retrievers import flat as flat_module

DIM = 4
DIRECTIONS = np.eye(DIM, dtype=np.float32)
QUERY = np.array([0.8, 0.6, 0, 0], dtype=np.float32)

directions = st.lists(st.integers(0, DIM - 1), min_size=1, max_size=TIES)
"""Products that each lie on one axis: most of them are equal to some other, bit for bit."""


def flat(products: np.ndarray) -> FlatRetriever:
    index = faiss.IndexFlatIP(products.shape[1])
    index.add(products)
    return FlatRetriever(index)


def random_units(rows: int, dim: int, *, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(rows, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def sorted_by_hand(similarity: np.ndarray, k: int) -> list[int]:
    return sorted(range(len(similarity)), key=lambda row: (-similarity[row], row))[:k]


@given(directions, st.integers(1, 100))
def test_the_best_come_first_and_equal_ones_in_catalogue_order(axes: list[int], k: int) -> None:
    similarity, rows = flat(DIRECTIONS[axes]).search(QUERY[np.newaxis], k)

    expected = sorted_by_hand(QUERY[axes], k)
    assert rows.tolist() == [expected]
    assert similarity.tolist() == [QUERY[axes][expected].tolist()]


@pytest.mark.parametrize(
    ("axes", "k", "expected"),
    [
        ([0], 1, [0]),
        ([0], 100, [0]),
        ([1, 0], 1, [1]),
        ([0, 0], 1, [0]),
        ([1, 1, 0], 2, [2, 0]),
        ([1, 1, 1, 0], 3, [3, 0, 1]),
        ([2, 1, 1, 1, 0], 3, [4, 1, 2]),
        ([2, 3, 2, 3], 3, [0, 1, 2]),
    ],
)
def test_products_on_the_axes_are_ranked_like_this(
    axes: list[int], k: int, expected: list[int]
) -> None:
    _, rows = flat(DIRECTIONS[axes]).search(QUERY[np.newaxis], k)

    assert rows.tolist() == [expected]


@given(directions, st.integers(1, 20))
def test_asking_for_more_products_never_changes_the_first_ones(axes: list[int], k: int) -> None:
    index = flat(DIRECTIONS[axes])

    few, many = index.search(QUERY[np.newaxis], k)[1], index.search(QUERY[np.newaxis], k + 1)[1]

    assert many[:, : few.shape[1]].tolist() == few.tolist()


@given(st.integers(1, 60), st.integers(1, 40), st.integers(1, 100), st.integers(0, 9))
def test_a_search_finds_what_comparing_everything_finds(
    products: int, queries: int, k: int, seed: int
) -> None:
    catalogue, asked = random_units(products, 8, seed=seed), random_units(queries, 8, seed=seed + 1)

    similarity, rows = flat(catalogue).search(asked, k)

    every = asked.astype(np.float64) @ catalogue.astype(np.float64).T
    expected = -np.sort(-every, axis=1)[:, :k]
    np.testing.assert_allclose(similarity, expected, atol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(every, rows, 1), expected, atol=1e-6)


@given(st.integers(1, 60), st.integers(1, 100), st.integers(0, 9))
def test_similarities_never_increase_and_stay_cosines(products: int, k: int, seed: int) -> None:
    catalogue = random_units(products, 8, seed=seed) * np.float32(1 + 1e-6)

    similarity, rows = flat(catalogue).search(catalogue, k)

    assert (np.diff(similarity, axis=1) <= 0).all()
    assert (np.abs(similarity) <= 1).all()
    assert all(len(set(found)) == len(found) == min(k, products) for found in rows.tolist())


def test_a_query_gets_the_same_products_alone_and_among_thousands() -> None:
    catalogue = np.tile(random_units(150, 16, seed=0), (2, 1))
    asked = random_units(1000, 16, seed=1)
    index = flat(catalogue)

    together = index.search(asked, 5)
    alone = [index.search(asked[row : row + 1], 5) for row in range(0, 1000, 20)]

    np.testing.assert_array_equal(together[1][::20], np.concatenate([rows for _, rows in alone]))
    np.testing.assert_allclose(together[0][::20], np.concatenate([s for s, _ in alone]), atol=1e-6)


def test_no_query_gets_no_product() -> None:
    similarity, rows = flat(DIRECTIONS).search(np.empty((0, DIM), dtype=np.float32), 3)

    assert similarity.shape == rows.shape == (0, 3)


@given(directions, st.integers(1, 20), st.sets(st.integers(0, 2 * TIES)), st.sampled_from([0, 99]))
def test_only_allowed_products_are_found_and_as_many_as_there_are(
    axes: list[int], k: int, rows: set[int], few: int
) -> None:
    allowed = np.isin(np.arange(len(axes)), list(rows))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flat_module, "FEW", few)
        similarity, found = flat(DIRECTIONS[axes]).search(QUERY[np.newaxis], k, allowed=allowed)

    similar = QUERY[axes]
    best = [row for row in sorted_by_hand(similar, len(axes)) if allowed[row]][:k]
    missing = min(k, len(axes)) - len(best)
    assert found.tolist() == [best + [-1] * missing]
    assert similarity.tolist() == [[*similar[best].tolist(), *[-np.inf] * missing]]


@pytest.mark.parametrize("length", [0, 1, 5])
def test_a_filter_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match=r"it must be \(4,\)"):
        flat(DIRECTIONS).search(QUERY[np.newaxis], 1, allowed=np.ones(length, dtype=bool))


def test_given_products_have_the_similarities_that_a_search_finds() -> None:
    index = flat(random_units(50, 8, seed=0))
    queries = random_units(7, 8, seed=1)

    similarity, rows = index.search(queries, 50)

    np.testing.assert_allclose(index.similarities(queries, rows), similarity, atol=1e-6)


def test_no_product_has_no_similarity() -> None:
    rows = np.array([[0, -1, 1]])

    similarity = flat(DIRECTIONS).similarities(QUERY[np.newaxis], rows)

    np.testing.assert_array_equal(similarity, np.array([[0.8, np.nan, 0.6]], dtype=np.float32))


def test_an_index_that_was_written_is_read_back(tmp_path: Path) -> None:
    index = faiss.IndexFlatIP(DIM)
    index.add(DIRECTIONS[[2, 0, 1]])
    faiss.write_index(index, str(tmp_path / "products.faiss"))

    found = FlatRetriever.from_file(tmp_path / "products.faiss")

    assert (found.products, found.dim) == (3, DIM)
    assert found.search(QUERY[np.newaxis], 2)[1].tolist() == [[1, 2]]


@pytest.mark.parametrize("content", [b"", b"IxFI", b"no index at all, only words" * 9])
def test_a_file_that_is_no_index_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "products.faiss").write_bytes(content)

    with pytest.raises(BundleCorruptError, match=r"products\.faiss is no FAISS index"):
        FlatRetriever.from_file(tmp_path / "products.faiss")


def test_an_index_that_is_missing_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(BundleCorruptError, match=r"absent\.faiss is no FAISS index"):
        FlatRetriever.from_file(tmp_path / "absent.faiss")


def test_an_index_of_distances_is_refused(tmp_path: Path) -> None:
    index = faiss.IndexFlatL2(DIM)
    index.add(DIRECTIONS)
    faiss.write_index(index, str(tmp_path / "products.faiss"))

    with pytest.raises(BundleCorruptError, match="not by inner product"):
        FlatRetriever.from_file(tmp_path / "products.faiss")


def test_an_index_of_another_family_is_refused(tmp_path: Path) -> None:
    index = faiss.IndexHNSWFlat(DIM, 4, faiss.METRIC_INNER_PRODUCT)
    index.add(DIRECTIONS)
    faiss.write_index(index, str(tmp_path / "products.faiss"))

    with pytest.raises(BundleCorruptError, match="holds a IndexHNSWFlat, not an exact index"):
        FlatRetriever.from_file(tmp_path / "products.faiss")
