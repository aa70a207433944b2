"""How well and how fast a retriever searches, measured with queries whose answers are known."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import faiss
import numpy as np
from jaxtyping import Float32, Float64

from service.retrievers import Retriever
from service.retrievers.approximate import recalled
from service.retrievers.exact_vectors import ArrayVectors, exact_search
from training.console import progress

RANKS = 10
"""Recall is the found share of so many exactly nearest products."""
TIMED = 100
"""Queries that are timed; more change the median by less than the machine does."""
_BATCH = 64

Stopwatch = Callable[[Retriever, Float32[np.ndarray, "query dim"]], float]
"""Returns the median milliseconds in which a retriever answers one of the queries."""


@dataclass(frozen=True)
class Yardstick:
    """Queries with what comparing every product finds for them.

    Attributes:
        queries: unit vectors, in an order that is drawn by chance.
        tenth: similarity of each query's tenth nearest product, or of the last there is.
        stopwatch: measures the time.
    """

    queries: Float32[np.ndarray, "query dim"]
    tenth: Float32[np.ndarray, " query"]
    stopwatch: Stopwatch

    @classmethod
    def of(
        cls,
        vectors: Float32[np.ndarray, "product dim"],
        queries: Float32[np.ndarray, "query dim"],
        *,
        stopwatch: Stopwatch,
    ) -> "Yardstick":
        """Compare every query with every product."""
        k = min(RANKS, len(vectors))
        exact = ArrayVectors(vectors)
        tenth = np.empty(len(queries), dtype=np.float32)
        with progress(len(queries), "exact answers to tune the index by", unit="queries") as shown:
            for start in range(0, len(queries), _BATCH):
                batch = slice(start, start + _BATCH)
                tenth[batch] = exact_search(exact, queries[batch], k)[0][:, -1]
                shown.advance(len(tenth[batch]))
        return cls(queries, tenth, stopwatch)

    def recall(self, retriever: Retriever) -> float:
        """Return the share of the exactly nearest products that are found, in [0, 1]."""
        return float(np.mean(self._recall(retriever)))

    def reaches(self, retriever: Retriever, promised: float) -> bool:
        """Return whether either half of the queries by itself has the recall promised.

        An average of all queries that was picked for being just enough is a little too good; one
        that each half confirms is less so.
        """
        found = self._recall(retriever)
        halves = (found[::2], found[1::2])
        return all(half.mean() >= promised for half in halves if len(half))

    def milliseconds(self, retriever: Retriever) -> float:
        """Return the median time of one query's search."""
        return self.stopwatch(retriever, self.queries[:TIMED])

    def _recall(self, retriever: Retriever) -> Float64[np.ndarray, " query"]:
        similarity, _ = retriever.search(self.queries, RANKS)
        return recalled(similarity, self.tenth)


def median_milliseconds(retriever: Retriever, queries: Float32[np.ndarray, "query dim"]) -> float:
    """Return the median time of one query's search on one thread, after one to warm up."""
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        retriever.search(queries[:1], RANKS)
        return float(np.median([_seconds(retriever, query) for query in queries])) * 1000
    finally:
        faiss.omp_set_num_threads(threads)


def _seconds(retriever: Retriever, query: Float32[np.ndarray, " dim"]) -> float:
    started = time.perf_counter()
    retriever.search(query[np.newaxis], RANKS)
    return time.perf_counter() - started
