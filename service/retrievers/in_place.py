"""Search with query vectors that never left the device: FAISS reads them where they lie."""

from typing import Protocol, runtime_checkable

import faiss
import numpy as np
from jaxtyping import Bool, Float32, Int64

from service.embedded import OnDevice
from service.retrievers.retriever import Retriever


@runtime_checkable
class SearchesInPlace(Protocol):
    """A retriever whose index lies on the device that the encoder runs on."""

    def search_in_place(
        self, queries: OnDevice, k: int
    ) -> tuple[Float32[np.ndarray, "query rank"], Int64[np.ndarray, "query rank"]]:
        """Return what `Retriever.search` does, for vectors on the device."""
        ...


def search_where_they_lie(
    retriever: Retriever,
    queries: Float32[np.ndarray, "query dim"],
    k: int,
    *,
    allowed: Bool[np.ndarray, " product"] | None,
    there: OnDevice | None,
) -> tuple[Float32[np.ndarray, "query rank"], Int64[np.ndarray, "query rank"]]:
    """Return what `Retriever.search` does, on the device where queries and index are both there.

    Args:
        retriever: what is asked.
        queries: unit vectors in the host's memory.
        k: how many products a query gets.
        allowed: true at the rows that may be found; only the host can filter.
        there: vectors on the device, of which ``queries`` are some in the same order; used where
            they are all of them.
    """
    if there is None or there.texts != len(queries) or allowed is not None:
        return retriever.search(queries, k, allowed=allowed)
    if isinstance(retriever, SearchesInPlace):
        return retriever.search_in_place(there, k)
    return retriever.search(queries, k)


def search_pointer(
    index: faiss.Index, queries: OnDevice, k: int
) -> tuple[Float32[np.ndarray, "query rank"], Int64[np.ndarray, "query rank"]]:
    """Return what FAISS finds for vectors at an address, as `faiss.Index.search` would.

    Args:
        index: on the CPU, or on the device that holds the vectors; its results come to the host.
        queries: unit vectors of the index's length.
        k: how many a query gets, at least 1.

    Raises:
        ValueError: if the vectors are of another length than the index's: FAISS would read on.
    """
    if queries.dim != index.d:
        message = f"vectors of {queries.dim} numbers were given to an index of {index.d}"
        raise ValueError(message)
    similarity = np.empty((queries.texts, k), dtype=np.float32)
    rows = np.empty((queries.texts, k), dtype=np.int64)
    raw_search = index.search_c  # pyright: ignore[reportAttributeAccessIssue]  # made by SWIG
    raw_search(
        queries.texts,
        faiss.cast_integer_to_float_ptr(queries.pointer),
        k,
        faiss.swig_ptr(similarity),
        faiss.swig_ptr(rows),
    )
    return similarity, rows
