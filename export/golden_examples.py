"""Chooses golden examples whose answers do not hang on the last bits of a number."""

from collections.abc import Sequence
from itertools import pairwise

from service.contract.golden import SCORE_ROOM, GoldenExample
from service.contract.manifest import GoldenTolerance
from service.recommender import Answer, Recommender

TOLERANCE = GoldenTolerance(embedding=1e-3, similarity=1e-3)
"""Room for another CPU's rounding; a wrong file, graph or tokenizer is off by far more."""

MOST = 32
EDGE_TEXTS = ("", " \t ", "?!...", "\N{HEADPHONE}", "שלום עולם", "a " * 400)


def golden_examples(
    recommender: Recommender, texts: Sequence[str], *, tolerance: GoldenTolerance = TOLERANCE
) -> list[GoldenExample]:
    """Return up to 32 answers to ``texts`` and to odd texts, none of them near a tie.

    An answer is left out where another machine's rounding could change it: where the best two
    products are closer than the tolerance, or the similarity is that close to the threshold.
    """
    candidates = list(dict.fromkeys([*EDGE_TEXTS, *texts]))[: 4 * MOST]
    answers = recommender.recommend(candidates, k=2)
    steady = [
        text
        for text, answer in zip(candidates, answers, strict=True)
        if _is_steady(answer, recommender.threshold, tolerance)
    ]
    return recommender.replay(steady[:MOST])


def _is_steady(answer: Answer, threshold: float | None, tolerance: GoldenTolerance) -> bool:
    best = answer.recommendations
    scores = [found.score for found in best if found.score is not None]
    values = scores if len(scores) == len(best) else [found.similarity for found in best]
    room = 2 * tolerance.similarity * (SCORE_ROOM if scores else 1)
    gaps = [a - b for a, b in pairwise(values)]
    if threshold is not None and answer.value is not None:
        gaps.append(abs(answer.value - threshold))
    return all(gap > room for gap in gaps)
