from pathlib import Path

import numpy as np
import pytest

from export import index_build
from export.index_build import summary, write_retriever
from export.index_choice import IndexWish
from service.contract.errors import BundleError
from service.contract.retriever_record import Family, RetrieverRecord
from service.retrievers import Retriever
from tests.clustered import clustered_units, near

PRODUCTS = clustered_units(600, 16)
QUERIES = near(PRODUCTS, 300)


def two_milliseconds(retriever: Retriever, _: np.ndarray) -> float:
    return 2.0 if retriever.products else 0.0


def written(folder: Path, wanted: IndexWish, queries: np.ndarray = QUERIES) -> RetrieverRecord:
    return write_retriever(
        folder, PRODUCTS, wanted=wanted, queries=queries, stopwatch=two_milliseconds
    )


def test_a_record_says_what_was_written_and_measured(tmp_path: Path) -> None:
    record = written(tmp_path, IndexWish(Family.IVFPQ, recall=0.95, seed=4))

    assert record.family is Family.IVFPQ
    assert (record.promised_recall, record.seed, record.search_ms) == (0.95, 4, 2.0)
    assert (record.queries, record.queries_from) == (300, "validation queries")
    assert record.recall >= 0.95
    assert min(record.clusters, record.width, record.candidates) > 0
    assert record.files == ("products.faiss", "vectors.npy")
    assert record.memory_bytes == (tmp_path / "products.faiss").stat().st_size
    assert record.flat_ms is None


def test_by_itself_a_small_catalogue_gets_the_exact_index(tmp_path: Path) -> None:
    record = written(tmp_path, IndexWish(), QUERIES[:0])

    assert (record.family, record.recall, record.flat_ms) == (Family.FLAT, 1.0, 2.0)
    assert record.queries_from == "products with noise"
    assert [path.name for path in tmp_path.iterdir()] == ["products.faiss"]


def test_the_same_vectors_and_times_give_the_same_bundle(tmp_path: Path) -> None:
    folders = [tmp_path / "once", tmp_path / "again"]
    for folder in folders:
        folder.mkdir()

    records = [written(folder, IndexWish(Family.IVF, recall=0.95)) for folder in folders]

    assert records[0] == records[1]
    assert len({(folder / "products.faiss").read_bytes() for folder in folders}) == 1


@pytest.mark.parametrize("block", [1, 7, 600, 10_000])
def test_vectors_are_written_as_numpy_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(index_build, "_BLOCK", block)

    written(tmp_path, IndexWish(Family.INT8, recall=0.9))

    np.testing.assert_array_equal(np.load(tmp_path / "vectors.npy"), PRODUCTS)


@pytest.mark.parametrize(
    ("product_ids", "named"), [([], "in row 5 "), ([f"p-{n}" for n in range(600)], "'p-5'")]
)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_vector_that_is_no_numbers_is_refused_by_its_products_name(
    tmp_path: Path, product_ids: list[str], named: str, value: float
) -> None:
    broken = PRODUCTS.copy()
    broken[5, 3] = value

    with pytest.raises(BundleError, match=f"the vector of product {named}"):
        write_retriever(
            tmp_path, broken, wanted=IndexWish(), queries=QUERIES, product_ids=product_ids
        )

    assert not any(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"absent/products\.faiss cannot be written"):
        written(tmp_path / "absent", IndexWish())


@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        (
            RetrieverRecord(
                family=Family.IVFPQ,
                clusters=4096,
                width=30,
                candidates=128,
                promised_recall=0.99,
                recall=0.9921,
                search_ms=0.5,
                flat_ms=100.0,
                queries=1000,
                queries_from="validation queries",
                memory_bytes=110_000_000,
                files=(),
                seed=0,
            ),
            "index: ivfpq with clusters 4096, width 30, candidates 128, 0.11 GB; finds 99.21% of "
            "the ten nearest products in 0.5 ms (comparing every product: 100 ms); measured with "
            "1000 validation queries",
        ),
        (
            RetrieverRecord(
                family=Family.FP16,
                promised_recall=0.9,
                recall=1.0,
                search_ms=7.25,
                queries=7,
                queries_from="products with noise",
                memory_bytes=15_000,
                files=(),
                seed=0,
            ),
            "index: fp16, 1.5e-05 GB; finds 100.00% of the ten nearest products in 7.25 ms; "
            "measured with 7 products with noise",
        ),
    ],
)
def test_a_record_is_told_in_one_sentence(record: RetrieverRecord, sentence: str) -> None:
    assert summary(record) == sentence
