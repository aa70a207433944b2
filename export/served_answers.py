"""Labelled queries through the served path: the same recommender that answers requests."""

from collections.abc import Sequence

import numpy as np

from service.contract.decision import NEVER_ACCEPTED
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

    The similarity of a query that no threshold could accept (its best product is ambiguous,
    its text blank, its encoding failed) is NaN.
    """
    similarity = np.array(
        [np.nan if answer.reason in NEVER_ACCEPTED else answer.similarity for answer in answers],
        dtype=np.float64,
    )
    ranked = RankedAnswers(
        product_ids=tuple(
            tuple(best.product_id for best in answer.recommendations) for answer in answers
        ),
        similarity=similarity,
    )
    return judge(queries, ranked, recommender.catalogue.seen_products())
