from pathlib import Path

import faiss
import numpy as np
import pytest

from export.index_families import build
from service.contract.errors import BundleCorruptError
from service.contract.retriever_record import Family, RetrieverRecord
from service.retrievers import FlatRetriever, exact_vectors, faiss_file
from service.retrievers.opening import open_retriever
from tests.clustered import clustered_units, near

PRODUCTS = clustered_units(400, 8)
QUERIES = near(PRODUCTS, 20)


def write(folder: Path, family: Family) -> RetrieverRecord:
    """Write an index as a build does, without loading what only a build needs."""
    built = build(family, PRODUCTS, seed=0)
    faiss.write_index(built.index, str(folder / "products.faiss"))
    if not built.keeps_vectors:
        np.save(folder / "vectors.npy", PRODUCTS)
    return record_of(family)


def record_of(family: Family) -> RetrieverRecord:
    return RetrieverRecord(
        family=family,
        width=64,
        candidates=0 if family in (Family.IVF, Family.HNSW) else 128,
        promised_recall=0.9,
        recall=0.9,
        search_ms=1.0,
        queries=1,
        queries_from="nothing",
        memory_bytes=1,
        files=("products.faiss",),
        seed=0,
    )


@pytest.fixture(scope="module", params=Family)
def written(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, RetrieverRecord]:
    folder = tmp_path_factory.mktemp("bundle")
    return folder, write(folder, request.param)


@pytest.mark.parametrize("large", [1, 10**9])
def test_a_retriever_that_was_written_is_opened_and_searched_as_declared(
    written: tuple[Path, RetrieverRecord], large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exact_vectors, "LARGE_BYTES", large)
    monkeypatch.setattr(faiss_file, "LARGE_BYTES", large)

    retriever = open_retriever(*written)

    assert (retriever.products, retriever.dim, retriever.family) == (400, 8, written[1].family)
    exact = -np.sort(-(QUERIES @ PRODUCTS.T), axis=1)[:, :10]
    similarity, rows = retriever.search(QUERIES, 10)
    assert (similarity >= exact[:, -1:] - 1e-6).mean() >= 0.8
    np.testing.assert_allclose(retriever.similarities(QUERIES, rows), similarity, atol=1e-6)


def test_an_index_of_another_family_than_declared_is_refused(tmp_path: Path) -> None:
    index = faiss.IndexFlatIP(8)
    index.add(PRODUCTS)
    faiss.write_index(index, str(tmp_path / "products.faiss"))
    record = record_of(Family.IVF)

    with pytest.raises(BundleCorruptError, match="holds a IndexFlatIP, not the ivf index"):
        open_retriever(tmp_path, record)


def test_vectors_of_fewer_products_than_the_index_are_refused(tmp_path: Path) -> None:
    record = write(tmp_path, Family.INT8)
    np.save(tmp_path / "vectors.npy", PRODUCTS[:-1])

    with pytest.raises(BundleCorruptError, match=r"holds 400 products of 8 .* are 399 of 8"):
        open_retriever(tmp_path, record)


def test_a_bundle_without_a_record_has_an_exact_index(tmp_path: Path) -> None:
    write(tmp_path, Family.FLAT)

    assert isinstance(open_retriever(tmp_path, None), FlatRetriever)


def test_a_torn_index_is_refused_by_name(
    written: tuple[Path, RetrieverRecord], tmp_path: Path
) -> None:
    folder, record = written
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    torn = tmp_path / "products.faiss"
    torn.write_bytes(torn.read_bytes()[: torn.stat().st_size // 2])

    with pytest.raises(BundleCorruptError, match=r"products\.faiss is no FAISS index"):
        open_retriever(tmp_path, record)
