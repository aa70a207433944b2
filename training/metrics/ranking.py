"""Measures of ranking: precision, recall, nDCG, reciprocal rank."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64


@dataclass(frozen=True, eq=False)
class RankedHits:
    """Where the positives of each query stand among its best products.

    Every measure leaves out queries without any positive, and is NaN if no query has one. Ranks
    beyond the last known one hold no positive.

    Attributes:
        is_hit: true where the product at this rank, best first, is a positive.
        positives: how many positives the query has, found or not.
    """

    is_hit: Bool[np.ndarray, "query rank"]
    positives: Int64[np.ndarray, " query"]

    def where(self, mask: Bool[np.ndarray, " query"]) -> "RankedHits":
        """Return the queries that ``mask`` picks."""
        return RankedHits(self.is_hit[mask], self.positives[mask])

    def precision_at(self, k: int) -> float:
        """Return the mean share of positives among the ``k`` best products."""
        return self._mean(self.is_hit[:, :k].sum(axis=1) / k)

    def recall_at(self, k: int) -> float:
        """Return the mean share of a query's positives that are among its ``k`` best products."""
        return self._mean(self.is_hit[:, :k].sum(axis=1) / np.maximum(self.positives, 1))

    def ndcg_at(self, k: int) -> float:
        """Return the mean normalised discounted cumulative gain of the ``k`` best products."""
        discounts = 1 / np.log2(np.arange(2, k + 2))
        gains = self.is_hit[:, :k] @ discounts[: self.is_hit.shape[1]]
        ideal = np.cumsum(discounts)[np.clip(self.positives, 1, k) - 1]
        # sums of the same gains may round apart
        return self._mean(np.minimum(gains / ideal, 1))

    def mean_reciprocal_rank(self, k: int) -> float:
        """Return the mean of 1 / rank of a query's first positive, 0 beyond the ``k`` best."""
        best = self.is_hit[:, :k]
        return self._mean(best.any(axis=1) / (best.argmax(axis=1) + 1))

    def _mean(self, values: Float64[np.ndarray, " query"]) -> float:
        counted = values[self.positives > 0]
        return float(counted.mean()) if len(counted) else float("nan")


def precision_at(
    scores: Float[np.ndarray, "query product"],
    is_positive: Bool[np.ndarray, "query product"],
    k: int,
) -> float:
    """Return the mean share of positives among the ``k`` best products of each query.

    Equal scores count in catalogue order. Queries without any positive are left out.

    Returns:
        A number in [0, 1]; NaN if no query has a positive.

    Raises:
        ValueError: if ``k`` is not between 1 and the number of products.
    """
    return _hits(scores, is_positive, k).precision_at(k)


def recall_at(
    scores: Float[np.ndarray, "query product"],
    is_positive: Bool[np.ndarray, "query product"],
    k: int,
) -> float:
    """Return the mean share of a query's positives that are among its ``k`` best products.

    Equal scores count in catalogue order. Queries without any positive are left out.

    Returns:
        A number in [0, 1]; NaN if no query has a positive.

    Raises:
        ValueError: if ``k`` is not between 1 and the number of products.
    """
    return _hits(scores, is_positive, k).recall_at(k)


def ndcg_at(
    scores: Float[np.ndarray, "query product"],
    is_positive: Bool[np.ndarray, "query product"],
    k: int,
) -> float:
    """Return the mean normalised discounted cumulative gain of the ``k`` best products.

    The gain of a positive at rank r is 1 / log2(r + 1), that of any other product 0; the ideal
    has min(k, positives) positives on top. Equal scores count in catalogue order. Queries
    without any positive are left out.

    Returns:
        A number in [0, 1]; NaN if no query has a positive.

    Raises:
        ValueError: if ``k`` is not between 1 and the number of products.

    Source:
        Järvelin and Kekäläinen, 2002, with binary gains.
    """
    return _hits(scores, is_positive, k).ndcg_at(k)


def mean_reciprocal_rank(
    scores: Float[np.ndarray, "query product"], is_positive: Bool[np.ndarray, "query product"]
) -> float:
    """Return the mean of 1 / rank of the best positive of each query.

    Equal scores count in catalogue order. Queries without any positive are left out.

    Returns:
        A number in (0, 1]; NaN if no query has a positive.

    Raises:
        ValueError: if there is no product.
    """
    products = scores.shape[1]
    return _hits(scores, is_positive, products).mean_reciprocal_rank(products)


def best_products(
    scores: Float[np.ndarray, "query product"], k: int
) -> Int64[np.ndarray, "query rank"]:
    """Return the ``k`` best products of each query, best first, equal ones in catalogue order.

    Raises:
        ValueError: if ``k`` is not between 1 and the number of products.
    """
    if not 1 <= k <= scores.shape[1]:
        message = f"k is {k}, it must be 1 to the number of products, {scores.shape[1]}"
        raise ValueError(message)
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]


def _hits(
    scores: Float[np.ndarray, "query product"],
    is_positive: Bool[np.ndarray, "query product"],
    k: int,
) -> RankedHits:
    best = best_products(scores, k)
    return RankedHits(np.take_along_axis(is_positive, best, axis=1), is_positive.sum(axis=1))
