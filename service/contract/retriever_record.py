"""What a manifest says of the index: its family, how it is searched, what was measured of it."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from service.contract.record import Count, Ratio, Record

_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Family(StrEnum):
    """A kind of index.

    ``flat`` compares every product exactly. ``fp16`` and ``int8`` compare every product by
    rounded numbers, ``ivf`` those of the nearest clusters exactly, ``hnsw`` walks a graph of
    neighbours, ``ivfpq`` compares those of the nearest clusters by short codes.
    """

    FLAT = "flat"
    FP16 = "fp16"
    INT8 = "int8"
    IVF = "ivf"
    HNSW = "hnsw"
    IVFPQ = "ivfpq"


class RetrieverRecord(Record):
    """The index inside the bundle.

    Attributes:
        family: kind of the index.
        clusters: into how many the products are divided; 0 where the family has none.
        width: how much of the index a search visits: clusters of ``ivf`` and ``ivfpq``, length
            of the list of ``hnsw``; 0 where all of it is.
        candidates: how many of the nearest by the index are compared exactly; 0 where the index
            itself is exact.
        promised_recall: share of the ten exactly nearest products that was asked for.
        recall: the share found, on average over the queries it was measured with.
        search_ms: median time of one query's search on one thread, on the machine of the build.
        flat_ms: the same of the exact index; None where that was not built.
        queries: how many queries both were measured with.
        queries_from: what they are.
        memory_bytes: size of the index; exact vectors beside it are read from the file.
        files: of the bundle, what the index is read from.
        seed: of the clusters, of the queries and of their halves.
    """

    family: Family
    clusters: Count = 0
    width: Count = 0
    candidates: Count = 0
    promised_recall: Ratio
    recall: Ratio
    search_ms: _Positive
    flat_ms: _Positive | None = None
    queries: Annotated[int, Field(ge=1)]
    queries_from: str
    memory_bytes: Annotated[int, Field(ge=1)]
    files: tuple[str, ...]
    seed: int
