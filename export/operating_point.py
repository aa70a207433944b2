"""The promises of a bundle: thresholds fixed on served similarities, or the reason for none."""

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from export.explanation import explain
from export.served_answers import answer_all, judge_answers, judge_served
from service.contract.errors import CalibrationError
from service.contract.manifest import Calibration, FurtherPoint
from service.contract.similarities import SimilarityHistogram
from service.recommender import Answer, Recommender
from training.calibration import operating_point_of
from training.data.matches import LabelledQuery
from training.data.splits import one_per_text, place, text_key
from training.evaluation import BEST, JudgedQueries

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
    further_targets: Collection[float] = (),
) -> Calibration:
    """Return the promises these queries allow, or none with the reason and what would help.

    Every query is answered once; each target then gets what it would get alone, at its own
    ``confidence``. Of two targets that both get a threshold the laxer one accepts at least as
    much: it passes wherever the stricter one passes, and its walk never starts at a stricter
    threshold (a validation p-value that prefers the looser of two thresholds does so at every
    laxer target, until it is too small for a float). But a walk may fail at its start, so a
    target can be left without a threshold where a stricter one has one. It is not lent that
    threshold: to choose it because the own walk failed would be a second chance to be wrong, at
    the price of the stated confidence.

    Args:
        recommender: the served path.
        sets: the queries the promises are made from.
        target_precision: precision of the default promise, in (0, 1).
        confidence: confidence of each promise by itself, in (0, 1).
        further_targets: precisions of the other promises, in (0, 1); the default among them
            counts for nothing.
    """
    texts = [query.text for query in sets.calibration]
    answers = answer_all(recommender, texts, k=BEST, what="calibration queries")
    judged = _Judged(
        validation=judge_served(recommender, sets.validation, what="validation queries"),
        calibration=judge_answers(recommender, sets.calibration, answers),
    )
    others = sorted({*further_targets} - {target_precision})
    default, *further = (
        _promise(judged, target, confidence, is_one_of_several=bool(others))
        for target in (target_precision, *others)
    )
    return Calibration(
        target_precision=target_precision,
        confidence=confidence,
        queries=len(sets.calibration),
        validation_queries=len(sets.validation),
        data_sha256=_digest(sets),
        operating_point=default.operating_point,
        explanation=default.explanation,
        further=tuple(further),
        top_similarity=_similarities_of(answers),
    )


def _similarities_of(answers: Sequence[Answer]) -> SimilarityHistogram:
    """Count what the service counts of live queries: every best product, accepted or not."""
    return SimilarityHistogram.of([a.similarity for a in answers if a.similarity is not None])


@dataclass(frozen=True)
class _Judged:
    """The served answers to both sets, compared with the labels."""

    validation: JudgedQueries
    calibration: JudgedQueries


def _promise(
    judged: _Judged, target_precision: float, confidence: float, *, is_one_of_several: bool
) -> FurtherPoint:
    point = operating_point_of(
        judged.validation,
        judged.calibration,
        target_precision=target_precision,
        confidence=confidence,
    )
    explanation = explain(
        point,
        judged.validation,
        judged.calibration,
        target_precision=target_precision,
        confidence=confidence,
        is_one_of_several=is_one_of_several,
    )
    return FurtherPoint(
        target_precision=target_precision, operating_point=point, explanation=explanation
    )


def _digest(sets: LabelledSets) -> str:
    """Return the SHA-256 of texts and positives of both sets, whatever their order."""
    lines = sorted(
        json.dumps([part, query.text, query.positives])
        for part, queries in (("validation", sets.validation), ("calibration", sets.calibration))
        for query in queries
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
