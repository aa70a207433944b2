"""Which rows lie close together, and the order of an epoch's queries that follows from it."""

import faiss
import numpy as np
from jaxtyping import Float32, Int64
from scipy.sparse import csr_array

_ITERATIONS = 8
_BISECTION_ITERATIONS = 4
_CHUNK = 512  # rows that fit into the cache: twice as fast as thousands
_SAMPLED_PER_CLUSTER = 8
_MOST_FOR_K_MEANS = 200_000


def dealt(
    rows: Int64[np.ndarray, " row"],
    cluster_of: Int64[np.ndarray, " query"] | None,
    *,
    seed: int,
    epoch: int,
) -> Int64[np.ndarray, " row"]:
    """Return the rows in a random order, those of one cluster side by side.

    Cut into batches, such an order makes a batch's other products hard negatives at no extra
    cost: sibling models instead of random products.

    Args:
        rows: the queries to deal.
        cluster_of: cluster of each query there is; None deals without clusters.
        seed: of the run; with ``epoch`` it decides the order of clusters and that within each.
        epoch: the epoch that is dealt.

    Source:
        The clustering-aware batches of NGAME, arXiv:2207.04452.
    """
    generator = np.random.default_rng([seed, epoch])
    if cluster_of is None:
        return rows[generator.permutation(len(rows))]
    own = cluster_of[rows]
    place_of_cluster = generator.permutation(int(own.max(initial=-1)) + 1)
    return rows[np.lexsort((generator.random(len(rows)), place_of_cluster[own]))]


