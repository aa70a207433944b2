"""The exact index: every product is compared with every query."""

from pathlib import Path

import faiss
import numpy as np
from jaxtyping import Bool, Float32, Int64

from service.contract.errors import BundleCorruptError
from service.contract.retriever_record import Family
from service.retrievers.exact import must_fit, ranked
from service.retrievers.exact_vectors import ArrayVectors, exact_search, missing_as_nan
from service.retrievers.faiss_file import read_index, selector, stored
from service.retrievers.retriever import TIES

FEW = 1024
"""So few allowed products are compared by themselves, without a walk over the others."""


class FlatRetriever:
    """Nearest products by comparing all of them; safe to share between threads."""

    family = Family.FLAT

    def __init__(self, index: faiss.IndexFlat) -> None:
        self._index = index
        self.vectors = ArrayVectors(stored(index), owner=index)

    @classmethod
    def from_file(cls, path: Path) -> "FlatRetriever":
        """Read an index file.

        Raises:
            BundleCorruptError: if FAISS cannot read it, or it is no exact index of inner products.
        """
        index = read_index(path)
        if not isinstance(index, faiss.IndexFlat):
            message = f"{path} holds a {type(index).__name__}, not an exact index; build it again"
            raise BundleCorruptError(message)
        return cls(index)

    @property
    def products(self) -> int:
        """Return how many products are indexed."""
        return int(self._index.ntotal)

    @property
    def dim(self) -> int:
        """Return the length of an indexed vector."""
        return int(self._index.d)

    def search(
        self,
        queries: Float32[np.ndarray, "query dim"],
        k: int,
        *,
        allowed: Bool[np.ndarray, " product"] | None = None,
    ) -> tuple[Float32[np.ndarray, "query rank"], Int64[np.ndarray, "query rank"]]:
        """Return the best products of each query; see `Retriever.search`."""
        k = min(k, self.products)
        # FAISS drops any of the products that are equal at its last rank, so it is asked for more
        more = min(k + TIES, self.products)
        if allowed is None:
            return ranked(*self._index.search(queries, more), k)
        must_fit(allowed, self.products)
        rows = np.flatnonzero(allowed)
        if len(rows) <= FEW:
            return exact_search(self.vectors, queries, k, rows=rows)
        chosen = faiss.SearchParameters(sel=selector(allowed))  # pyright: ignore[reportCallIssue]
        return ranked(*self._index.search(queries, more, params=chosen), k)

    def similarities(
        self, queries: Float32[np.ndarray, "query dim"], rows: Int64[np.ndarray, "query rank"]
    ) -> Float32[np.ndarray, "query rank"]:
        """Return the similarity of each query to given products; NaN where the row is -1."""
        return missing_as_nan(self.vectors.similarities(queries, rows), rows)
