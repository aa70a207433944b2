"""The least effort with which an index finds the share of nearest products that is promised."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from export.index_families import Built
from export.index_measures import Yardstick
from service.contract.retriever_record import Family
from service.retrievers.approximate import ApproximateRetriever, Effort

COMPARED = (32, 64, 128, 256, 512)
"""How many candidates may be compared exactly, where an index has codes only."""
GRAPH_WIDTHS = (16, 1024)
"""Shortest and longest list of a search in a graph."""
FINE = 16
"""A width is found to a part in so many."""


@dataclass(frozen=True)
class Tuned:
    """An index with the effort that was found for it, and what that gives.

    Attributes:
        recall: share of the ten exactly nearest products that is found.
        milliseconds: median time of one query's search.
    """

    built: Built
    effort: Effort
    recall: float
    milliseconds: float


def tune(
    built: Built,
    vectors: Float32[np.ndarray, "product dim"],
    yardstick: Yardstick,
    *,
    promised: float,
) -> Tuned | None:
    """Return the fastest effort with the recall promised, or None where no effort has it."""
    found: list[Tuned] = []
    untuned = built.retriever(vectors)
    for effort in _enough(built, untuned, yardstick, promised):
        retriever = untuned.with_effort(effort)
        milliseconds = yardstick.milliseconds(retriever)
        found.append(Tuned(built, effort, yardstick.recall(retriever), milliseconds))
    return min(found, key=lambda tuned: tuned.milliseconds, default=None)


def _enough(
    built: Built, untuned: ApproximateRetriever, yardstick: Yardstick, promised: float
) -> Iterator[Effort]:
    """Yield efforts of which none could be less in one of its numbers, the other one fixed."""

    def reaches(width: int, candidates: int) -> bool:
        tried = untuned.with_effort(Effort(width=width, candidates=candidates))
        return yardstick.reaches(tried, promised)

    low, high = _widths(built)
    for candidates in _candidates(built.family, untuned.products):
        width = least(lambda width, n=candidates: reaches(width, n), low, high)
        if width is not None:
            yield Effort(width=width, candidates=candidates)
            if width == low:
                return  # more candidates could only be slower


def least(reaches: Callable[[int], bool], low: int, high: int) -> int | None:
    """Return about the least number from ``low`` to ``high`` that is enough, None if none is.

    Numbers are tried in steps that double, then between the last two, to a part in `FINE`.

    Example:
        >>> least(lambda width: width >= 100, 1, 4096), least(lambda width: False, 1, 4096)
        (100, None)
    """
    short, enough = low - 1, low
    while not reaches(enough):
        if enough >= high:
            return None
        short, enough = enough, min(max(2 * enough, 1), high)
    while enough - short > max(1, enough // FINE):
        middle = (short + enough) // 2
        short, enough = (short, middle) if reaches(middle) else (middle, enough)
    return enough


def _widths(built: Built) -> tuple[int, int]:
    match built.family:
        case Family.HNSW:
            return GRAPH_WIDTHS
        case Family.IVF | Family.IVFPQ:
            return 1, built.clusters
        case _:
            return 0, 0


def _candidates(family: Family, products: int) -> list[int]:
    """Return how many candidates to try; the last at most as many as there are products."""
    if family in (Family.IVF, Family.HNSW):
        return [0]
    enough = next((n for n in COMPARED if n >= products), COMPARED[-1])
    return [n for n in COMPARED if n <= enough]
