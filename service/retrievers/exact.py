"""Exact similarities, and the one order in which products are ranked."""

import numpy as np
from jaxtyping import Bool, Float32, Int64

from service.retrievers.retriever import NOT_FOUND


def ranked(
    similarity: Float32[np.ndarray, "query found"],
    rows: Int64[np.ndarray, "query found"],
    k: int,
) -> tuple[Float32[np.ndarray, "query rank"], Int64[np.ndarray, "query rank"]]:
    """Return the ``k`` best of what was found: by similarity, equal ones by row, missing last.

    Args:
        similarity: inner products; not read where the row is -1.
        rows: of products in the catalogue, in any order; -1 for none.
        k: how many a query gets; fewer where fewer are given.
    """
    missing = rows < 0
    # one query is searched at a time: of ways that give the same, these cost least on small arrays
    similarity = np.minimum(np.maximum(similarity, np.float32(-1)), np.float32(1))
    similarity[missing] = -np.inf
    order = np.lexsort((rows, -similarity, missing), axis=1)[:, :k]
    query = np.arange(len(rows))[:, np.newaxis]
    return similarity[query, order], rows[query, order]


def filled(
    similarity: Float32[np.ndarray, "query rank"], rows: Int64[np.ndarray, "query rank"], k: int
) -> tuple[Float32[np.ndarray, "query k"], Int64[np.ndarray, "query k"]]:
    """Return what was found with row -1 and similarity minus infinity up to rank ``k``."""
    missing = ((0, 0), (0, k - rows.shape[1]))
    return (
        np.pad(similarity, missing, constant_values=-np.inf),
        np.pad(rows, missing, constant_values=NOT_FOUND),
    )


def must_fit(allowed: Bool[np.ndarray, " product"], products: int) -> None:
    """Check that there is one entry a product.

    Raises:
        ValueError: if not.
    """
    if allowed.shape != (products,):
        message = f"allowed has shape {allowed.shape}, it must be ({products},)"
        raise ValueError(message)
