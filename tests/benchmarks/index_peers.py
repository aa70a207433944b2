"""The indices that ours are compared with: FAISS's exact one, hnswlib and usearch."""

import importlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import faiss
import numpy as np
from jaxtyping import Float32, Integer

NEIGHBOURS = 16
"""Of a product in the graph; what both libraries take by themselves."""
BUILD_WIDTH = 200
RANKS = 10

Searcher = Callable[[Float32[np.ndarray, "1 dim"]], Integer[np.ndarray, "1 rank"]]
"""Returns the rows that are found for a query."""
Ways = Iterator[tuple[str, Searcher]]


def flat_searcher(vectors: Float32[np.ndarray, "product dim"]) -> Searcher:
    """Return a search in FAISS's exact index, without anything of ours around it."""
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(np.ascontiguousarray(vectors))
    return lambda query: index.search(query, RANKS)[1]


def hnswlib_ways(
    vectors: Float32[np.ndarray, "product dim"], widths: Sequence[int], threads: int
) -> Ways | None:
    """Return searches of several widths in hnswlib's graph; None where it is not installed."""
    hnswlib = _installed("hnswlib")
    return None if hnswlib is None else _hnswlib_ways(hnswlib, vectors, widths, threads)


def usearch_ways(
    vectors: Float32[np.ndarray, "product dim"], widths: Sequence[int], threads: int
) -> Ways | None:
    """Return searches of several widths in usearch's graph; None where it is not installed."""
    usearch = _installed("usearch.index")
    return None if usearch is None else _usearch_ways(usearch, vectors, widths, threads)


PEERS = {"hnswlib": hnswlib_ways, "usearch": usearch_ways}


def _hnswlib_ways(
    hnswlib: Any, vectors: Float32[np.ndarray, "product dim"], widths: Sequence[int], threads: int
) -> Ways:
    index = hnswlib.Index(space="ip", dim=vectors.shape[1])
    index.init_index(
        max_elements=len(vectors), ef_construction=BUILD_WIDTH, M=NEIGHBOURS, random_seed=0
    )
    index.add_items(np.asarray(vectors), num_threads=threads)
    for width in widths:

        def search(query: Float32[np.ndarray, "1 dim"], width: int = width) -> Any:
            index.set_ef(width)
            return index.knn_query(query, k=RANKS, num_threads=1)[0].astype(np.int64)

        yield f"ef={width}", search


def _usearch_ways(
    usearch: Any, vectors: Float32[np.ndarray, "product dim"], widths: Sequence[int], threads: int
) -> Ways:
    index = usearch.Index(
        ndim=vectors.shape[1],
        metric="ip",
        dtype="f32",
        connectivity=NEIGHBOURS,
        expansion_add=BUILD_WIDTH,
    )
    index.add(np.arange(len(vectors)), np.asarray(vectors), threads=threads)
    for width in widths:

        def search(query: Float32[np.ndarray, "1 dim"], width: int = width) -> Any:
            index.expansion_search = width
            found = index.search(query[0], RANKS, threads=1).keys
            return found.astype(np.int64)[np.newaxis]

        yield f"expansion_search={width}", search


def _installed(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        return None
