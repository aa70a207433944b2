"""The threshold that keeps a promised precision with stated confidence.

Fixed-sequence testing with exact binomial tests. Thresholds and the order in which they are
tried come from the validation set; the calibration set only says how far the walk goes. Then
P(precision of the accepted >= target) >= confidence, over calibration sets of independent rows
drawn like the traffic.

Source: fixed-sequence testing as in Angelopoulos et al., "Learn then Test", arXiv:2110.01052,
for a precision whose sample is the accepted part; the order is this project's own
(``DECISIONS.md``, 2026-11-20, "Where the walk starts").
"""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import rel_entr
from scipy.stats import beta, binom

from service.contract.manifest import OperatingPoint
from training.evaluation import JudgedQueries

GRID_STEPS = 100
"""Thresholds tried at most: one per percent of coverage on the validation set."""


def operating_point_of(
    validation: JudgedQueries,
    calibration: JudgedQueries,
    *,
    target_precision: float,
    confidence: float,
) -> OperatingPoint | None:
    """Return what `choose_operating_point` finds on the thresholds of `thresholds_to_try`.

    Args:
        validation: judged answers that give the thresholds and their order.
        calibration: judged answers to other queries, on which the thresholds are tested.
        target_precision: precision to promise among the accepted, in (0, 1).
        confidence: probability that the promise holds, in (0, 1).
    """
    return choose_operating_point(
        calibration.similarity,
        calibration.is_correct,
        thresholds_in_order=thresholds_to_try(
            validation.similarity, validation.is_correct, target_precision=target_precision
        ),
        target_precision=target_precision,
        confidence=confidence,
    )


def choose_operating_point(
    similarity: Float[np.ndarray, " query"],
    is_correct: Bool[np.ndarray, " query"],
    *,
    thresholds_in_order: Sequence[float],
    target_precision: float,
    confidence: float,
) -> OperatingPoint | None:
    """Return the loosest threshold that passed its test, or None where the first one fails.

    The promise holds only if ``thresholds_in_order`` was fixed without these queries. A query
    whose similarity is NaN can never be accepted, but counts as asked.

    Args:
        similarity: cosine of each calibration query with its best product, in [-1, 1].
        is_correct: true where that product is right.
        thresholds_in_order: thresholds in the order they are tested, stopping at the first
            that fails.
        target_precision: precision to promise among the accepted, in (0, 1).
        confidence: probability that the promise holds, in (0, 1).

    Raises:
        ValueError: if the arrays differ in length, or a share is not in (0, 1).

    Source:
        The module's docstring; p-value BinomCDF(wrong; accepted, 1 - target_precision).
    """
    _check(similarity, is_correct, target_precision, confidence)
    passed: OperatingPoint | None = None
    for threshold in thresholds_in_order:
        point = _test(similarity, is_correct, float(threshold), target_precision, confidence)
        if point is None:
            break
        if passed is None or point.threshold < passed.threshold:
            passed = point
    return passed


def thresholds_to_try(
    similarity: Float[np.ndarray, " query"],
    is_correct: Bool[np.ndarray, " query"],
    *,
    target_precision: float,
) -> list[float]:
    """Return the thresholds to test, in order, from validation queries alone.

    The walk starts where the validation set speaks most clearly for the target (smallest
    p-value) and goes on to looser thresholds only: a stricter one could end the walk but never
    improve its result. Thresholds lie between neighbouring similarities, so that rounding of a
    similarity cannot flip an answer that decided them; only the last one, which accepts all, is
    a similarity itself.

    Args:
        similarity: cosine of each validation query with its best product; NaN is left out.
        is_correct: true where that product is right.
        target_precision: precision to promise, in (0, 1).

    Returns:
        At most `GRID_STEPS` thresholds, strictest first; empty without validation queries.
    """
    grid = _grid(similarity)
    if not grid:
        return []
    counts = [_counts(similarity, is_correct, threshold) for threshold in grid]
    logs = [_log_p_value(accepted, wrong, target_precision) for accepted, wrong in counts]
    return grid[int(np.argmin(logs)) :]


def precision_lower_bound(accepted: int, wrong: int, confidence: float) -> float:
    """Return the exact one-sided lower confidence bound of a precision, in [0, 1].

    Source: Clopper and Pearson, Biometrika 1934.
    """
    if wrong >= accepted:
        return 0.0
    return float(beta.ppf(1 - confidence, accepted - wrong, wrong + 1))


def _log_p_value(accepted: int, wrong: int, target_precision: float) -> float:
    """Return the logarithm of a p-value; its Chernoff bound where the p-value underflows to 0.

    With very many validation queries several thresholds speak so clearly that all their p-values
    are 0, and the strictest of them would be no better a start than any other.
    """
    rate = 1 - target_precision
    p_value = float(binom.cdf(wrong, accepted, rate))
    if p_value > 0:
        return math.log(p_value)
    share = wrong / accepted
    return -accepted * float(rel_entr(share, rate) + rel_entr(1 - share, 1 - rate))


def _test(
    similarity: Float[np.ndarray, " query"],
    is_correct: Bool[np.ndarray, " query"],
    threshold: float,
    target_precision: float,
    confidence: float,
) -> OperatingPoint | None:
    """Return the threshold with its evidence if the test rejects "precision is too low"."""
    accepted, wrong = _counts(similarity, is_correct, threshold)
    p_value = float(binom.cdf(wrong, accepted, 1 - target_precision))
    if accepted == 0 or p_value > 1 - confidence:
        return None
    return OperatingPoint(
        threshold=threshold,
        target_precision=target_precision,
        confidence=confidence,
        queries=len(similarity),
        accepted=accepted,
        wrong=wrong,
        p_value=p_value,
        precision_lower_bound=precision_lower_bound(accepted, wrong, confidence),
    )


def _counts(
    similarity: Float[np.ndarray, " query"],
    is_correct: Bool[np.ndarray, " query"],
    threshold: float,
) -> tuple[int, int]:
    """Return how many queries are accepted and how many of these are wrong.

    The comparison is that of `service.contract.decision.decide`, in float64.
    """
    is_accepted = similarity.astype(np.float64) >= threshold  # False for NaN
    return int(is_accepted.sum()), int((is_accepted & ~is_correct).sum())


def _grid(similarity: Float[np.ndarray, " query"]) -> list[float]:
    """Return thresholds that accept at least 1 %, 2 % ... 100 % of the queries, strictest first."""
    known = similarity[~np.isnan(similarity)].astype(np.float64)
    if len(known) == 0:
        return []
    rising, queries_of_value = np.unique(known, return_counts=True)
    values, accepted = rising[::-1], np.cumsum(queries_of_value[::-1])
    wanted = -(-len(known) * np.arange(1, GRID_STEPS + 1) // GRID_STEPS)
    thresholds = np.append((values[:-1] + values[1:]) / 2, values[-1])
    return [float(t) for t in thresholds[np.unique(np.searchsorted(accepted, wanted))]]


def _check(
    similarity: Float[np.ndarray, " query"],
    is_correct: Bool[np.ndarray, " query"],
    target_precision: float,
    confidence: float,
) -> None:
    if len(similarity) != len(is_correct):
        message = f"{len(similarity)} similarities but {len(is_correct)} marks of correctness"
        raise ValueError(message)
    for name, share in (("target_precision", target_precision), ("confidence", confidence)):
        if not 0 < share < 1:
            message = f"{name} is {share}, it must be between 0 and 1"
            raise ValueError(message)
