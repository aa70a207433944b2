"""Measures of what one threshold accepts: coverage at a precision, risk over all coverages."""

import numpy as np
from jaxtyping import Bool, Float, Shaped

COVERAGE_PRECISIONS = (0.90, 0.95, 0.98)
"""Precisions at which coverage is reported."""


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
    _must_have_queries(similarity, "coverage")
    accepted, wrong = risk_coverage_counts(similarity, is_correct)
    reached = accepted[accepted - wrong >= precision * accepted]
    return float(reached.max(initial=0) / len(similarity))


def area_under_risk_coverage(
    similarity: Float[np.ndarray, " query"], is_correct: Bool[np.ndarray, " query"]
) -> float:
    """Return the mean risk over the coverages 1/n, 2/n, ... 1 of n queries; the lower the better.

    The risk at a coverage is the share of wrong answers among the accepted, at the strictest
    threshold that accepts at least so many queries: equal similarities stand or fall together.
    A coverage that no threshold reaches, because a similarity of NaN is never accepted, has
    risk 1, so that nothing is gained by answers that can't be accepted.

    Args:
        similarity: cosine of each query with its best product.
        is_correct: true where that product is right.

    Returns:
        A number in [0, 1]; 0 where every query can be accepted and is right.

    Raises:
        ValueError: if there is no query.

    Source:
        Geifman and El-Yaniv, arXiv:1705.08500 (risk and coverage); ties and NaN are ours.
    """
    _must_have_queries(similarity, "risk")
    accepted, wrong = risk_coverage_counts(similarity, is_correct)
    levels = np.diff(accepted, prepend=0)
    unreached = len(similarity) - int(levels.sum())
    return float(((wrong / accepted * levels).sum() + unreached) / len(similarity))


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


def _must_have_queries(similarity: Float[np.ndarray, " query"], what: str) -> None:
    if len(similarity) == 0:
        message = f"{what} of no queries is undefined; give at least one"
        raise ValueError(message)
