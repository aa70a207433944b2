"""An index that compares a part of the catalogue: its best candidates are compared exactly."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import faiss
import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from service.contract.errors import BundleCorruptError
from service.contract.retriever_record import Family
from service.retrievers.exact import must_fit, ranked
from service.retrievers.exact_vectors import ExactVectors, exact_search, missing_as_nan
from service.retrievers.faiss_file import selector
from service.retrievers.retriever import NOT_FOUND, TIES

FEW_SHARE = 0.02
"""Up to this share of allowed products, comparing each of them costs less than a wider search."""
FEW = 1024
"""So few are compared by themselves in any case."""

ROUNDING = 1e-6
"""Two inner products of the same vectors, summed in another order, differ by less."""


@dataclass(frozen=True)
class Effort:
    """How much of an index a search visits; see `RetrieverRecord`."""

    width: int = 0
    candidates: int = 0


Watcher = Callable[["ApproximateRetriever", Float32[np.ndarray, "query dim"]], object]
"""Gets a retriever and the queries that it was just asked."""


class ApproximateRetriever:
    """Nearest products among the candidates of an index; safe to share between threads.

    Attributes:
        family: kind of the index.
        vectors: the exact ones of its products.
        effort: what a search visits.
        watcher: is told of the queries of each search, in its thread; None tells nobody.
    """

    def __init__(
        self, index: faiss.Index, vectors: ExactVectors, *, family: Family, effort: Effort
    ) -> None:
        """Join an index with the vectors of the same products.

        Raises:
            BundleCorruptError: if they are not of the same shape.
        """
        if vectors.shape != (index.ntotal, index.d):
            message = (
                f"the index holds {index.ntotal} products of {index.d} numbers, the exact vectors "
                f"are {vectors.shape[0]} of {vectors.shape[1]}; build the bundle again"
            )
            raise BundleCorruptError(message)
        self._index = index
        self.vectors = vectors
        self.family = family
        self.effort = effort
        self.watcher: Watcher | None = None
        self._unfiltered = _parameters(family, effort.width, None, share=1.0)

    @property
    def products(self) -> int:
        """Return how many products are indexed."""
        return self.vectors.shape[0]

    @property
    def dim(self) -> int:
        """Return the length of an indexed vector."""
        return self.vectors.shape[1]

    def search(
        self,
        queries: Float32[np.ndarray, "query dim"],
        k: int,
        *,
        allowed: Bool[np.ndarray, " product"] | None = None,
    ) -> tuple[Float32[np.ndarray, "query rank"], Int64[np.ndarray, "query rank"]]:
        """Return the best products found for each query; see `Retriever.search`.

        A filtered search visits more of the index the fewer products are allowed, and compares
        the allowed ones exactly where they are few or where the index found too few.
        """
        k = min(k, self.products)
        if self.watcher is not None:
            self.watcher(self, queries)
        if allowed is None:
            return self._search(queries, k)
        must_fit(allowed, self.products)
        return self._search_allowed(queries, k, allowed)

    def similarities(
        self, queries: Float32[np.ndarray, "query dim"], rows: Int64[np.ndarray, "query rank"]
    ) -> Float32[np.ndarray, "query rank"]:
        """Return the similarity of each query to given products; NaN where the row is -1."""
        return missing_as_nan(self.vectors.similarities(queries, rows), rows)

    def recall(
        self, queries: Float32[np.ndarray, "query dim"], k: int
    ) -> Float64[np.ndarray, " query"]:
        """Return the share found of each query's ``k`` nearest, by comparing with all products.

        However long that takes; the watcher is not told.
        """
        k = min(k, self.products)
        exact, _ = exact_search(self.vectors, queries, k)
        return recalled(self._search(queries, k)[0], exact[:, -1])

    def with_effort(self, effort: Effort) -> "ApproximateRetriever":
        """Return a retriever that shares everything with this one but its effort."""
        return ApproximateRetriever(self._index, self.vectors, family=self.family, effort=effort)

    def _search(
        self,
        queries: Float32[np.ndarray, "query dim"],
        k: int,
        *,
        chosen: faiss.IDSelector | None = None,
        share: float = 1.0,
    ) -> tuple[Float32[np.ndarray, "query rank"], Int64[np.ndarray, "query rank"]]:
        parameters = self._unfiltered
        if chosen is not None:
            parameters = _parameters(self.family, self.effort.width, chosen, share=share)
        candidates = min(max(self.effort.candidates, k + TIES), self.products)
        similarity, rows = self._index.search(queries, candidates, params=parameters)
        if self.effort.candidates:
            similarity = self.vectors.similarities(queries, rows)
        return ranked(similarity, rows, k)

    def _search_allowed(
        self,
        queries: Float32[np.ndarray, "query dim"],
        k: int,
        allowed: Bool[np.ndarray, " product"],
    ) -> tuple[Float32[np.ndarray, "query rank"], Int64[np.ndarray, "query rank"]]:
        few = np.flatnonzero(allowed)
        if len(few) <= max(FEW, FEW_SHARE * self.products):
            return exact_search(self.vectors, queries, k, rows=few)
        share = len(few) / self.products
        similarity, rows = self._search(queries, k, chosen=selector(allowed), share=share)
        short = np.flatnonzero(rows[:, min(k, len(few)) - 1] == NOT_FOUND)
        if len(short):
            exact = exact_search(self.vectors, queries[short], k, rows=few)
            similarity[short], rows[short] = exact
        return similarity, rows


def recalled(
    similarity: Float32[np.ndarray, "query rank"], least: Float32[np.ndarray, " query"]
) -> Float64[np.ndarray, " query"]:
    """Return which share of what each query found belongs to its exactly nearest products.

    Args:
        similarity: of the products found, missing ones minus infinity.
        least: of the nearest products, the similarity of the last; whatever ties with it is one
            of them.
    """
    return (similarity >= least[:, np.newaxis] - ROUNDING).mean(axis=1)


def _parameters(
    family: Family, width: int, chosen: faiss.IDSelector | None, *, share: float
) -> faiss.SearchParameters | None:
    """Return what FAISS must know of one search; ``share`` of the products may be found."""
    wanted = {} if chosen is None else {"sel": chosen}
    wider = math.ceil(width / share)
    # pyright: ignore: FAISS lets its types be made with keywords, which its stubs do not know
    match family:
        case Family.HNSW:
            return faiss.SearchParametersHNSW(efSearch=wider, **wanted)  # pyright: ignore
        case Family.IVF | Family.IVFPQ:
            return faiss.SearchParametersIVF(nprobe=wider, **wanted)  # pyright: ignore
        case _:
            return faiss.SearchParameters(**wanted) if wanted else None  # pyright: ignore
