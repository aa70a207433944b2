"""Measures of ranking and of coverage; numpy only, float64 inside."""

import numpy as np
from jaxtyping import Bool, Float, Shaped

COVERAGE_PRECISIONS = (0.90, 0.95, 0.98)
"""Precisions at which coverage is reported."""


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
    hits = _hits_among_best(scores, is_positive, k)
    return _mean(hits[is_positive.any(axis=1)] / k)


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
    hits = _hits_among_best(scores, is_positive, k)
    answerable = is_positive.any(axis=1)
    return _mean(hits[answerable] / is_positive[answerable].sum(axis=1))


def coverage_at_precision(
    similarity: Float[np.ndarray, " query"],
    is_correct: Bool[np.ndarray, " query"],
    precision: float,
) -> float:
    """Return the largest share of queries that one threshold accepts at ``precision``.

    The threshold is chosen on these very answers, so this is an upper bound (oracle), never a
    promise. Equal similarities stand or fall together; a similarity of NaN is never accepted
    but counts as a query.

    Args:
        similarity: cosine of each query with its best product.
        is_correct: true where that product is right.
        precision: least share of right answers among the accepted, in (0, 1].

    Returns:
        A share in [0, 1]; 0 if no threshold reaches the precision.

    Raises:
        ValueError: if there is no query.
    """
    if len(similarity) == 0:
        message = "coverage of no queries is undefined; give at least one"
        raise ValueError(message)
    accepted, wrong = risk_coverage_counts(similarity, is_correct)
    reached = accepted[accepted - wrong >= precision * accepted]
    return float(reached.max(initial=0) / len(similarity))


def risk_coverage_counts(
    similarity: Float[np.ndarray, " query"], is_correct: Bool[np.ndarray, " query"]
) -> tuple[Shaped[np.ndarray, " threshold"], Shaped[np.ndarray, " threshold"]]:
    """Return how many queries each distinct threshold accepts, and how many of them are wrong.

    Thresholds are the distinct similarities, strictest first; NaN is never accepted.
    """
    counted = ~np.isnan(similarity)
    values, correct = similarity[counted], is_correct[counted]
    order = np.argsort(-values, kind="stable")
    values, correct = values[order], correct[order]
    last_of_tie = np.flatnonzero(np.append(values[1:] != values[:-1], True)[: len(values)])
    return last_of_tie + 1, np.cumsum(~correct)[last_of_tie]


def _hits_among_best(
    scores: Float[np.ndarray, "query product"],
    is_positive: Bool[np.ndarray, "query product"],
    k: int,
) -> Float[np.ndarray, " query"]:
    if not 1 <= k <= scores.shape[1]:
        message = f"k is {k}, it must be 1 to the number of products, {scores.shape[1]}"
        raise ValueError(message)
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(is_positive, best, axis=1).sum(axis=1).astype(np.float64)


def _mean(values: Float[np.ndarray, " value"]) -> float:
    return float(values.mean()) if len(values) else float("nan")
