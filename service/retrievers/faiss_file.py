"""FAISS, as all families use it: index files, and filters of a search."""

from pathlib import Path

import faiss
import numpy as np
from jaxtyping import Bool, Float32

from service.contract.errors import BundleCorruptError
from service.retrievers.exact_vectors import LARGE_BYTES


def read_index(path: Path) -> faiss.Index:
    """Return the index in a file.

    Raises:
        BundleCorruptError: if FAISS cannot read it, or it does not rank by inner product.
    """
    try:
        large = path.stat().st_size >= LARGE_BYTES
        index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC if large else 0)
    except (OSError, RuntimeError) as error:
        message = f"{path} is no FAISS index ({error}); build the bundle again"
        raise BundleCorruptError(message) from error
    if index.metric_type != faiss.METRIC_INNER_PRODUCT:
        message = (
            f"{path} ranks by FAISS metric {index.metric_type}, not by inner product; "
            "build the bundle again"
        )
        raise BundleCorruptError(message)
    return index


def stored(index: faiss.Index) -> Float32[np.ndarray, "product dim"]:
    """Return the vectors of an exact index where they lie; it must live as long as they."""
    first = faiss.downcast_index(index).get_xb()  # pyright: ignore[reportAttributeAccessIssue]
    vectors = faiss.rev_swig_ptr(first, index.ntotal * index.d)
    return vectors.reshape(index.ntotal, index.d)


def selector(allowed: Bool[np.ndarray, " product"]) -> faiss.IDSelector:
    """Return what lets a search find the allowed rows only."""
    bitmap = np.packbits(allowed, bitorder="little")
    return faiss.IDSelectorBitmap(bitmap)  # pyright: ignore[reportCallIssue]  # faiss wraps it
