import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import faiss
import numpy as np
import onnxruntime as ort
import pytest

from service.contract.errors import ConfigError
from service.embedded import OnDevice
from service.retrievers import Retriever, gpu
from service.retrievers.exact_vectors import ArrayVectors
from service.retrievers.gpu import GpuKind, GpuRetriever, OwnerThread, make_on_gpu, move_to_gpu
from service.retrievers.in_place import SearchesInPlace
from tests.accelerator import HAS_GPU, NO_GPU
from tests.clustered import clustered_units, near

PRODUCTS = clustered_units(1500, 16)
QUERIES = near(PRODUCTS, 30)
EVERY = QUERIES @ PRODUCTS.T
BUILT_FOR_GPU = hasattr(faiss, "StandardGpuResources")


def flat() -> faiss.IndexFlatIP:
    index = faiss.IndexFlatIP(16)
    index.add(PRODUCTS)
    return index


def on_host() -> GpuRetriever:
    """Return the retriever around an index of the host: all of it but the device."""
    return GpuRetriever(flat(), ArrayVectors(PRODUCTS), owner=OwnerThread(), family="flat")


def test_it_is_a_retriever_that_searches_in_place() -> None:
    assert isinstance(on_host(), Retriever)
    assert isinstance(on_host(), SearchesInPlace)


def test_the_nearest_products_are_found_with_exact_similarities() -> None:
    similarity, rows = on_host().search(QUERIES, 7)

    np.testing.assert_allclose(similarity, -np.sort(-EVERY, axis=1)[:, :7], atol=1e-6)
    np.testing.assert_allclose(on_host().similarities(QUERIES, rows), similarity, atol=1e-6)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.7])
@pytest.mark.parametrize("most", [24, gpu.MOST_RANKS])
def test_only_allowed_products_are_found_and_as_many_as_there_are(
    share: float, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "MOST_RANKS", most)
    allowed = np.random.default_rng(0).random(1500) < share

    similarity, rows = on_host().search(QUERIES, 20, allowed=allowed)

    there = min(20, int(allowed.sum()))
    expected = -np.sort(-np.where(allowed, EVERY, -np.inf), axis=1)[:, :there]
    np.testing.assert_allclose(similarity[:, :there], expected, atol=1e-6)
    assert (rows[:, there:] == -1).all()


def test_one_thread_does_all_and_may_ask_itself() -> None:
    owner = OwnerThread()
    with ThreadPoolExecutor(4) as pool:
        threads = set(pool.map(lambda _: owner.call(threading.get_ident), range(40)))

    nested = owner.call(lambda: owner.call(threading.get_ident))

    owner.close()
    assert threads == {nested}
    assert threading.get_ident() not in threads


def test_a_rough_index_is_compared_exactly_also_in_place() -> None:
    rough = faiss.IndexFlatIP(16)
    rough.add(np.round(PRODUCTS, 1).astype(np.float32))
    retriever = GpuRetriever(
        rough, ArrayVectors(PRODUCTS), owner=OwnerThread(), family="int8", candidates=400
    )
    there = OnDevice(ort.OrtValue.ortvalue_from_numpy(QUERIES), texts=len(QUERIES), dim=16)

    similarity, rows = retriever.search_in_place(there, 5)

    assert similarity == pytest.approx(-np.sort(-EVERY, axis=1)[:, :5], abs=1e-6)
    np.testing.assert_array_equal(rows, retriever.search(QUERIES, 5)[1])


def test_the_index_goes_with_its_retriever_in_the_thread_that_owns_it() -> None:
    owner, index = OwnerThread(), flat()
    gone = weakref.ref(index)
    mine = owner.call(threading.get_ident)
    threads: list[int] = []
    weakref.finalize(index, lambda: threads.append(threading.get_ident()))
    retriever = GpuRetriever(index, ArrayVectors(PRODUCTS), owner=owner, family="flat")
    del index

    del retriever
    owner.close()  # waits for what the thread still has to do

    assert gone() is None
    assert threads == [mine]


def test_what_the_owner_raises_reaches_the_caller() -> None:
    owner = OwnerThread()

    with pytest.raises(ZeroDivisionError):
        owner.call(lambda: 1 / 0)

    assert owner.call(lambda: 3) == 3
    owner.close()


@pytest.mark.skipif(BUILT_FOR_GPU, reason="this FAISS is built for a GPU")
@pytest.mark.parametrize("kind", GpuKind)
def test_a_faiss_without_a_gpu_is_said_clearly(kind: GpuKind) -> None:
    with pytest.raises(ConfigError, match=f"has no {kind}; install the extra `gpu`"):
        make_on_gpu(kind, PRODUCTS, clusters=8)
    with pytest.raises(ConfigError, match="has no StandardGpuResources; install the extra `gpu`"):
        move_to_gpu(flat())


@pytest.mark.gpu
@pytest.mark.skipif(not HAS_GPU, reason=NO_GPU)
@pytest.mark.parametrize("kind", [*GpuKind, None])
def test_an_index_on_a_device_finds_nearly_what_comparing_everything_finds(
    kind: GpuKind | None,
) -> None:
    if kind is not None and not hasattr(faiss, kind):
        pytest.skip(f"this FAISS has no {kind}")
    owner = OwnerThread()
    index = owner.call(
        lambda: move_to_gpu(flat()) if kind is None else make_on_gpu(kind, PRODUCTS, clusters=8)
    )
    retriever = GpuRetriever(
        index, ArrayVectors(PRODUCTS), owner=owner, family=str(kind), candidates=128
    )

    similarity, _ = retriever.search(QUERIES, 10)

    least = -np.sort(-EVERY, axis=1)[:, 9:10]
    assert (similarity >= least - 1e-5).mean() > 0.5
