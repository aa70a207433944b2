"""The catalogue's index: embeddings to the nearest products with FAISS."""

from pathlib import Path

import faiss
import numpy as np
from jaxtyping import Float32, Int64

from service.contract.errors import BundleCorruptError

TIES = 16
"""So many equal products may straddle the last rank and still be ranked in catalogue order."""


class ProductIndex:
    """Nearest products by cosine similarity; safe to share between threads."""

    def __init__(self, index: faiss.Index) -> None:
        self._index = index

    @classmethod
    def from_file(cls, path: Path) -> "ProductIndex":
        """Read an index file.

        Raises:
            BundleCorruptError: if FAISS cannot read it, or it does not rank by inner product.
        """
        try:
            index = faiss.read_index(str(path))
        except RuntimeError as error:
            message = f"{path} is no FAISS index ({error}); build the bundle again"
            raise BundleCorruptError(message) from error
        if index.metric_type != faiss.METRIC_INNER_PRODUCT:
            message = (
                f"{path} ranks by FAISS metric {index.metric_type}, not by inner product; "
                "build the bundle again"
            )
            raise BundleCorruptError(message)
        return cls(index)

    @property
    def products(self) -> int:
        """Return how many products are indexed."""
        return int(self._index.ntotal)

    @property
    def dim(self) -> int:
        """Return the length of an indexed embedding."""
        return int(self._index.d)

    def search(
        self, embeddings: Float32[np.ndarray, "query dim"], k: int
    ) -> tuple[Float32[np.ndarray, "query rank"], Int64[np.ndarray, "query rank"]]:
        """Return the best products of each query, best first, equal ones in catalogue order.

        Args:
            embeddings: unit vectors.
            k: how many products a query gets; fewer where the catalogue has fewer.

        Returns:
            Cosine similarities in [-1, 1] and the products' rows in the catalogue; row -1
            stands at the end where an approximate index finds fewer.
        """
        # FAISS drops any of the products that are equal at its last rank, so it is asked for more
        similarity, rows = self._index.search(embeddings, min(k + TIES, self.products))
        similarity = np.clip(similarity, -1.0, 1.0)
        order = np.lexsort((rows, -similarity, rows < 0), axis=1)[:, :k]
        return np.take_along_axis(similarity, order, 1), np.take_along_axis(rows, order, 1)
