"""What a study measures of one encoder: ranking, and what a calibrated threshold accepts."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from service.contract.decision import Decision, decide
from training.calibration import operating_point_of
from training.evaluation import JudgedQueries, retrieval_figures
from training.metrics import risk_coverage_counts

CURVE_STEPS = 100
"""Points of a coverage-precision curve: one per percent of the queries."""


def promised_figures(
    judged: Mapping[str, JudgedQueries], *, target_precision: float, confidence: float
) -> dict[str, Any]:
    """Return the figures of all, seen and unseen queries, and the curve of all of them.

    Each group has a threshold of its own, fixed on its validation and calibration queries: the
    promises stand alone. Everything else is of its test queries.

    Args:
        judged: answers to the validation, calibration and test queries, one row a text.
        target_precision: precision to promise.
        confidence: of that promise.
    """
    groups = {split: answers.groups() for split, answers in judged.items()}
    return {
        "groups": {
            name: _group_figures(
                {split: groups[split][name] for split in judged}, target_precision, confidence
            )
            for name in groups["test"]
        },
        "curve": coverage_precision_curve(judged["test"]),
    }


def coverage_precision_curve(judged: JudgedQueries) -> list[float | None]:
    """Return the precision of the best 1 %, 2 % ... 100 % of the answers; None where undefined.

    Equal similarities stand together: a point is of the strictest threshold that accepts its
    share of the queries.
    """
    accepted, wrong = risk_coverage_counts(judged.similarity, judged.is_correct)
    wanted = -(-len(judged) * np.arange(1, CURVE_STEPS + 1) // CURVE_STEPS)
    places = np.searchsorted(accepted, wanted)
    precision = 1 - wrong / np.maximum(accepted, 1)
    return [float(precision[place]) if place < len(accepted) else None for place in places]


def _group_figures(
    judged: Mapping[str, JudgedQueries], target_precision: float, confidence: float
) -> dict[str, Any]:
    test = judged["test"]
    point = operating_point_of(
        judged["validation"],
        judged["calibration"],
        target_precision=target_precision,
        confidence=confidence,
    )
    threshold = point.threshold if point else None
    is_accepted = _accepted(test.similarity, threshold)
    accepted = int(is_accepted.sum())
    wrong = int((is_accepted & ~test.is_correct).sum())
    precision = 1 - wrong / accepted if accepted else None
    return {
        **retrieval_figures(test),
        "validation_queries": len(judged["validation"]),
        "calibration_queries": len(judged["calibration"]),
        "threshold": threshold,
        "calibrated_coverage": point.coverage if point else 0.0,
        "coverage": accepted / len(test) if len(test) else None,
        "accepted": accepted,
        "wrong": wrong,
        "accepted_precision": precision,
        "is_violated": None if precision is None else precision < target_precision,
    }


def _accepted(similarity: Float[np.ndarray, " query"], threshold: float | None) -> np.ndarray:
    decisions: Sequence[Decision] = [decide(value, threshold) for value in similarity]
    return np.array([d is Decision.AUTO_ACCEPTED for d in decisions], dtype=bool)
