"""Answers found by an identifier as strata of their own: what calibration must show of them.

Each kind of identifier that a validation query holds gets a small part of the error probability
of a promise, the threshold the rest. So the promise holds for each stratum, and for all accepted
answers together, with the stated confidence.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import binom

from service.contract.manifest import OperatingPoint
from service.contract.signals import IdentifierKind, IdentifierPoint
from service.recommender import Answer
from training.calibration import precision_lower_bound
from training.evaluation import JudgedQueries

SHARE = 0.1
"""Of the probability that a promise is wrong: what each kind of identifier may take."""


@dataclass(frozen=True)
class Strata:
    """Judged answers to both sets; those found by a tested kind can't pass a threshold.

    Attributes:
        kinds: tested, since a validation query holds them.
        validation: answers that give the thresholds.
        calibration: answers on which thresholds and identifiers are tested.
    """

    kinds: tuple[IdentifierKind, ...]
    validation: JudgedQueries
    calibration: JudgedQueries

    @classmethod
    def of(cls, validation: JudgedQueries, calibration: JudgedQueries) -> "Strata":
        """Return the strata of answers that were judged without any rule for identifiers."""
        there = set() if validation.named_by is None else set(validation.named_by.tolist())
        kinds = tuple(kind for kind in IdentifierKind if kind.value in there)
        return cls(kinds, _apart(validation, kinds), _apart(calibration, kinds))

    def confidence(self, stated: float) -> float:
        """Return the confidence at which thresholds are tested, so that the stated one holds."""
        return 1 - (1 - stated) * (1 - SHARE * len(self.kinds)) if self.kinds else stated

    def points(self, target_precision: float, confidence: float) -> list[IdentifierPoint]:
        """Return what the calibration queries say of each tested kind under one promise."""
        return [self._point(kind, target_precision, confidence) for kind in self.kinds]

    def as_stated(self, point: OperatingPoint | None, confidence: float) -> OperatingPoint | None:
        """Return a point that was tested at `confidence` with the evidence at the stated one."""
        if point is None or not self.kinds:
            return point
        bound = precision_lower_bound(point.accepted, point.wrong, confidence)
        update = {"confidence": confidence, "precision_lower_bound": bound}
        return point.model_copy(update=update)

    def _point(
        self, kind: IdentifierKind, target_precision: float, confidence: float
    ) -> IdentifierPoint:
        named = self.calibration.named_by
        is_named = np.zeros(0, dtype=bool) if named is None else named == kind.value
        matches = int(is_named.sum())
        wrong = int((is_named & ~self.calibration.is_correct).sum()) if matches else 0
        p_value = float(binom.cdf(wrong, matches, 1 - target_precision)) if matches else 1.0
        return IdentifierPoint(
            kind=kind,
            target_precision=target_precision,
            matches=matches,
            wrong=wrong,
            p_value=p_value,
            precision_lower_bound=precision_lower_bound(matches, wrong, confidence),
            is_accepted=p_value <= SHARE * (1 - confidence),
        )


def named_by(answers: Sequence[Answer]) -> np.ndarray | None:
    """Return the kind of identifier that named each first product, or None where none ever did."""
    kinds = [
        answer.recommendations[0].matched_by if answer.identifier == "matched" else None
        for answer in answers
    ]
    if not any(kinds):
        return None
    return np.array([kind.value if kind else "" for kind in kinds])


def _apart(judged: JudgedQueries, kinds: Collection[IdentifierKind]) -> JudgedQueries:
    if judged.named_by is None or not kinds:
        return judged
    is_apart = np.isin(judged.named_by, [kind.value for kind in kinds])
    return replace(judged, similarity=np.where(is_apart, np.nan, judged.similarity))
