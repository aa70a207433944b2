"""A retriever on the accelerator that the encoder runs on."""

import numpy as np

from service.contract.retriever_record import Family, RetrieverRecord
from service.retrievers.approximate import ApproximateRetriever
from service.retrievers.exact_vectors import ExactVectors
from service.retrievers.flat import FlatRetriever
from service.retrievers.gpu import (
    TEMPORARY_BYTES,
    GpuKind,
    GpuRetriever,
    OwnerThread,
    make_on_gpu,
)
from service.retrievers.retriever import Retriever

ON_GPU: dict[Family, GpuKind] = {
    Family.FLAT: GpuKind.FLAT,
    Family.FP16: GpuKind.FLAT,
    Family.INT8: GpuKind.FLAT,
    Family.IVF: GpuKind.IVF,
    Family.HNSW: GpuKind.CAGRA,
    Family.IVFPQ: GpuKind.IVFPQ,
}
"""What stands on a GPU for each family: the same where FAISS has it, else its like."""


def place_on_gpu(
    retriever: Retriever,
    record: RetrieverRecord | None,
    *,
    temporary_bytes: int = TEMPORARY_BYTES,
) -> GpuRetriever:
    """Return the same products on a GPU, made there anew by a thread that owns it from then on.

    Exact vectors stay where they are; clusters and graphs are made from them on the device, as
    many and visited as widely as the record says.

    Args:
        retriever: as it was opened from a bundle.
        record: what the manifest says of it; None is the exact index of an older bundle.
        temporary_bytes: memory of the device for intermediate results.

    Raises:
        ConfigError: if the installed FAISS knows no GPU, or not this kind of index.
    """
    vectors = exact_vectors_of(retriever)
    family = Family.FLAT if record is None else record.family
    owner = OwnerThread()
    index = owner.call(
        lambda: make_on_gpu(
            ON_GPU[family],
            vectors.take(np.arange(vectors.shape[0])),
            clusters=0 if record is None else record.clusters,
            width=0 if record is None else record.width,
            temporary_bytes=temporary_bytes,
        )
    )
    candidates = 0 if record is None else record.candidates
    return GpuRetriever(index, vectors, owner=owner, family=family, candidates=candidates)


def exact_vectors_of(retriever: Retriever) -> ExactVectors:
    """Return the exact vectors of a retriever that was opened from a bundle.

    Raises:
        TypeError: if it is none of those.
    """
    if isinstance(retriever, FlatRetriever | ApproximateRetriever):
        return retriever.vectors
    message = f"a {type(retriever).__name__} was not opened from a bundle"
    raise TypeError(message)
