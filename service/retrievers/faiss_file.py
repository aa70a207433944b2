"""FAISS, as all families use it: index files, and filters of a search."""

from pathlib import Path

import faiss
import numpy as np
from jaxtyping import Bool

from service.contract.errors import BundleCorruptError


def read_index(path: Path) -> faiss.Index:
    """Return the index in a file.

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
    return index


def only(allowed: Bool[np.ndarray, " product"]) -> faiss.SearchParameters:
    """Return the parameters of a search that finds the allowed rows only."""
    bitmap = np.packbits(allowed, bitorder="little")
    selector = faiss.IDSelectorBitmap(bitmap)  # pyright: ignore[reportCallIssue]  # faiss wraps it
    return faiss.SearchParameters(sel=selector)  # pyright: ignore[reportCallIssue]  # the same
