"""The promise of a bundle: a threshold fixed on served similarities, or the reason for none."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from export.explanation import explain
from export.served_answers import judge_served
from service.contract.errors import CalibrationError
from service.contract.manifest import Calibration
from service.recommender import Recommender
from training.calibration import choose_operating_point, thresholds_to_try
from training.data.matches import LabelledQuery
from training.data.splits import one_per_text, place, text_key

SET_ASIDE_SHARE = 0.3
"""Share of the calibration queries that gives the grid where there is no validation file."""


@dataclass(frozen=True)
class LabelledSets:
    """The queries a promise is made from, one row per normalised text, none in both."""

    validation: list[LabelledQuery]
    calibration: list[LabelledQuery]


def labelled_sets(
    calibration: Sequence[LabelledQuery],
    validation: Sequence[LabelledQuery] | None,
    *,
    seed: int,
) -> LabelledSets:
    """Return both sets with repeated texts left out; set a part aside where one is missing.

    Raises:
        CalibrationError: if there is no calibration query.
    """
    rows = one_per_text(calibration, seed=seed)
    if not rows:
        message = "there is no calibration query; give labelled queries that were not trained on"
        raise CalibrationError(message)
    if validation is not None:
        texts = {text_key(query.text) for query in rows}
        apart = [q for q in validation if text_key(q.text) not in texts]
        return LabelledSets(validation=one_per_text(apart, seed=seed), calibration=rows)
    is_aside = [place(seed, "aside", text_key(q.text)) < SET_ASIDE_SHARE for q in rows]
    return LabelledSets(
        validation=[query for query, aside in zip(rows, is_aside, strict=True) if aside],
        calibration=[query for query, aside in zip(rows, is_aside, strict=True) if not aside],
    )


def calibrate(
    recommender: Recommender,
    sets: LabelledSets,
    *,
    target_precision: float,
    confidence: float,
) -> Calibration:
    """Return the promise these queries allow, or none with the reason and what would help."""
    validation = judge_served(recommender, sets.validation, what="validation queries")
    calibration = judge_served(recommender, sets.calibration, what="calibration queries")
    point = choose_operating_point(
        calibration.similarity,
        calibration.is_correct,
        thresholds_in_order=thresholds_to_try(
            validation.similarity, validation.is_correct, target_precision=target_precision
        ),
        target_precision=target_precision,
        confidence=confidence,
    )
    return Calibration(
        target_precision=target_precision,
        confidence=confidence,
        queries=len(sets.calibration),
        validation_queries=len(sets.validation),
        data_sha256=_digest(sets),
        operating_point=point,
        explanation=explain(
            point,
            validation,
            calibration,
            target_precision=target_precision,
            confidence=confidence,
        ),
    )


def _digest(sets: LabelledSets) -> str:
    """Return the SHA-256 of texts and positives of both sets, whatever their order."""
    lines = sorted(
        json.dumps([part, query.text, query.positives])
        for part, queries in (("validation", sets.validation), ("calibration", sets.calibration))
        for query in queries
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
