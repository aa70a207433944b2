"""How the index of each family is made from vectors, and how large it will be."""

import math
from dataclasses import dataclass

import faiss
import numpy as np
from jaxtyping import Float32

from service.contract.retriever_record import Family
from service.retrievers.approximate import ApproximateRetriever, Effort
from service.retrievers.exact_vectors import ArrayVectors
from service.retrievers.opening import vectors_inside

NEIGHBOURS = 32
"""Of a product in the graph of ``hnsw``; twice as many on its lowest floor."""
BUILD_WIDTH = 200
"""Length of the list with which the graph's neighbours are looked for."""
TRAINED_ON = 64
"""Products a cluster that the clusters are made from."""
CODE_DIM = 2
"""Numbers of a vector that share one four-bit code of ``ivfpq``."""
LEAST_PRODUCTS = 16
"""A catalogue below that cannot fill the sixteen entries of a four-bit code book."""
IP = faiss.METRIC_INNER_PRODUCT
_BLOCK = 65_536


@dataclass(frozen=True)
class Built:
    """An index in memory with what is needed to write it down.

    Attributes:
        index: as FAISS made it.
        clusters: into how many the products are divided; 0 where the family has none.
    """

    family: Family
    index: faiss.Index
    clusters: int

    @property
    def keeps_vectors(self) -> bool:
        """Return whether the index holds the exact vectors, so that no other file must."""
        return self.family in (Family.FLAT, Family.IVF, Family.HNSW)

    def retriever(self, vectors: Float32[np.ndarray, "product dim"]) -> ApproximateRetriever:
        """Return the retriever that the bundle will open, without effort yet; not of ``flat``."""
        exact = vectors_inside(self.index) or ArrayVectors(vectors)
        return ApproximateRetriever(self.index, exact, family=self.family, effort=Effort())


def build(family: Family, vectors: Float32[np.ndarray, "product dim"], *, seed: int) -> Built:
    """Return the index of a family over all vectors, rows in their order.

    The same vectors and seed give the same index, but for ``hnsw`` on several threads, whose graph
    depends on which of them comes first.
    """
    products, dim = vectors.shape
    clusters = clusters_of(products) if family in (Family.IVF, Family.IVFPQ) else 0
    index = _empty(family, dim, clusters)
    if clusters:
        index.cp.seed = seed  # pyright: ignore[reportAttributeAccessIssue]  # it is clustered
    index.train(_sample(vectors, TRAINED_ON * max(clusters, 256), seed=seed))
    for start in range(0, products, _BLOCK):
        index.add(np.ascontiguousarray(vectors[start : start + _BLOCK]))
    return Built(family, index, clusters)


def size_bytes(family: Family, products: int, dim: int) -> int:
    """Return about how much memory the index of a family takes, exact vectors beside it apart.

    Example:
        >>> size_bytes(Family.FLAT, 1_000_000, 384)
        1536000000
    """
    lists = 8 * products + 4 * dim * clusters_of(products)  # rows, and the clusters' centres
    match family:
        case Family.FLAT:
            return 4 * dim * products
        case Family.FP16:
            return 2 * dim * products
        case Family.INT8:
            return dim * products
        case Family.IVF:
            return 4 * dim * products + 2 * lists  # once more for the way from rows to lists
        case Family.HNSW:
            return (4 * dim + 4 * 2 * NEIGHBOURS + 4 * NEIGHBOURS // 16 + 16) * products
        case Family.IVFPQ:
            return math.ceil(codes_of(dim) / 2) * products + lists


def clusters_of(products: int) -> int:
    """Return into how many clusters so many products are divided: a power of two.

    Example:
        >>> [clusters_of(products) for products in (1, 100, 10_000, 1_000_000)]
        [1, 2, 256, 4096]
    """
    wanted = min(4 * math.sqrt(products), products / 39)  # FAISS asks for 39 products a cluster
    return 2 ** round(math.log2(max(1.0, wanted)))


def codes_of(dim: int) -> int:
    """Return how many four-bit codes stand for a vector; they divide its length evenly."""
    return dim // CODE_DIM if dim % CODE_DIM == 0 else dim


def _empty(family: Family, dim: int, clusters: int) -> faiss.Index:
    match family:
        case Family.FLAT:
            return faiss.IndexFlatIP(dim)
        case Family.FP16:
            return faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_fp16, IP)
        case Family.INT8:
            return faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_8bit, IP)
        case Family.HNSW:
            index = faiss.IndexHNSWFlat(dim, NEIGHBOURS, IP)
            index.hnsw.efConstruction = BUILD_WIDTH
            return index
        case Family.IVF:
            return _clustered(faiss.IndexIVFFlat(faiss.IndexFlatIP(dim), dim, clusters, IP))
        case Family.IVFPQ:
            codes = codes_of(dim)
            centres = faiss.IndexFlatIP(dim)
            index = faiss.IndexIVFPQFastScan(centres, dim, clusters, codes, 4, IP)
            index.pq.cp.min_points_per_centroid = 1  # of each code book, as of the clusters
            return _clustered(index)


def _clustered(index: faiss.IndexIVF) -> faiss.IndexIVF:
    index.cp.spherical = True
    index.cp.niter = 10
    index.cp.max_points_per_centroid = TRAINED_ON
    index.cp.min_points_per_centroid = 1  # else it complains on the screen
    return index


def _sample(
    vectors: Float32[np.ndarray, "product dim"], rows: int, *, seed: int
) -> Float32[np.ndarray, "some dim"]:
    if len(vectors) <= rows:
        return np.ascontiguousarray(vectors)
    chosen = np.random.default_rng(seed).choice(len(vectors), rows, replace=False)
    return np.asarray(vectors[np.sort(chosen)])
