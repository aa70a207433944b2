"""Labelled queries through the served path: the same recommender that answers requests."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from export.identifier_strata import named_by
from service.catalogue import Catalogue
from service.contract.decision import NEVER_ACCEPTED, Reason
from service.recommender import Answer, Recommender
from training.console import progress
from training.data.matches import LabelledQuery
from training.evaluation import BEST, JudgedQueries, RankedAnswers, judge

_BLOCK = 256


def answer_all(
    recommender: Recommender, texts: Sequence[str], *, k: int, what: str
) -> list[Answer]:
    """Return one answer a text, in order; ``what`` names the progress bar."""
    answers: list[Answer] = []
    with progress(len(texts), what, unit="queries") as shown:
        for start in range(0, len(texts), _BLOCK):
            block = texts[start : start + _BLOCK]
            answers += recommender.recommend(block, k=k)
            shown.advance(len(block))
    return answers


def judge_served(
    recommender: Recommender, queries: Sequence[LabelledQuery], *, what: str
) -> JudgedQueries:
    """Return the served answers to labelled queries, judged as in `judge_answers`."""
    answers = answer_all(recommender, [query.text for query in queries], k=BEST, what=what)
    return judge_answers(recommender, queries, answers)


def judge_answers(
    recommender: Recommender, queries: Sequence[LabelledQuery], answers: Sequence[Answer]
) -> JudgedQueries:
    """Return answers that ``recommender`` gave to labelled queries, judged.

    What the bundle decides on, similarity or score, stands as the similarity. That of a query
    that no threshold could accept (its best product is ambiguous, its text blank, its encoding
    failed) is NaN; that of one accepted by an identifier is 1.
    """
    similarity = np.array(list(map(_deciding, answers)), dtype=np.float64)
    ranked = RankedAnswers(
        product_ids=tuple(
            tuple(best.product_id for best in answer.recommendations) for answer in answers
        ),
        similarity=similarity,
    )
    judged = judge(queries, ranked, catalogue_of(recommender).seen_products())
    return replace(judged, named_by=named_by(answers))


def catalogue_of(recommender: Recommender) -> Catalogue:
    """Return the catalogue of a recommender that was opened from a bundle and not changed since.

    Raises:
        TypeError: if it answers from a changed one.
    """
    catalogue = recommender.catalogue
    if not isinstance(catalogue, Catalogue):
        message = f"answers come from a {type(catalogue).__name__}, not from a bundle's catalogue"
        raise TypeError(message)
    return catalogue


def _deciding(answer: Answer) -> float | None:
    """Return what a threshold is held against; NaN where none could accept the answer."""
    if answer.reason in NEVER_ACCEPTED:
        return np.nan
    return answer.score if answer.reason is Reason.IDENTIFIER_MATCH else answer.value
