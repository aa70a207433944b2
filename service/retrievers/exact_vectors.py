"""The vectors that products are served by, exact, whatever the index keeps of them."""

from pathlib import Path
from typing import Protocol, runtime_checkable

import faiss
import numpy as np
from jaxtyping import Float32, Int64

from service.contract.errors import BundleCorruptError
from service.retrievers.exact import filled, ranked
from service.retrievers.retriever import NOT_FOUND, TIES

LARGE_BYTES = 256 * 1024 * 1024
"""Files of this size are mapped, not read: pages come as they are asked for, and may go again."""
_BLOCK = 16_384


@runtime_checkable
class ExactVectors(Protocol):
    """The vectors of a catalogue by row; safe to share between threads."""

    @property
    def shape(self) -> tuple[int, int]:
        """Return how many there are, and their length."""
        ...

    def take(self, rows: Int64[np.ndarray, " some"]) -> Float32[np.ndarray, "some dim"]:
        """Return the vectors of some rows."""
        ...

    def similarities(
        self, queries: Float32[np.ndarray, "query dim"], rows: Int64[np.ndarray, "query rank"]
    ) -> Float32[np.ndarray, "query rank"]:
        """Return inner products of each query with some rows; anything where a row is -1."""
        ...


class ArrayVectors:
    """Vectors that lie one after the other, in memory or in a mapped file.

    Args:
        array: the vectors.
        owner: the index whose memory they are in, which is kept; None for an array of its own.
    """

    def __init__(
        self, array: Float32[np.ndarray, "product dim"], *, owner: faiss.Index | None = None
    ) -> None:
        self._array = array
        self._owner = owner
        self.shape = (array.shape[0], array.shape[1])

    @classmethod
    def from_file(cls, path: Path) -> "ArrayVectors":
        """Read a ``.npy`` file of float32, or map it where it is large.

        Raises:
            BundleCorruptError: if it is not one.
        """
        try:
            large = path.stat().st_size >= LARGE_BYTES
            array = np.load(path, mmap_mode="r" if large else None, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            message = f"{path} is no file of vectors ({error}); build the bundle again"
            raise BundleCorruptError(message) from error
        if array.dtype != np.float32 or array.ndim != 2 or not array.flags.c_contiguous:  # noqa: PLR2004
            message = (
                f"{path} holds {array.dtype} of shape {array.shape}, not rows of float32; "
                "build the bundle again"
            )
            raise BundleCorruptError(message)
        return cls(array)

    def take(self, rows: Int64[np.ndarray, " some"]) -> Float32[np.ndarray, "some dim"]:
        """Return a copy of the vectors of some rows."""
        return np.asarray(self._array[rows])

    def similarities(
        self, queries: Float32[np.ndarray, "query dim"], rows: Int64[np.ndarray, "query rank"]
    ) -> Float32[np.ndarray, "query rank"]:
        """Return inner products of each query with some rows, without a copy of the vectors."""
        queries, rows = np.ascontiguousarray(queries), np.ascontiguousarray(rows)
        found = np.empty(rows.shape, dtype=np.float32)
        faiss.fvec_inner_products_by_idx(  # pyright: ignore[reportAttributeAccessIssue]
            faiss.swig_ptr(found),
            faiss.swig_ptr(queries),
            faiss.swig_ptr(self._array),
            faiss.swig_ptr(rows),
            self.shape[1],
            *rows.shape,
        )
        return found


class ClusteredVectors:
    """Vectors that an index of clusters holds itself."""

    def __init__(self, index: faiss.IndexIVFFlat) -> None:
        index.make_direct_map()
        self._index = index
        self.shape = (int(index.ntotal), int(index.d))

    def take(self, rows: Int64[np.ndarray, " some"]) -> Float32[np.ndarray, "some dim"]:
        """Return a copy of the vectors of some rows."""
        return self._index.reconstruct_batch(np.ascontiguousarray(rows))

    def similarities(
        self, queries: Float32[np.ndarray, "query dim"], rows: Int64[np.ndarray, "query rank"]
    ) -> Float32[np.ndarray, "query rank"]:
        """Return inner products of each query with some rows."""
        vectors = self.take(np.maximum(rows, 0).ravel()).reshape(*rows.shape, self.shape[1])
        return np.matmul(vectors, queries[:, :, np.newaxis])[:, :, 0]


def exact_search(
    vectors: ExactVectors,
    queries: Float32[np.ndarray, "query dim"],
    k: int,
    *,
    rows: Int64[np.ndarray, " some"] | None = None,
) -> tuple[Float32[np.ndarray, "query k"], Int64[np.ndarray, "query k"]]:
    """Return the ``k`` exactly nearest products of each query, best first, a block at a time.

    Args:
        vectors: of the catalogue.
        queries: unit vectors.
        k: how many a query gets; filled up with row -1.
        rows: of the products compared, rising; None compares all.
    """
    every = np.arange(vectors.shape[0]) if rows is None else rows
    best = filled(np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64), k)
    for start in range(0, len(every), _BLOCK):
        block = every[start : start + _BLOCK]
        found = _nearest(queries @ vectors.take(block).T, block, k + TIES)
        both = (np.concatenate(pair, axis=1) for pair in zip(best, found, strict=True))
        best = ranked(*both, k)
    return best


def _nearest(
    similarity: Float32[np.ndarray, "query some"], rows: Int64[np.ndarray, " some"], k: int
) -> tuple[Float32[np.ndarray, "query few"], Int64[np.ndarray, "query few"]]:
    """Return the ``k`` nearest of a block in any order."""
    if k >= len(rows):
        return similarity, np.broadcast_to(rows, similarity.shape)
    columns = np.argpartition(-similarity, k, axis=1)[:, :k]
    return np.take_along_axis(similarity, columns, 1), rows[columns]


def missing_as_nan(
    similarity: Float32[np.ndarray, "query rank"], rows: Int64[np.ndarray, "query rank"]
) -> Float32[np.ndarray, "query rank"]:
    """Return similarities cut to [-1, 1], and NaN where the row is -1."""
    return np.where(rows == NOT_FOUND, np.float32(np.nan), np.clip(similarity, -1.0, 1.0))
