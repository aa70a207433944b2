"""How differently one threshold serves the segments of a catalogue: OPIS."""

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64, Shaped

LEAST_POSITIVES = 30
"""Positive pairs that a segment needs to be counted."""

_GRID = 200
_ROUNDING = 1e-9


def opis(
    similarity: Float[np.ndarray, "query product"],
    is_positive: Bool[np.ndarray, "query product"],
    segment: Shaped[np.ndarray, " query"],
    far_range: tuple[float, float],
) -> float:
    """Return the operating-point inconsistency score over all pairs; 0: one threshold fits all.

    The utility of a segment at a threshold is the harmonic mean of sensitivity and specificity
    over the segment's pairs. OPIS is the mean over the segments of the squared distance to their
    mean utility, averaged over the thresholds whose false-accept rate on the pairs of *all*
    queries lies in ``far_range``, on a grid of 200 by the trapezoid rule. Where that range holds
    one threshold or none, it is taken at the strictest threshold that reaches its lower rate.

    Segments of fewer than 30 positive pairs, or without a negative one, are left out; their
    negatives count in the false-accept rate.

    Args:
        similarity: of each query with each product.
        is_positive: true where the product is right for the query.
        segment: number or name of each query's segment.
        far_range: least and greatest false-accept rate, 0 < least <= greatest < 1.

    Returns:
        A number in [0, 0.25]; NaN where fewer than two segments are left.

    Raises:
        ValueError: if ``far_range`` is not as above.

    Source:
        arXiv:2307.04047, section 3; grid, least number of positives and edge cases are ours.
    """
    _must_be_rates(far_range)
    exact = similarity.astype(np.float64)
    of_segments = (np.flatnonzero(segment == name) for name in np.unique(segment))
    pairs = [_sorted_pairs(exact[rows], is_positive[rows]) for rows in of_segments]
    counted = [(p, n) for p, n in pairs if len(p) >= LEAST_POSITIVES and len(n)]
    if len(counted) < 2:  # noqa: PLR2004  # one segment is always like itself
        return float("nan")
    thresholds = _thresholds(np.sort(exact[~is_positive]), far_range)
    sensitivity = np.stack([_accepted(p, thresholds) / len(p) for p, _ in counted])
    false_rate = np.stack([_accepted(n, thresholds) / len(n) for _, n in counted])
    return _spread(_utility(sensitivity, 1 - false_rate), thresholds)


def opis_from_histograms(
    positives: Int64[np.ndarray, "segment bin"],
    negatives: Int64[np.ndarray, "segment bin"],
    far_range: tuple[float, float],
) -> float:
    """Return `opis` from counts of similarities, for sets whose pairs fit in no memory.

    Thresholds are the lower edges of the bins; with 2,000 bins the result differs from `opis`
    by some thousandths of itself, if the calibration range spans many bins.

    Args:
        positives: number of positive pairs by segment and similarity, in bins of equal width
            over [-1, 1].
        negatives: number of negative pairs, likewise.
        far_range: as in `opis`.

    Returns:
        As `opis`.

    Raises:
        ValueError: if ``far_range`` is not as in `opis`.
    """
    _must_be_rates(far_range)
    is_counted = (positives.sum(axis=1) >= LEAST_POSITIVES) & (negatives.sum(axis=1) > 0)
    if is_counted.sum() < 2:  # noqa: PLR2004  # one segment is always like itself
        return float("nan")
    edges = np.linspace(-1, 1, positives.shape[1] + 1)[:-1]
    accepted = _at_or_above(negatives.sum(axis=0, keepdims=True))[0]
    bounds = np.array(far_range) * accepted[0] + (-_ROUNDING, _ROUNDING)
    reaches = accepted >= bounds[0]
    chosen = np.flatnonzero(reaches & (accepted <= bounds[1]))
    if not len(chosen):
        chosen = np.flatnonzero(reaches)[-1:]
    true_rate, false_rate = (
        found[:, chosen] / found[:, :1]
        for found in (_at_or_above(counts[is_counted]) for counts in (positives, negatives))
    )
    return _spread(_utility(true_rate, 1 - false_rate), edges[chosen])


def _must_be_rates(far_range: tuple[float, float]) -> None:
    least, greatest = far_range
    if not 0 < least <= greatest < 1:
        message = f"false-accept rates are {least} to {greatest}; give 0 < least <= greatest < 1"
        raise ValueError(message)


def _sorted_pairs(
    similarity: Float64[np.ndarray, "query product"],
    is_positive: Bool[np.ndarray, "query product"],
) -> tuple[Float64[np.ndarray, " positive"], Float64[np.ndarray, " negative"]]:
    return np.sort(similarity[is_positive]), np.sort(similarity[~is_positive])


def _thresholds(
    negatives: Float64[np.ndarray, " pair"], far_range: tuple[float, float]
) -> Float64[np.ndarray, " threshold"]:
    """Return a grid over the thresholds with a rate in the range; ``negatives`` ascend."""
    pairs = len(negatives)
    fewest = max(1, int(np.ceil(far_range[0] * pairs - _ROUNDING)))
    most = min(pairs - 1, int(np.floor(far_range[1] * pairs + _ROUNDING)))
    strictest = negatives[pairs - fewest]
    # the next negative must be rejected, so the range begins right above it
    loosest = np.nextafter(negatives[pairs - most - 1], np.inf)
    return np.linspace(min(loosest, strictest), strictest, _GRID)


def _accepted(
    ascending: Float64[np.ndarray, " pair"], thresholds: Float64[np.ndarray, " threshold"]
) -> Int64[np.ndarray, " threshold"]:
    return len(ascending) - np.searchsorted(ascending, thresholds)


def _at_or_above(counts: Int64[np.ndarray, "segment bin"]) -> Int64[np.ndarray, "segment bin"]:
    return np.cumsum(counts[:, ::-1], axis=1)[:, ::-1]


def _utility(
    sensitivity: Float64[np.ndarray, "segment threshold"],
    specificity: Float64[np.ndarray, "segment threshold"],
) -> Float64[np.ndarray, "segment threshold"]:
    total = sensitivity + specificity
    return 2 * sensitivity * specificity / np.where(total > 0, total, 1)


def _spread(
    utility: Float64[np.ndarray, "segment threshold"],
    thresholds: Float64[np.ndarray, " threshold"],
) -> float:
    squared = ((utility - utility.mean(axis=0)) ** 2).mean(axis=0)
    width = thresholds[-1] - thresholds[0]
    return float(np.trapezoid(squared, thresholds) / width if width > 0 else squared[-1])
