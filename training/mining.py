"""Hard negatives: the products that an encoder takes for right and that nobody marked so."""

from collections.abc import Sequence
from dataclasses import dataclass

import faiss
import numpy as np
from jaxtyping import Bool, Float32, Int64

EXACT_PAIRS = 20_000_000_000
"""Up to so many pairs of query and product every pair is compared."""

WIDEST = 2048
"""How many of a query's nearest products are looked at, at most; FAISS on a GPU has no more."""

_BLOCK = 4096
_ROUNDING = 1e-6
_LEAST_PROBES = 16
_TRAINED_PER_LIST = 64


@dataclass(frozen=True)
class _Block:
    """Some queries with their known positives.

    Attributes:
        embeddings: unit vector of each query.
        owners: the query of each known positive, as a row of this block.
        positives: the product row of each known positive.
    """

    embeddings: Float32[np.ndarray, "query dim"]
    owners: Int64[np.ndarray, " positive"]
    positives: Int64[np.ndarray, " positive"]

    @classmethod
    def of(
        cls, embeddings: Float32[np.ndarray, "query dim"], positives: Sequence[Sequence[int]]
    ) -> "_Block":
        counts = [len(rows) for rows in positives]
        return cls(
            embeddings=embeddings,
            owners=np.repeat(np.arange(len(counts)), counts),
            positives=np.array([row for rows in positives for row in rows], dtype=np.int64),
        )

    @property
    def most_positives(self) -> int:
        return int(np.bincount(self.owners).max(initial=0))


def mine_hard_negatives(
    query_embeddings: Float32[np.ndarray, "query dim"],
    product_embeddings: Float32[np.ndarray, "product dim"],
    positives: Sequence[Sequence[int]],
    *,
    depth: int,
    skip_margin: float | None,
    exact_pairs: int = EXACT_PAIRS,
) -> Int64[np.ndarray, "query depth"]:
    """Return for each query the products of highest similarity that are no known positive.

    One million queries and products are feasible: they pass in blocks, and above ``exact_pairs``
    an inverted file compares each query with the products near it only, so a few per cent of the
    hard negatives may be others of like similarity.

    Args:
        query_embeddings: unit vectors by the encoder as it stands.
        product_embeddings: unit vectors by the same encoder, at least one.
        positives: the product rows known to be right for each query, maybe none.
        depth: how many negatives a query gets, from 1 to `WIDEST`.
        skip_margin: a negative is left out as a likely false negative where its similarity
            exceeds that of the query's best positive by more than this; below zero also those
            that come near it from below. A query without a positive loses none. None: all stay.
        exact_pairs: up to so many pairs of query and product every pair is compared.

    Returns:
        Product rows, most similar first, then -1 where the query's `WIDEST` nearest products, or
        those near it that the inverted file looks at, hold fewer negatives.

    Raises:
        ValueError: if ``depth`` is out of range, ``positives`` has not one entry a query, or a
            positive is no row of the products.
    """
    queries, products = len(query_embeddings), len(product_embeddings)
    _check(positives, queries=queries, products=products, depth=depth)
    index = _index(product_embeddings, is_exact=queries * products <= exact_pairs)
    found = np.full((queries, depth), -1, dtype=np.int64)
    for start in range(0, queries, _BLOCK):
        rows = slice(start, start + _BLOCK)
        block = _Block.of(query_embeddings[rows], positives[rows])
        limits = _limits(block, product_embeddings, skip_margin)
        found[rows] = _negatives(block, index, limits, depth)
    return found


def _check(positives: Sequence[Sequence[int]], *, queries: int, products: int, depth: int) -> None:
    if not 1 <= depth <= WIDEST:
        message = f"depth is {depth}; a query can have from 1 to {WIDEST} hard negatives"
        raise ValueError(message)
    if len(positives) != queries:
        message = f"{len(positives)} lists of positives for {queries} queries; give one each"
        raise ValueError(message)
    if any(not 0 <= row < products for rows in positives for row in rows):
        message = f"a positive is no row of the {products} products"
        raise ValueError(message)


def _limits(
    block: _Block,
    product_embeddings: Float32[np.ndarray, "product dim"],
    skip_margin: float | None,
) -> Float32[np.ndarray, " query"]:
    """Return the similarity above which a negative is likely a false one, infinite for never."""
    best = np.full(len(block.embeddings), -np.inf, dtype=np.float32)
    if skip_margin is not None:
        similarity = np.vecdot(block.embeddings[block.owners], product_embeddings[block.positives])
        np.maximum.at(best, block.owners, similarity)
    # the search adds in another order: what ties with the limit must not fall to rounding
    return np.where(np.isinf(best), np.inf, best + np.float32((skip_margin or 0) + _ROUNDING))


def _negatives(
    block: _Block,
    index: faiss.Index,
    limits: Float32[np.ndarray, " query"],
    depth: int,
) -> Int64[np.ndarray, "query depth"]:
    """Return the negatives of a block, searching on where too many hits were left out."""
    widest = min(index.ntotal, WIDEST)
    width = min(widest, depth + block.most_positives)
    found = np.full((len(limits), depth), -1, dtype=np.int64)
    short = np.arange(len(limits))
    while len(short):
        similarity, rows = index.search(block.embeddings[short], width)
        is_kept = (rows >= 0) & (similarity <= limits[short, None])
        is_kept &= ~_is_positive(block, short, rows, index.ntotal)
        first = _first_kept(rows, is_kept, depth)
        found[short, : first.shape[1]] = first
        if width == widest:
            break
        short = short[is_kept.sum(axis=1) < depth]
        width = min(widest, width * 4)
    return found


def _is_positive(
    block: _Block,
    queries: Int64[np.ndarray, " asked"],
    rows: Int64[np.ndarray, "asked hit"],
    products: int,
) -> Bool[np.ndarray, "asked hit"]:
    """Return which hits are known positives: pairs are compared as one number each."""
    return np.isin(queries[:, None] * products + rows, block.owners * products + block.positives)


def _first_kept(
    rows: Int64[np.ndarray, "query hit"], is_kept: Bool[np.ndarray, "query hit"], depth: int
) -> Int64[np.ndarray, "query first"]:
    """Return the first ``depth`` kept hits of each query, -1 where there are fewer."""
    kept_first = np.argsort(~is_kept, axis=1, kind="stable")[:, :depth]
    return np.take_along_axis(np.where(is_kept, rows, -1), kept_first, axis=1)


def _index(
    product_embeddings: Float32[np.ndarray, "product dim"], *, is_exact: bool
) -> faiss.Index:
    """Return an index of the products by inner product, on the GPUs if FAISS has any."""
    products, dim = product_embeddings.shape
    index = faiss.IndexFlatIP(dim)
    if not is_exact:
        lists = min(products, int(4 * products**0.5))
        index = faiss.IndexIVFFlat(index, dim, lists, faiss.METRIC_INNER_PRODUCT)
        index.nprobe = max(_LEAST_PROBES, lists // 64)
        index.cp.spherical = True
        index.cp.min_points_per_centroid = 1  # else FAISS prints a warning
        index.cp.max_points_per_centroid = _TRAINED_PER_LIST
    index = _on_gpus_if_any(index)
    index.train(product_embeddings)
    index.add(product_embeddings)
    return index


def _on_gpus_if_any(index: faiss.Index) -> faiss.Index:
    if hasattr(faiss, "get_num_gpus") and faiss.get_num_gpus() > 0:
        return faiss.index_cpu_to_all_gpus(index)
    return index
