"""From the files of a bundle to the retriever that its manifest declares."""

from pathlib import Path

import faiss

from service.contract import bundle as bundles
from service.contract.errors import BundleCorruptError
from service.contract.retriever_record import Family, RetrieverRecord
from service.retrievers.approximate import ApproximateRetriever, Effort
from service.retrievers.exact_vectors import ArrayVectors, ClusteredVectors, ExactVectors
from service.retrievers.faiss_file import read_index, stored
from service.retrievers.flat import FlatRetriever
from service.retrievers.retriever import Retriever

KINDS: dict[Family, type[faiss.Index]] = {
    Family.FLAT: faiss.IndexFlat,
    Family.FP16: faiss.IndexScalarQuantizer,
    Family.INT8: faiss.IndexScalarQuantizer,
    Family.IVF: faiss.IndexIVFFlat,
    Family.HNSW: faiss.IndexHNSWFlat,
    Family.IVFPQ: faiss.IndexIVFPQFastScan,
}
"""What FAISS calls the index of each family."""


def open_retriever(folder: Path, record: RetrieverRecord | None) -> Retriever:
    """Return the retriever in a folder of a bundle.

    Args:
        folder: holds the files; their digests were verified, FAISS does not notice wrong bytes.
        record: what the manifest says of it; None, in older bundles, is the exact index.

    Raises:
        BundleCorruptError: if a file is no index or not the one declared, or two do not fit.
    """
    if record is None or record.family is Family.FLAT:
        return FlatRetriever.from_file(folder / bundles.INDEX)
    path = folder / bundles.INDEX
    index = read_index(path)
    if not isinstance(index, KINDS[record.family]):
        message = (
            f"{path} holds a {type(index).__name__}, not the {record.family} index that its "
            "manifest declares; build the bundle again"
        )
        raise BundleCorruptError(message)
    vectors = vectors_inside(index) or ArrayVectors.from_file(folder / bundles.VECTORS)
    effort = Effort(width=record.width, candidates=record.candidates)
    return ApproximateRetriever(index, vectors, family=record.family, effort=effort)


def vectors_inside(index: faiss.Index) -> ExactVectors | None:
    """Return the exact vectors that an index holds itself, or None where it has codes only."""
    match index:
        case faiss.IndexIVFFlat():
            return ClusteredVectors(index)
        case faiss.IndexHNSWFlat():
            return ArrayVectors(stored(index.storage), owner=index)
        case _:
            return None
