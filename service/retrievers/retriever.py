"""What every family of index gives: the nearest products, with exact similarities."""

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float32, Int64

TIES = 16
"""So many equal products may straddle the last rank and still be ranked in catalogue order."""
NOT_FOUND = -1
"""Stands for the row of a product where there is none; its similarity is minus infinity."""


@runtime_checkable
class Retriever(Protocol):
    """Nearest products by cosine similarity; safe to share between threads."""

    @property
    def products(self) -> int:
        """Return how many products are indexed."""
        ...

    @property
    def dim(self) -> int:
        """Return the length of an indexed vector."""
        ...

    @property
    def family(self) -> str:
        """Return what kind of index it is, for example ``flat``."""
        ...

    def search(
        self,
        queries: Float32[np.ndarray, "query dim"],
        k: int,
        *,
        allowed: Bool[np.ndarray, " product"] | None = None,
    ) -> tuple[Float32[np.ndarray, "query rank"], Int64[np.ndarray, "query rank"]]:
        """Return the best products of each query, best first, equal ones in catalogue order.

        Args:
            queries: unit vectors.
            k: how many products a query gets; fewer where the catalogue has fewer.
            allowed: true at the rows that may be found; None allows all. It filters before the
                search: a query gets ``k`` products if so many are allowed (and, where the index
                is approximate, found).

        Returns:
            Similarities and the products' rows in the catalogue. A similarity is the inner
            product of the query and the very vector that the product is served by, to rounding,
            whatever the index keeps of it; cut to [-1, 1]. Where fewer than ``k`` products are
            allowed or found, row -1 with similarity minus infinity stands at the end.

        Raises:
            ValueError: if ``allowed`` is not of one entry a product.
        """
        ...

    def similarities(
        self, queries: Float32[np.ndarray, "query dim"], rows: Int64[np.ndarray, "query rank"]
    ) -> Float32[np.ndarray, "query rank"]:
        """Return the similarity of each query to given products, as `search` would give it.

        Args:
            queries: unit vectors.
            rows: of products in the catalogue, in any order; -1 for none.

        Returns:
            Inner products, cut to [-1, 1]; NaN where the row is -1.
        """
        ...
