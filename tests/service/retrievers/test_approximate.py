from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from export.index_families import build
from service.contract.errors import BundleCorruptError
from service.contract.retriever_record import Family
from service.retrievers import approximate as module
from service.retrievers.approximate import ApproximateRetriever, Effort, recalled
from service.retrievers.exact_vectors import ArrayVectors
from tests.clustered import clustered_units, near

PRODUCTS = np.tile(clustered_units(600, 16), (2, 1))
"""Every product twice, so that everything found ties with something."""
QUERIES = near(PRODUCTS, 40)
EVERY = QUERIES.astype(np.float64) @ PRODUCTS.astype(np.float64).T
EFFORTS = {
    Family.FP16: Effort(candidates=128),
    Family.INT8: Effort(candidates=128),
    Family.IVF: Effort(width=64),
    Family.HNSW: Effort(width=400),
    Family.IVFPQ: Effort(width=64, candidates=256),
}


@pytest.fixture(scope="module", params=EFFORTS)
def retriever(request: pytest.FixtureRequest) -> ApproximateRetriever:
    built = build(request.param, PRODUCTS, seed=0)
    return built.retriever(PRODUCTS).with_effort(EFFORTS[request.param])


def best(k: int, allowed: np.ndarray | None = None) -> np.ndarray:
    similar = EVERY if allowed is None else np.where(allowed, EVERY, -np.inf)
    return -np.sort(-similar, axis=1)[:, :k]


@pytest.mark.parametrize("k", [1, 10, 100])
def test_a_search_with_much_effort_finds_nearly_everything(
    retriever: ApproximateRetriever, k: int
) -> None:
    similarity, rows = retriever.search(QUERIES, k)

    assert rows.shape == similarity.shape == (40, k)
    assert (similarity >= best(k)[:, -1:] - 1e-6).mean() > 0.9


def test_similarities_are_exact_and_ranked_and_equal_products_stand_in_catalogue_order(
    retriever: ApproximateRetriever,
) -> None:
    similarity, rows = retriever.search(QUERIES, 10)

    np.testing.assert_allclose(similarity, np.take_along_axis(EVERY, rows, 1), atol=1e-6)
    assert (np.diff(similarity, axis=1) <= 0).all()
    assert all(len(set(found)) == 10 for found in rows.tolist())
    ties = np.diff(similarity, axis=1) == 0
    assert (np.diff(rows, axis=1)[ties] > 0).all()
    assert ties.any()


def test_a_search_gives_the_similarities_that_given_products_have(
    retriever: ApproximateRetriever,
) -> None:
    similarity, rows = retriever.search(QUERIES, 10)
    rows[:, 3] = -1

    again = retriever.similarities(QUERIES, rows)

    assert np.isnan(again[:, 3]).all()
    there = rows >= 0
    np.testing.assert_allclose(again[there], similarity[there], atol=1e-6)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9])
@pytest.mark.parametrize("few", [0, module.FEW])
def test_a_query_gets_only_allowed_products_and_as_many_as_there_are(
    retriever: ApproximateRetriever, share: float, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FEW", few)
    monkeypatch.setattr(module, "FEW_SHARE", 0.0 if few == 0 else module.FEW_SHARE)
    allowed = np.random.default_rng(3).random(1200) < share

    similarity, rows = retriever.search(QUERIES, 20, allowed=allowed)

    there = min(20, int(allowed.sum()))
    assert (rows[:, there:] == -1).all()
    assert np.isneginf(similarity[:, there:]).all()
    assert allowed[rows[:, :there]].all()
    if there:
        assert (similarity[:, :there] >= best(there, allowed)[:, -1:] - 1e-6).mean() > 0.9


def test_a_filter_of_another_length_is_refused(retriever: ApproximateRetriever) -> None:
    with pytest.raises(ValueError, match=r"it must be \(1200,\)"):
        retriever.search(QUERIES, 1, allowed=np.ones(1199, dtype=bool))


def test_threads_that_search_at_once_find_what_one_finds(retriever: ApproximateRetriever) -> None:
    allowed = np.arange(1200) % 3 > 0
    expected = [retriever.search(QUERIES, 5, allowed=mask)[1] for mask in (None, allowed)]

    with ThreadPoolExecutor(8) as pool:
        jobs = [
            pool.submit(retriever.search, QUERIES, 5, allowed=mask)
            for _ in range(8)
            for mask in (None, allowed)
        ]
        found = [job.result()[1] for job in jobs]

    for number, rows in enumerate(found):
        np.testing.assert_array_equal(rows, expected[number % 2])


def test_no_query_gets_no_product(retriever: ApproximateRetriever) -> None:
    similarity, rows = retriever.search(QUERIES[:0], 3)

    assert similarity.shape == rows.shape == (0, 3)


def test_what_a_narrow_search_does_not_find_stands_at_the_end_as_minus_one() -> None:
    products = np.repeat(np.eye(4, 16, dtype=np.float32), 40, axis=0)
    narrow = build(Family.IVF, products, seed=0).retriever(products).with_effort(Effort(width=1))

    similarity, rows = narrow.search(products[:1], 160)

    assert (rows[0, :40] == np.arange(40)).all()
    assert rows[0, -1] == -1
    assert similarity[0, -1] == -np.inf


def test_vectors_of_other_products_than_the_index_are_refused() -> None:
    built = build(Family.INT8, PRODUCTS, seed=0)

    with pytest.raises(BundleCorruptError, match=r"holds 1200 products of 16 .* are 1199 of 16"):
        ApproximateRetriever(
            built.index, ArrayVectors(PRODUCTS[1:]), family=Family.INT8, effort=Effort()
        )


def test_a_watcher_is_told_of_the_queries_of_every_search() -> None:
    retriever = build(Family.INT8, PRODUCTS, seed=0).retriever(PRODUCTS)
    told: list[int] = []
    retriever.watcher = lambda who, queries: told.append(len(queries) if who is retriever else -1)

    retriever.search(QUERIES, 3)
    retriever.search(QUERIES[:2], 3, allowed=np.arange(1200) < 1100)
    retriever.recall(QUERIES, 3)

    assert told == [40, 2]


def test_recall_is_the_share_of_the_nearest_that_a_search_finds() -> None:
    ivf = build(Family.IVF, PRODUCTS, seed=0).retriever(PRODUCTS)

    everything = ivf.with_effort(Effort(width=64)).recall(QUERIES, 10)
    little = ivf.with_effort(Effort(width=1)).recall(QUERIES, 10)

    assert everything.tolist() == [1.0] * 40
    found, _ = ivf.with_effort(Effort(width=1)).search(QUERIES, 10)
    np.testing.assert_array_equal(little, (found >= best(10)[:, -1:] - 1e-6).mean(axis=1))
    assert 0 < little.mean() < 1


@pytest.mark.parametrize(
    ("similarity", "least", "expected"),
    [
        ([0.9, 0.8], 0.8, 1.0),
        ([0.9, 0.8], 0.85, 0.5),
        ([0.9, -np.inf], 0.8, 0.5),
        ([-np.inf, -np.inf], -1.0, 0.0),
        ([0.8, 0.8], 0.8000001, 1.0),
        ([0.8, 0.8], 0.80001, 0.0),
    ],
)
def test_what_is_recalled(similarity: list[float], least: float, expected: float) -> None:
    found = recalled(np.array([similarity], dtype=np.float32), np.array([least], dtype=np.float32))

    assert found.tolist() == [expected]
