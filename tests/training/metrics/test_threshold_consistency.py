import math
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.metrics import opis, opis_from_histograms

FAR_RANGE = (0.01, 0.1)
BINS = 2000


class Pairs(NamedTuple):
    """A matrix of similarities with its labels."""

    similarity: np.ndarray
    is_positive: np.ndarray
    segment: np.ndarray


def drawn(seed: int, *, shift: float = 0.1, queries: int = 180, products: int = 60) -> Pairs:
    """Return queries of three segments; those of one are ``shift`` less similar to all."""
    generator = np.random.default_rng(seed)
    segment = np.array(["lamps", "drills", "phones"])[np.arange(queries) % 3]
    is_positive = np.zeros((queries, products), dtype=bool)
    is_positive[np.arange(queries), generator.integers(0, products, queries)] = True
    centre = np.where(is_positive, 0.5, 0.1) - shift * (segment == "phones")[:, None]
    return Pairs(
        np.clip(generator.normal(centre, 0.15), -1, 1).astype(np.float32), is_positive, segment
    )


def histograms(pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
    """Return counts of positives and negatives by segment and bin."""
    names = np.unique(pairs.segment)
    edges = np.linspace(-1, 1, BINS + 1)
    counts = [
        [
            np.histogram(pairs.similarity[rows][pairs.is_positive[rows] == kind], edges)[0]
            for rows in (pairs.segment == name for name in names)
        ]
        for kind in (True, False)
    ]
    return np.array(counts[0]), np.array(counts[1])


def slow_opis(pairs: Pairs, far_range: tuple[float, float]) -> float:
    """Every threshold at which something changes, each segment counted pair by pair."""
    similarity = pairs.similarity.astype(float)
    everything = similarity[~pairs.is_positive]
    values = np.unique(similarity)
    rates = {t: np.mean(everything >= t) for t in values}
    inside = [t for t in values if far_range[0] <= rates[t] <= far_range[1]]
    # between two neighbouring values nothing changes: a step function, exactly integrated
    below = max(t for t in values if t < inside[0])
    total = 0.0
    for left, right in zip([below, *inside], inside, strict=False):
        utilities = [_slow_utility(pairs, name, right) for name in np.unique(pairs.segment)]
        mean = sum(utilities) / len(utilities)
        spread = sum((u - mean) ** 2 for u in utilities) / len(utilities)
        total += spread * (right - left)
    return total / (inside[-1] - below)


def _slow_utility(pairs: Pairs, name: str, threshold: float) -> float:
    rows = pairs.segment == name
    right = pairs.similarity[rows][pairs.is_positive[rows]]
    wrong = pairs.similarity[rows][~pairs.is_positive[rows]]
    sensitivity, specificity = np.mean(right >= threshold), np.mean(wrong < threshold)
    if sensitivity + specificity == 0:
        return 0.0
    return float(2 * sensitivity * specificity / (sensitivity + specificity))


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.1, 0.3]))
def test_it_equals_an_exact_integral_of_slow_counts_within_three_per_cent(
    seed: int, shift: float
) -> None:
    pairs = drawn(seed, shift=shift, products=20)

    assert opis(*pairs, FAR_RANGE) == pytest.approx(slow_opis(pairs, FAR_RANGE), rel=0.03)


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.1, 0.3]))
def test_histograms_agree_within_five_per_cent(seed: int, shift: float) -> None:
    pairs = drawn(seed, shift=shift)

    found = opis_from_histograms(*histograms(pairs), FAR_RANGE)

    assert found == pytest.approx(opis(*pairs, FAR_RANGE), rel=0.05, abs=1e-6)


def halves(positives: tuple[float, float], *, count: int = 30) -> Pairs:
    """Return two segments of ``count`` queries: 0 and 1, with a positive of this similarity.

    Each query has 10 negatives from 0.00 on, 0.01 apart.
    """
    segment = np.repeat([0, 1], count)
    similarity = np.hstack(
        [np.array(positives)[segment][:, None], np.tile(np.arange(10) / 100, (2 * count, 1))]
    )
    is_positive = np.zeros(similarity.shape, dtype=bool)
    is_positive[:, 0] = True
    return Pairs(similarity, is_positive, segment)


def test_a_worked_example() -> None:
    """All negatives of rate 0.2 to 0.4 lie from 0.06 (above 0.05) to 0.08.

    There one segment finds all its positives: U = 2 spec / (1 + spec). The other finds none:
    U = 0. The distance of each to the mean is U / 2. Specificity is 0.6, 0.7, 0.8 in thirds
    of the range, (0.05, 0.06], (0.06, 0.07] and (0.07, 0.08].
    """
    pairs = halves((0.5, 0.01))
    expected = np.mean([(spec / (1 + spec)) ** 2 for spec in (0.6, 0.7, 0.8)])

    assert opis(*pairs, (0.2, 0.4)) == pytest.approx(expected, rel=2e-3)


def test_segments_that_are_alike_have_none() -> None:
    assert opis(*halves((0.3, 0.3)), (0.2, 0.4)) == 0
    assert opis_from_histograms(*histograms(halves((0.3, 0.3))), (0.2, 0.4)) == 0


@pytest.mark.parametrize("far_range", [(0.2, 0.2), (0.11, 0.19)])
def test_a_range_of_one_threshold_or_none_is_taken_at_that_threshold(
    far_range: tuple[float, float],
) -> None:
    """Exactly two in ten negatives are at or above 0.08, and no rate lies inside 0.11 to 0.19."""
    pairs = halves((0.5, 0.01))

    assert opis(*pairs, far_range) == pytest.approx((0.8 / 1.8) ** 2)


def test_negatives_that_are_all_alike_leave_one_threshold() -> None:
    """All pairs of both kinds are accepted there, so specificity and utility are 0."""
    pairs = halves((0.5, 0.01))
    alike = pairs._replace(similarity=np.full_like(pairs.similarity, 0.25))

    assert opis(*alike, FAR_RANGE) == 0


def test_segments_of_few_positives_are_left_out() -> None:
    enough, few = halves((0.5, 0.01), count=30), halves((0.5, 0.01), count=29)

    assert math.isnan(opis(*few, FAR_RANGE))
    assert math.isnan(opis_from_histograms(*histograms(few), FAR_RANGE))
    assert opis(*enough, FAR_RANGE) > 0


def test_negatives_of_a_segment_left_out_count_in_the_rate() -> None:
    """A third segment without positives, of negatives at 0.9, raises the threshold to there."""
    pairs = halves((0.5, 0.01))
    strangers = Pairs(np.full((60, 11), 0.9), np.zeros((60, 11), dtype=bool), np.full(60, 2))
    joined = Pairs(*(np.concatenate(parts) for parts in zip(pairs, strangers, strict=True)))

    assert opis(*joined, (0.2, 0.4)) == 0
    assert opis(*pairs, (0.2, 0.4)) > 0


@pytest.mark.parametrize("far_range", [(0.0, 0.1), (0.1, 1.0), (0.2, 0.1), (math.nan, 0.1)])
def test_a_range_that_is_none_is_refused(far_range: tuple[float, float]) -> None:
    pairs = halves((0.5, 0.01))

    with pytest.raises(ValueError, match="least <= greatest"):
        opis(*pairs, far_range)
    with pytest.raises(ValueError, match="least <= greatest"):
        opis_from_histograms(*histograms(pairs), far_range)
