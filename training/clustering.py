"""The order in which an epoch asks its queries: which of them become each other's negatives."""

import faiss
import numpy as np
from jaxtyping import Float32, Int

_ITERATIONS = 8


def shuffled(queries: int, *, seed: int, epoch: int) -> Int[np.ndarray, " query"]:
    """Return every row once, in an order that depends on the arguments alone."""
    return np.random.default_rng([seed, epoch]).permutation(queries)


def side_by_side(
    embeddings: Float32[np.ndarray, "query dim"], *, neighbours: int, seed: int, epoch: int
) -> Int[np.ndarray, " query"]:
    """Return every row once, queries of similar products side by side.

    Cut into batches, this order makes a batch's other products hard negatives at no extra
    cost: sibling models instead of random products.

    Args:
        embeddings: unit vector of the product of each query, by the encoder as it stands.
        neighbours: how many queries a cluster has on average, at least 2.
        seed: of the run; with ``epoch`` it decides ties and the order of the clusters.
        epoch: the epoch that is dealt.

    Source:
        After the clustering-aware batches of NGAME, arXiv:2207.04452; clusters of products by
        spherical k-means instead of balanced clusters of queries is this project's own.
    """
    queries, dim = embeddings.shape
    clusters = max(1, queries // neighbours)
    kmeans = faiss.Kmeans(
        dim,
        clusters,
        niter=_ITERATIONS,
        spherical=True,
        seed=seed * 1009 + epoch,
        min_points_per_centroid=1,
        max_points_per_centroid=neighbours * 4,
    )
    kmeans.train(embeddings)
    assigned = kmeans.index.search(embeddings, 1)[1][:, 0]
    generator = np.random.default_rng([seed, epoch])
    place_of_cluster = generator.permutation(clusters)
    # sorted by the cluster's place, at random within a cluster
    return np.lexsort((generator.random(queries), place_of_cluster[assigned]))
