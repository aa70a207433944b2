from pathlib import Path

import faiss
import numpy as np
import pytest

from service.contract.errors import ConfigError
from service.contract.retriever_record import Family
from service.retrievers import FlatRetriever
from service.retrievers.gpu import GpuKind, GpuRetriever, OwnerThread
from service.retrievers.placement import ON_GPU, exact_vectors_of, place_on_gpu
from tests.accelerator import HAS_GPU, NO_GPU

BUILT_FOR_GPU = hasattr(faiss, "StandardGpuResources")


def flat(bundle: Path) -> FlatRetriever:
    return FlatRetriever.from_file(bundle / "products.faiss")


@pytest.mark.parametrize("family", Family)
def test_every_family_of_a_bundle_has_its_like_on_a_gpu(family: Family) -> None:
    assert ON_GPU[family] in GpuKind


def test_what_is_placed_already_is_not_placed_again(tiny_bundle: Path) -> None:
    host = flat(tiny_bundle)
    index = faiss.read_index(str(tiny_bundle / "products.faiss"))
    placed = GpuRetriever(index, host.vectors, owner=OwnerThread(), family="flat")

    assert exact_vectors_of(host) is host.vectors
    with pytest.raises(TypeError, match="a GpuRetriever was not opened from a bundle"):
        exact_vectors_of(placed)


@pytest.mark.skipif(BUILT_FOR_GPU, reason="this FAISS is built for a GPU")
def test_a_faiss_without_a_gpu_is_said_clearly(tiny_bundle: Path) -> None:
    with pytest.raises(ConfigError, match="install the extra `gpu`"):
        place_on_gpu(flat(tiny_bundle), None, temporary_bytes=1 << 20)


@pytest.mark.gpu
@pytest.mark.skipif(not HAS_GPU, reason=NO_GPU)
def test_a_catalogue_on_a_gpu_answers_as_on_the_host(tiny_bundle: Path) -> None:
    host = flat(tiny_bundle)
    queries = host.vectors.take(np.arange(3))

    similarity, rows = place_on_gpu(host, None, temporary_bytes=1 << 24).search(queries, 5)

    expected, expected_rows = host.search(queries, 5)
    np.testing.assert_allclose(similarity, expected, atol=1e-5)
    np.testing.assert_array_equal(rows, expected_rows)
