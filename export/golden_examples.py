"""Chooses golden examples whose answers do not hang on the last bits of a number."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from service.contract.golden import GoldenExample
from service.contract.manifest import GoldenTolerance
from service.recommender import Recommender

TOLERANCE = GoldenTolerance(embedding=1e-3, similarity=1e-3)
"""Room for another CPU's rounding; a wrong file, graph or tokenizer is off by far more."""

MOST = 32
EDGE_TEXTS = ("", " \t ", "?!...", "\N{HEADPHONE}", "שלום עולם", "a " * 400)


def golden_examples(recommender: Recommender, texts: Sequence[str]) -> list[GoldenExample]:
    """Return up to 32 answers to ``texts`` and to odd texts, none of them near a tie.

    An answer is left out where another machine's rounding could change it: where the best two
    products are closer than the tolerance, or the similarity is that close to the threshold.
    """
    candidates = list(dict.fromkeys([*EDGE_TEXTS, *texts]))[: 4 * MOST]
    answers = recommender.recommend(candidates, k=2)
    steady = [
        text
        for text, answer in zip(candidates, answers, strict=True)
        if _is_steady([best.similarity for best in answer.recommendations], recommender.threshold)
    ]
    return recommender.replay(steady[:MOST])


def _is_steady(similarities: Sequence[float], threshold: float | None) -> bool:
    room = 2 * TOLERANCE.similarity
    gaps: Iterable[float] = [
        *(a - b for a, b in pairwise(similarities)),
        *(abs(similarities[0] - threshold) for _ in similarities[:1] if threshold is not None),
    ]
    return all(gap > room for gap in gaps)
