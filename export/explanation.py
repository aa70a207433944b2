"""The promise of a bundle in one sentence, or why there is none and what would help."""

import numpy as np

from service.contract.manifest import OperatingPoint
from training.evaluation import JudgedQueries
from training.label_plan import MOST_ACCEPTED, POWER, accepted_needed, plan_labels
from training.report import percent

_BY_ITSELF = "; the confidence is that of this promise by itself, not of several at once"


def explain(
    point: OperatingPoint | None,
    validation: JudgedQueries,
    calibration: JudgedQueries,
    *,
    target_precision: float,
    confidence: float,
    is_one_of_several: bool = False,
) -> str:
    """Return the sentence that stands in the manifest, for people.

    Args:
        point: the promise, or None where none could be made.
        validation: judged answers that gave the thresholds.
        calibration: judged answers on which the thresholds were tested.
        target_precision: the precision asked for, in (0, 1).
        confidence: the confidence asked for, in (0, 1).
        is_one_of_several: whether the bundle makes other promises beside this one.
    """
    if point is not None:
        return _promise(point) + (_BY_ITSELF if is_one_of_several else "")
    if np.isnan(validation.similarity).all():
        return (
            "no threshold can be promised: there is no validation query to take thresholds from; "
            "every query goes to review; give validation queries whose texts are not among the "
            "calibration queries, or name none and bring more calibration queries"
        )
    return (
        f"no threshold can be promised: {len(calibration)} calibration queries do not show "
        f"{percent(target_precision)} precision with {percent(confidence)} confidence; every "
        f"query goes to review; {_help(validation, calibration, target_precision, confidence)}"
    )


def _promise(point: OperatingPoint) -> str:
    return (
        f"of the answers accepted at similarity {point.threshold:.4f} or above at least "
        f"{percent(point.target_precision)} are right, with {percent(point.confidence)} "
        f"confidence, for traffic like the {point.queries} calibration queries; of these "
        f"{point.accepted} were accepted ({point.coverage:.1%}) and {point.wrong} of them were "
        "wrong"
    )


def _help(
    validation: JudgedQueries, calibration: JudgedQueries, target: float, confidence: float
) -> str:
    """Say how many labels would probably be enough, or that labels are not what is lacking."""
    similarity = np.concatenate([validation.similarity, calibration.similarity])
    is_correct = np.concatenate([validation.is_correct, calibration.is_correct])
    plan = plan_labels(similarity, is_correct, target_precision=target, confidence=confidence)
    if plan is not None and plan.queries > len(calibration):
        return (
            f"about {plan.queries} labelled calibration queries would probably ({POWER:.0%}) be "
            f"enough, accepting {plan.coverage:.0%} at an estimated precision of "
            f"{plan.precision:.1%}"
        )
    if plan is not None:
        return (
            f"an estimated precision of {plan.precision:.1%} at {plan.coverage:.0%} coverage is "
            f"too uncertain: bring more labelled queries, for example {2 * len(calibration)}"
        )
    least = accepted_needed(1.0, target_precision=target, confidence=confidence)
    if least is None or len(similarity) < least:
        needed = f"more than {MOST_ACCEPTED}" if least is None else f"at least {least}"
        return f"{needed} accepted queries are needed even if none is wrong; bring more labels"
    return (
        f"no threshold looks precise enough for {percent(target)} on these queries, so more "
        "labels alone would probably not help: train a better encoder or promise less"
    )
