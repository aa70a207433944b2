"""Unit vectors that lie in clusters, as those of products do."""

import numpy as np
from jaxtyping import Float32

CLUSTERS = 50


def clustered_units(rows: int, dim: int, *, seed: int = 0) -> Float32[np.ndarray, "row dim"]:
    """Return vectors around a few directions, drawn by chance."""
    chance = np.random.default_rng(seed)
    centres = chance.normal(size=(CLUSTERS, dim))
    vectors = centres[chance.integers(CLUSTERS, size=rows)] + 0.7 * chance.normal(size=(rows, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def near(vectors: Float32[np.ndarray, "row dim"], rows: int) -> Float32[np.ndarray, "query dim"]:
    """Return queries near to some of the vectors."""
    chance = np.random.default_rng(1)
    chosen = vectors[chance.integers(len(vectors), size=rows)]
    queries = chosen + chance.normal(0, 0.6 / np.sqrt(vectors.shape[1]), chosen.shape)
    return (queries / np.linalg.norm(queries, axis=1, keepdims=True)).astype(np.float32)
