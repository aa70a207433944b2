from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.index_families import build
from service.contract.errors import BundleCorruptError
from service.contract.retriever_record import Family
from service.retrievers import exact_vectors
from service.retrievers.exact_vectors import ArrayVectors, ExactVectors, exact_search
from service.retrievers.opening import vectors_inside
from tests.clustered import clustered_units, near

PRODUCTS = clustered_units(400, 16)
QUERIES = near(PRODUCTS, 9)


def inside(family: Family) -> ExactVectors:
    found = vectors_inside(build(family, PRODUCTS, seed=0).index)
    assert found is not None
    return found


@pytest.fixture(scope="module", params=["array", "file", "mapped", "ivf", "hnsw"])
def vectors(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> ExactVectors:
    if request.param == "array":
        return ArrayVectors(PRODUCTS)
    if request.param in ("ivf", "hnsw"):
        return inside(Family(request.param))
    path = tmp_path_factory.mktemp("vectors") / "vectors.npy"
    np.save(path, PRODUCTS)
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "mapped":
            patch.setattr(exact_vectors, "LARGE_BYTES", 1)
        return ArrayVectors.from_file(path)


def test_vectors_come_back_as_they_were_given(vectors: ExactVectors) -> None:
    assert vectors.shape == PRODUCTS.shape
    np.testing.assert_array_equal(vectors.take(np.array([7, 0, 399, 7])), PRODUCTS[[7, 0, 399, 7]])


def test_similarities_are_inner_products(vectors: ExactVectors) -> None:
    rows = np.random.default_rng(0).integers(400, size=(9, 5))

    found = vectors.similarities(QUERIES, rows)

    expected = np.einsum("qd,qrd->qr", QUERIES.astype(np.float64), PRODUCTS[rows])
    np.testing.assert_allclose(found, expected, atol=1e-6)


@given(st.integers(1, 60), st.integers(1, 30), st.sets(st.integers(0, 399)) | st.none())
def test_an_exact_search_in_blocks_finds_what_sorting_everything_finds(
    block: int, k: int, chosen: set[int] | None
) -> None:
    rows = np.arange(400) if chosen is None else np.array(sorted(chosen), dtype=np.int64)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact_vectors, "_BLOCK", block)
        similarity, found = exact_search(
            ArrayVectors(PRODUCTS), QUERIES, k, rows=None if chosen is None else rows
        )

    expected = -np.sort(-(QUERIES.astype(np.float64) @ PRODUCTS[rows].T), axis=1)[:, :k]
    there = expected.shape[1]
    np.testing.assert_allclose(similarity[:, :there], expected, atol=1e-6)
    assert (found[:, there:] == -1).all()
    assert np.isneginf(similarity[:, there:]).all()
    assert np.isin(found[:, :there], rows).all()


@given(st.integers(1, 5), st.integers(1, 40))
def test_equal_products_are_found_in_catalogue_order_across_blocks(block: int, k: int) -> None:
    tied = np.tile(PRODUCTS[:4], (5, 1))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact_vectors, "_BLOCK", block)
        similarity, rows = exact_search(ArrayVectors(tied), PRODUCTS[:1], k)

    assert rows[0, :5].tolist() == [0, 4, 8, 12, 16][:k]
    assert (similarity[0, :5] > 0.999).all()


@pytest.mark.parametrize(
    "content", [b"", b"\x93NUMPY", b"no vectors at all", b"\x93NUMPY\x01\x00v\x00{'descr'"]
)
def test_a_torn_file_of_vectors_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "vectors.npy").write_bytes(content)

    with pytest.raises(BundleCorruptError, match=r"vectors\.npy is no file of vectors"):
        ArrayVectors.from_file(tmp_path / "vectors.npy")


@pytest.mark.parametrize("large", [1, 10**9])
def test_a_file_of_vectors_cut_short_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large: int
) -> None:
    path = tmp_path / "vectors.npy"
    np.save(path, PRODUCTS)
    path.write_bytes(path.read_bytes()[:-1])
    monkeypatch.setattr(exact_vectors, "LARGE_BYTES", large)

    with pytest.raises(BundleCorruptError, match=r"vectors\.npy is no file of vectors"):
        ArrayVectors.from_file(path)


@pytest.mark.parametrize(
    "array", [PRODUCTS.astype(np.float64), PRODUCTS[0], np.asfortranarray(PRODUCTS)]
)
def test_numbers_of_another_kind_are_refused(tmp_path: Path, array: np.ndarray) -> None:
    np.save(tmp_path / "vectors.npy", array)

    with pytest.raises(BundleCorruptError, match="not rows of float32"):
        ArrayVectors.from_file(tmp_path / "vectors.npy")
