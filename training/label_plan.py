"""How many labelled queries a promise probably needs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import binom

from training.metrics import risk_coverage_counts

POWER = 0.8
"""Probability of getting a threshold that a plan aims at."""

MOST_ACCEPTED = 100_000
"""Plans beyond this many accepted queries are reported as out of reach."""

_STEPS = 100


@dataclass(frozen=True)
class LabelPlan:
    """Calibration queries that would probably be enough.

    Attributes:
        queries: labelled queries to collect.
        accepted: how many of them the planned threshold must accept.
        coverage: share of them that the planned threshold would accept.
        precision: estimated precision of the accepted, as if half an answer more were wrong.
    """

    queries: int
    accepted: int
    coverage: float
    precision: float


@dataclass(frozen=True)
class Pilot:
    """What is known of an encoder's answers before the labels of a promise are collected.

    Attributes:
        queries: labelled queries of the pilot, at least 1.
        counts: of each threshold known, how many queries it accepts (at least 1) and how many of
            these are wrong.
    """

    queries: int
    counts: Sequence[tuple[int, int]]

    @classmethod
    def of_answers(
        cls, similarity: Float[np.ndarray, " query"], is_correct: Bool[np.ndarray, " query"]
    ) -> "Pilot":
        """Return the pilot that knows, of each query, how its answer fared.

        Args:
            similarity: best similarity of each query; NaN is never accepted.
            is_correct: true where the best product is right.
        """
        accepted, wrong = _thinned(*risk_coverage_counts(similarity, is_correct))
        return cls(len(similarity), list(zip(accepted.tolist(), wrong.tolist(), strict=True)))

    def plan(
        self, *, target_precision: float, confidence: float, power: float = POWER
    ) -> LabelPlan | None:
        """Return the cheapest plan that gets a threshold with probability ``power``.

        >>> Pilot(1000, [(500, 2)]).plan(target_precision=0.95, confidence=0.95).queries
        186

        Args:
            target_precision: precision to promise, in (0, 1).
            confidence: confidence of the promise, in (0, 1).
            power: probability of getting a threshold, in (0, 1).

        Returns:
            A plan, or None if no threshold of the pilot is precise enough for the target.
        """
        plans: list[LabelPlan] = []
        for accepted, wrong in self.counts:
            precision, coverage = estimated_precision(accepted, wrong), accepted / self.queries
            needed = accepted_needed(
                precision, target_precision=target_precision, confidence=confidence, power=power
            )
            if needed is not None:
                queries = math.ceil(needed / coverage)
                plans.append(LabelPlan(queries, needed, coverage, precision))
        return min(plans, key=lambda plan: plan.queries, default=None)


def plan_labels(
    similarity: Float[np.ndarray, " query"],
    is_correct: Bool[np.ndarray, " query"],
    *,
    target_precision: float,
    confidence: float,
    power: float = POWER,
) -> LabelPlan | None:
    """Return `Pilot.plan` of a pilot's answers, or None if no threshold is precise enough."""
    pilot = Pilot.of_answers(similarity, is_correct)
    return pilot.plan(target_precision=target_precision, confidence=confidence, power=power)


def estimated_precision(accepted: int, wrong: int) -> float:
    """Return the precision that a plan counts on: as if half an answer more were wrong."""
    return 1 - (wrong + 0.5) / (accepted + 1)


def accepted_needed(
    precision: float, *, target_precision: float, confidence: float, power: float = POWER
) -> int | None:
    """Return the fewest accepted queries whose test passes with probability ``power``.

    >>> accepted_needed(1.0, target_precision=0.95, confidence=0.95)
    59
    >>> accepted_needed(0.94, target_precision=0.95, confidence=0.95) is None
    True

    Args:
        precision: true precision of the accepted, in [0, 1].
        target_precision: precision to promise, in (0, 1).
        confidence: confidence of the promise, in (0, 1).
        power: probability that the test passes, in (0, 1).
    """
    if precision <= target_precision:
        return None
    sizes, most_wrong = _passing(target_precision, confidence)
    enough = np.flatnonzero(binom.cdf(most_wrong, sizes, 1 - precision) >= power)
    return int(sizes[enough[0]]) if len(enough) else None


@lru_cache(maxsize=8)
def _passing(
    target_precision: float, confidence: float
) -> tuple[Int[np.ndarray, " size"], Float[np.ndarray, " size"]]:
    """Return sample sizes to try, and the most errors with which each still passes its test.

    Every size up to 2,000, then steps of about one percent.
    """
    steps = np.geomspace(2_000, MOST_ACCEPTED, 400).round().astype(int)
    sizes = np.unique(np.concatenate([np.arange(1, 2_000), steps]))
    most_wrong = binom.ppf(1 - confidence, sizes, 1 - target_precision)
    too_many = binom.cdf(most_wrong, sizes, 1 - target_precision) > 1 - confidence
    return sizes, most_wrong - too_many


def _thinned(
    accepted: Int[np.ndarray, " threshold"], wrong: Int[np.ndarray, " threshold"]
) -> tuple[Int[np.ndarray, " step"], Int[np.ndarray, " step"]]:
    """Return at most `_STEPS` of the thresholds, evenly spaced."""
    kept = np.unique(np.linspace(0, max(len(accepted) - 1, 0), _STEPS).astype(int))[: len(accepted)]
    return accepted[kept], wrong[kept]
