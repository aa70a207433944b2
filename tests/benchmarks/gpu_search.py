"""Search in clustered vectors: each index of a GPU beside the exact one of the CPU."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import faiss
import numpy as np
from jaxtyping import Float32

from service.retrievers import FlatRetriever, Retriever
from service.retrievers.exact_vectors import ArrayVectors
from service.retrievers.gpu import GpuKind, GpuRetriever, OwnerThread, make_on_gpu
from tests.benchmarks.gpu_encode import RANKS, runs_a_second
from tests.clustered import clustered_units, near
from training.console import first_line

DIM = 384
CANDIDATES = 256
"""Of a rough index, so many are compared exactly."""
BLOCK = 20_000
SHARE_VISITED = 16
"""One of so many clusters is visited."""
TRUE_QUERIES = 256
"""Queries that recall is counted on."""
TIE = 1e-5

Make = Callable[[Float32[np.ndarray, "product dim"]], Retriever]


def products(rows: int, *, dim: int = DIM) -> Float32[np.ndarray, "product dim"]:
    """Return unit vectors in clusters, made in blocks so that they need no second such memory."""
    vectors = np.empty((rows, dim), dtype=np.float32)
    for start in range(0, rows, BLOCK):
        block = vectors[start : start + BLOCK]
        block[:] = clustered_units(len(block), dim, seed=start)
    return vectors


def exact_on_cpu(vectors: Float32[np.ndarray, "product dim"]) -> Retriever:
    """Return the index that the others are compared with."""
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    return FlatRetriever(index)


def on_gpu(kind: GpuKind) -> Make:
    """Return what makes such an index on the GPU."""

    def make(vectors: Float32[np.ndarray, "product dim"]) -> Retriever:
        owner = OwnerThread()
        clusters = max(1, round(4 * math.sqrt(len(vectors))))
        width = max(1, clusters // SHARE_VISITED)
        index = owner.call(lambda: make_on_gpu(kind, vectors, clusters=clusters, width=width))
        candidates = CANDIDATES if kind is GpuKind.IVFPQ else 0
        return GpuRetriever(
            index, ArrayVectors(vectors), owner=owner, family=kind, candidates=candidates
        )

    return make


GPU_INDICES: Mapping[str, Make] = {f"gpu {kind}": on_gpu(kind) for kind in GpuKind}


def search_figures(
    vectors: Float32[np.ndarray, "product dim"],
    indices: Mapping[str, Make],
    *,
    batch_sizes: Sequence[int],
    seconds: float,
) -> tuple[dict[str, Any], list[str]]:
    """Return figures of the exact index of the CPU and of ``indices``, and what failed.

    An index that fails, as for want of memory, leaves the figures of the others.

    Args:
        vectors: of the products.
        indices: what makes each of them, by its name in the report.
        batch_sizes: queries of a search.
        seconds: how long each size is measured.
    """
    queries = near(vectors, max(*batch_sizes, TRUE_QUERIES))
    figures: dict[str, Any] = {}
    failures: list[str] = []
    tenth: Float32[np.ndarray, "query 1"] | None = None
    for name, make in {"cpu IndexFlatIP": exact_on_cpu, **indices}.items():
        try:
            started = time.perf_counter()
            retriever = make(vectors)
            built = time.perf_counter() - started
            similarity, _ = retriever.search(queries[:TRUE_QUERIES], RANKS)
            tenth = similarity[:, -1:] if tenth is None else tenth
            figures[name] = {
                "build_seconds": round(built, 3),
                "recall_at_10": round(recall(similarity, tenth), 4),
                "queries_a_second": {
                    str(size): _query_rate(retriever, queries[:size], seconds)
                    for size in batch_sizes
                },
            }
        except Exception as error:  # FAISS' and CUDA's errors share no public base class
            failures.append(f"search in {len(vectors)} by {name}: {first_line(error)}")
    return figures, failures


def recall(
    found: Float32[np.ndarray, "query rank"], tenth: Float32[np.ndarray, "query 1"]
) -> float:
    """Return the share of ranks that hold a product no farther than the true tenth.

    >>> recall(np.float32([[0.9, 0.7]]), np.float32([[0.8]]))
    0.5
    """
    return float((found >= tenth - TIE).mean())


def _query_rate(
    retriever: Retriever, queries: Float32[np.ndarray, "query dim"], seconds: float
) -> float:
    rate = runs_a_second(lambda: retriever.search(queries, RANKS), seconds=seconds)
    return round(len(queries) * rate, 1)
