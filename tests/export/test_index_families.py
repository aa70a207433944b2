import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.index_families import build, clusters_of, codes_of, size_bytes
from service.contract.retriever_record import Family
from tests.clustered import clustered_units

PRODUCTS = clustered_units(3000, 32)


@pytest.mark.parametrize("family", Family)
def test_an_index_takes_about_the_memory_that_was_foretold(family: Family) -> None:
    index = build(family, PRODUCTS, seed=0).index

    written = faiss.serialize_index(index).nbytes
    # `ivf` keeps the way from rows to lists in memory only: it is not in the file
    in_memory = written + (8 * 3000 if family is Family.IVF else 0)
    assert 0.8 * in_memory <= size_bytes(family, 3000, 32) <= 1.3 * in_memory


@pytest.mark.parametrize("family", Family)
def test_the_same_vectors_and_seed_give_the_same_index(family: Family) -> None:
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        once, again = (
            faiss.serialize_index(build(family, PRODUCTS, seed=3).index) for _ in range(2)
        )
    finally:
        faiss.omp_set_num_threads(threads)

    np.testing.assert_array_equal(once, again)


@pytest.mark.parametrize("family", Family)
def test_every_product_is_in_the_index_and_inner_products_rank_them(family: Family) -> None:
    built = build(family, PRODUCTS[:700], seed=0)

    assert built.index.ntotal == 700
    assert built.index.metric_type == faiss.METRIC_INNER_PRODUCT
    assert built.family is family
    assert (built.clusters > 0) == (family in (Family.IVF, Family.IVFPQ))


@given(st.integers(1, 10**8))
def test_clusters_are_a_power_of_two_with_products_enough_to_make_them(products: int) -> None:
    clusters = clusters_of(products)

    assert clusters & (clusters - 1) == 0
    assert clusters == 1 or products / clusters > 25
    assert clusters <= 6 * products**0.5


@given(st.integers(1, 2000))
def test_codes_divide_a_vector_evenly(dim: int) -> None:
    assert dim % codes_of(dim) == 0


@pytest.mark.parametrize("family", Family)
def test_a_small_catalogue_is_no_reason_to_complain_on_the_screen(
    family: Family, capfd: pytest.CaptureFixture[str]
) -> None:
    build(family, PRODUCTS[:120], seed=0)

    assert tuple(capfd.readouterr()) == ("", "")
