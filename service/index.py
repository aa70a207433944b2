"""The catalogue's index: embeddings to the nearest products with FAISS."""

from pathlib import Path

import faiss
import numpy as np
from jaxtyping import Float32, Int64

from service.contract.errors import BundleCorruptError


class ProductIndex:
    """Nearest products by cosine similarity; safe to share between threads."""

    def __init__(self, index: faiss.Index) -> None:
        self._index = index

    @classmethod
    def from_file(cls, path: Path) -> "ProductIndex":
        """Read an index file.

        Raises:
            BundleCorruptError: if FAISS cannot read it.
        """
        try:
            return cls(faiss.read_index(str(path)))
        except RuntimeError as error:
            message = f"{path} is no FAISS index ({error}); build the bundle again"
            raise BundleCorruptError(message) from error

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
            Cosine similarities in [-1, 1] and the products' rows in the catalogue.
        """
        similarity, rows = self._index.search(embeddings, min(k, self.products))
        similarity = np.clip(similarity, -1.0, 1.0)
        order = np.lexsort((rows, -similarity), axis=1)
        return np.take_along_axis(similarity, order, 1), np.take_along_axis(rows, order, 1)
