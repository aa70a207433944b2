"""Precision that gives rarely asked products the weight they lose by being rarely labelled."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from training.metrics.ranking import best_products

PROPENSITY_RANKS = (1, 3, 5)
"""Where propensity-scored precision is reported."""


@dataclass(frozen=True, eq=False)
class WeightedHits:
    """What the best products of each query gain, beside the most that could be gained.

    The weight of a product is its inverse propensity. A query without any positive has zeros
    only, and so no part in any measure.

    Attributes:
        gained: weight of the product at this rank, best first, if it is a positive, else 0.
        attainable: weights of the query's positives, greatest first, then 0.
    """

    gained: Float64[np.ndarray, "query rank"]
    attainable: Float64[np.ndarray, "query rank"]

    def where(self, mask: Bool[np.ndarray, " query"]) -> "WeightedHits":
        """Return the queries that ``mask`` picks."""
        return WeightedHits(self.gained[mask], self.attainable[mask])

    def precision_at(self, k: int) -> float:
        """Return the share of the attainable weight that the ``k`` best products gain.

        It is a ratio of sums over all queries; NaN if no query has a positive.
        """
        most = float(self.attainable[:, :k].sum())
        gained = float(self.gained[:, :k].sum())
        # sums of the same weights in another order may round apart
        return min(1.0, gained / most) if most else float("nan")


def propensity_scored_precision_at(
    scores: Float[np.ndarray, "query product"],
    is_positive: Bool[np.ndarray, "query product"],
    propensity: Float[np.ndarray, " product"],
    k: int,
) -> float:
    """Return the inverse-propensity weight of the ``k`` best products over the most attainable.

    A ratio of two sums over all queries: of 1 / propensity of the positives among the ``k``
    best, and of the ``k`` greatest 1 / propensity of the query's positives. Equal scores count
    in catalogue order. Queries without any positive have no part in it.

    Args:
        scores: the higher the better.
        is_positive: true where the product is right for the query.
        propensity: chance that a right product is labelled as such, in (0, 1].
        k: how many products count.

    Returns:
        A number in [0, 1]; NaN if no query has a positive.

    Raises:
        ValueError: if ``k`` is not between 1 and the number of products, or a propensity is not
            in (0, 1].

    Source:
        Jain, Prabhu and Varma, KDD 2016, normalised as in the public evaluation of the Extreme
        Classification Repository.
    """
    if not ((propensity > 0) & (propensity <= 1)).all():
        message = "a propensity is not in (0, 1]; give 1 / inverse_propensity(...)"
        raise ValueError(message)
    weights = np.where(is_positive, 1 / propensity.astype(np.float64), 0)
    gained = np.take_along_axis(weights, best_products(scores, k), axis=1)
    return WeightedHits(gained, -np.sort(-weights, axis=1)[:, :k]).precision_at(k)


def inverse_propensity(
    counts: Int[np.ndarray, " product"], queries: int, *, a: float = 0.55, b: float = 1.5
) -> Float64[np.ndarray, " product"]:
    """Return how much a product asked for by ``counts`` training queries weighs, at least 1.

    1 + C (n + b)^-a with C = (ln N - 1)(b + 1)^a. With fewer than three training queries C would
    be negative; it is 0 there, and every product weighs 1 (ours).

    Args:
        counts: n, how many training queries have the product as a positive.
        queries: N, how many training queries there are.
        a: 0.55 where nobody knows better, 0.6 for LF-AmazonTitles.
        b: 1.5 where nobody knows better, 2.6 for LF-AmazonTitles.

    Raises:
        ValueError: if there is no training query, or ``a`` or ``b`` is not above 0.

    Source:
        Jain, Prabhu and Varma, KDD 2016, section 4.
    """
    if queries < 1 or a <= 0 or b <= 0:
        message = f"{queries} queries, a = {a}, b = {b}: each must be above 0"
        raise ValueError(message)
    scale = max(np.log(queries) - 1, 0.0) * (b + 1) ** a
    return 1 + scale * (counts.astype(np.float64) + b) ** -a
