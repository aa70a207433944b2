"""The queries that an index is tuned with: none of them decides a promise of precision."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

FEW = 200
"""Fewer queries than that say too little of a recall of 0.99."""
MOST = 1000
"""So many are enough for it, to about half a per cent."""
NOISE = 0.75
"""Length of the noise added to a product: leaves a cosine of 0.8 with it, as queries have."""


@dataclass(frozen=True)
class TuningQueries:
    """Queries in an order that is drawn by chance; ``source`` says what they are."""

    queries: Float32[np.ndarray, "query dim"]
    source: str


def draw_queries(
    vectors: Float32[np.ndarray, "product dim"],
    queries: Float32[np.ndarray, "given dim"],
    *,
    seed: int,
) -> TuningQueries:
    """Return up to `MOST` of the queries given; where they are `FEW`, products with noise.

    Args:
        vectors: unit vectors of the products.
        queries: unit vectors of validation queries; those that are no numbers are left out.
        seed: of what is drawn.
    """
    chance = np.random.default_rng(seed)
    given = queries[np.isfinite(queries).all(axis=1)]
    if len(given) >= FEW:
        return TuningQueries(given[chance.permutation(len(given))[:MOST]], "validation queries")
    products = vectors[np.sort(chance.choice(len(vectors), min(MOST, len(vectors)), replace=False))]
    noise = chance.normal(0, NOISE / np.sqrt(products.shape[1]), products.shape)
    noisy = products[chance.permutation(len(products))] + noise
    noisy /= np.linalg.norm(noisy, axis=1, keepdims=True)
    return TuningQueries(noisy.astype(np.float32), "products with noise")