def neighbourhoods(
    embeddings: Float32[np.ndarray, "row dim"], *, size: int, seed: int
) -> Int64[np.ndarray, " row"]:
    """Return the neighbourhood of each row: as many rows as lie close together, about ``size``.

    Up to 200,000 rows spherical k-means finds them, which follows the data more closely than
    clusters of one size; beyond, its cost grows out of hand and `balanced_clusters` stands in.

    Args:
        embeddings: unit vectors.
        size: how many rows a neighbourhood has on average, at least 2.
        seed: decides the first centres.

    Source:
        Ours, after NGAME, arXiv:2207.04452, which cuts queries into balanced clusters.
    """
    if len(embeddings) > _MOST_FOR_K_MEANS:
        return balanced_clusters(embeddings, size=size, seed=seed)
    clusters = max(1, len(embeddings) // size)
    return _k_means(embeddings, clusters=clusters, seed=seed, sampled_per_cluster=size * 4)


def cluster_of_products(
    embeddings: Float32[np.ndarray, "product dim"], *, clusters: int, seed: int
) -> Int64[np.ndarray, " product"]:
    """Return the cluster of each product, by spherical k-means.

    The centres are fitted on at most 8 products a cluster. Even so one million products of 384
    numbers in 65,536 clusters cost about 3e14 operations: minutes on 16 cores, an hour on 2.

    Args:
        embeddings: unit vector of each product, at least one product.
        clusters: how many clusters are wanted; there are never more than half the products.
        seed: decides the sample and the first centres.

    Returns:
        Numbers from 0 up to the number of clusters; a cluster may stay empty.

    Source:
        The shared auxiliary vectors of DEXA (KDD 2023) and PRIME, arXiv:2410.20401.
    """
    return _k_means(
        embeddings,
        clusters=max(1, min(clusters, len(embeddings) // 2)),
        seed=seed,
        sampled_per_cluster=_SAMPLED_PER_CLUSTER,
    )


def balanced_clusters(
    embeddings: Float32[np.ndarray, "row dim"], *, size: int, seed: int
) -> Int64[np.ndarray, " row"]:
    """Return the cluster of each row; clusters are even in size and close in direction.

    All rows are halved, then each half, until no part has more than ``size`` rows: the memory
    beside the embeddings is a few numbers a row and one centre a cluster.

    Args:
        embeddings: unit vectors.
        size: how many rows a cluster has at most, at least 1.
        seed: decides where each halving starts, and thereby everything.

    Returns:
        Numbers from 0 without gaps; the sizes of any two clusters differ by at most one row.

    Raises:
        ValueError: if ``size`` is below 1.

    Source:
        The balanced hierarchical 2-means of NGAME's batches, arXiv:2207.04452.
    """
    if size < 1:
        message = f"clusters of at most {size} rows hold nothing; size must be at least 1"
        raise ValueError(message)
    generator = np.random.default_rng(seed)
    order, bounds = np.arange(len(embeddings)), np.array([0, len(embeddings)])
    while np.diff(bounds).max() > size:
        order = _halved(embeddings, order, bounds, generator)
        # a part of one row has no middle of its own: `unique` leaves no cluster empty
        bounds = np.unique(np.concatenate([bounds, _middles(bounds)]))
    cluster_of = np.empty(len(order), dtype=np.int64)
    cluster_of[order] = _part_of_place(bounds)
    return cluster_of


def _halved(
    embeddings: Float32[np.ndarray, "row dim"],
    order: Int64[np.ndarray, " row"],
    bounds: Int64[np.ndarray, " bound"],
    generator: np.random.Generator,
) -> Int64[np.ndarray, " row"]:
    """Return the rows of each part in an order whose two halves lie far from each other.

    A part begins as the half nearest to one of its rows against the rest; then the halves are
    drawn again, a few times, by which of the two centres is nearer, cut at the median.
    """
    part_of_place = _part_of_place(bounds)
    halves = np.sort(np.concatenate([bounds, _middles(bounds)]))
    direction = embeddings[order[generator.integers(bounds[:-1], bounds[1:])]]
    order = _sorted_along(embeddings, order, direction, part_of_place)
    for _ in range(_BISECTION_ITERATIONS):
        centres = _centres(embeddings, order, halves)
        direction = centres[0::2] - centres[1::2]
        order = _sorted_along(embeddings, order, direction, part_of_place)
    return order


def _sorted_along(
    embeddings: Float32[np.ndarray, "row dim"],
    order: Int64[np.ndarray, " row"],
    direction: Float32[np.ndarray, "part dim"],
    part_of_place: Int64[np.ndarray, " row"],
) -> Int64[np.ndarray, " row"]:
    """Return the rows of each part, those farthest along the part's direction first."""
    along = np.empty(len(order), dtype=np.float32)
    for start in range(0, len(order), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        along[chunk] = np.einsum(
            "rd,rd->r", embeddings[order[chunk]], direction[part_of_place[chunk]]
        )  # r: row, d: dim
    return order[np.lexsort((-along, part_of_place))]


def _centres(
    embeddings: Float32[np.ndarray, "row dim"],
    order: Int64[np.ndarray, " row"],
    bounds: Int64[np.ndarray, " bound"],
) -> Float32[np.ndarray, "part dim"]:
    """Return the unit vector of the mean of each part, zeros for an empty part."""
    ones = np.ones(len(order), dtype=np.float32)
    members = csr_array((ones, order, bounds), shape=(len(bounds) - 1, len(order)))
    sums = members @ embeddings
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    return sums / np.maximum(lengths, np.finfo(np.float32).tiny)


def _middles(bounds: Int64[np.ndarray, " bound"]) -> Int64[np.ndarray, " part"]:
    return (bounds[:-1] + bounds[1:]) // 2


def _part_of_place(bounds: Int64[np.ndarray, " bound"]) -> Int64[np.ndarray, " row"]:
    return np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))


def _k_means(
    embeddings: Float32[np.ndarray, "row dim"],
    *,
    clusters: int,
    seed: int,
    sampled_per_cluster: int,
) -> Int64[np.ndarray, " row"]:
    kmeans = faiss.Kmeans(
        embeddings.shape[1],
        clusters,
        niter=_ITERATIONS,
        spherical=True,
        seed=seed,
        min_points_per_centroid=1,  # else FAISS prints a warning
        max_points_per_centroid=sampled_per_cluster,
    )
    kmeans.train(embeddings)
    return kmeans.index.search(embeddings, 1)[1][:, 0]
