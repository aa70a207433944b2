"""The promises of a bundle: thresholds fixed on served similarities, or the reason for none."""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from export.explanation import explain
from export.identifier_strata import Strata
from export.served_answers import answer_all, judge_answers, judge_served
from service.contract.errors import CalibrationError
from service.contract.manifest import Calibration, FurtherPoint
from service.contract.signals import IdentifierPoint
from service.contract.similarities import SimilarityHistogram
from service.recommender import Answer, Recommender
from training.calibration import operating_point_of
from training.data.matches import LabelledQuery
from training.data.splits import one_per_text, place, text_key
from training.evaluation import BEST

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
    """Return the promises of `calibrate_all` without what it says of identifiers."""
    return calibrate_all(
        recommender,
        sets,
        target_precision=target_precision,
        confidence=confidence,
        further_targets=further_targets,
    ).calibration


@dataclass(frozen=True)
class Calibrated:
    """What the calibration queries allow.

    Attributes:
        calibration: the promises.
        identifier_points: what is accepted of answers found by an identifier, by promise.
    """

    calibration: Calibration
    identifier_points: tuple[IdentifierPoint, ...]


def calibrate_all(
    recommender: Recommender,
    sets: LabelledSets,
    *,
    target_precision: float,
    confidence: float,
    further_targets: Collection[float] = (),
) -> Calibrated:
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
    judged = Strata.of(
        judge_served(recommender, sets.validation, what="validation queries"),
        judge_answers(recommender, sets.calibration, answers),
    )
    signals = recommender.signals
    value = "similarity" if signals is None or signals.score is None else "score"
    others = sorted({*further_targets} - {target_precision})
    default, *further = (
        _promise(judged, target, confidence, is_one_of_several=bool(others), value=value)
        for target in (target_precision, *others)
    )
    calibration = Calibration(
        target_precision=target_precision,
        confidence=confidence,
        queries=len(sets.calibration),
        validation_queries=len(sets.validation),
        data_sha256=digest_of_queries(
            {"validation": sets.validation, "calibration": sets.calibration}
        ),
        operating_point=default.operating_point,
        explanation=default.explanation,
        further=tuple(further),
        top_similarity=_similarities_of(answers),
    )
    points = (
        point
        for target in (target_precision, *others)
        for point in judged.points(target, confidence)
    )
    return Calibrated(calibration, tuple(points))


def _similarities_of(answers: Sequence[Answer]) -> SimilarityHistogram:
    """Count what the service counts of live queries: every best product, accepted or not."""
    return SimilarityHistogram.of([a.similarity for a in answers if a.similarity is not None])


def _promise(
    judged: Strata,
    target_precision: float,
    confidence: float,
    *,
    is_one_of_several: bool,
    value: str,
) -> FurtherPoint:
    point = operating_point_of(
        judged.validation,
        judged.calibration,
        target_precision=target_precision,
        confidence=judged.confidence(confidence),
    )
    point = judged.as_stated(point, confidence)
    explanation = explain(
        point,
        judged.validation,
        judged.calibration,
        target_precision=target_precision,
        confidence=confidence,
        is_one_of_several=is_one_of_several,
    )
    explanation = explanation.replace("at similarity", f"at {value}")
    points = judged.points(target_precision, confidence)
    if any(of_kind.is_accepted for of_kind in points):
        explanation = explanation.replace("every query goes", "every other query goes")
    named = " and ".join(map(_named, points))
    return FurtherPoint(
        target_precision=target_precision,
        operating_point=point,
        explanation=f"{explanation}; {named}" if named else explanation,
    )


def _named(point: IdentifierPoint) -> str:
    """Return what is done with answers found by one kind of identifier."""
    done = "are accepted as well" if point.is_accepted else "go to review"
    return (
        f"answers named by their {point.kind.value.upper()} {done} ({point.matches} calibration "
        f"queries, {point.wrong} wrong)"
    )


def digest_of_queries(sets: Mapping[str, Sequence[LabelledQuery]]) -> str:
    """Return the SHA-256 of texts and positives of named sets, whatever their order."""
    lines = sorted(
        json.dumps([part, query.text, query.positives])
        for part, queries in sets.items()
        for query in queries
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
