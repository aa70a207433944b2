"""Figures as people read them: one Markdown table, a row per system and group of queries."""

from collections.abc import Mapping, Sequence
from typing import Any

from training.console import table
from training.metrics import COVERAGE_PRECISIONS, PROPENSITY_RANKS

HEAD = (
    "system",
    "queries",
    "count",
    "P@1",
    "R@10",
    *(f"oracle cov@{round(100 * precision)}" for precision in COVERAGE_PRECISIONS),
)

_RANKING = {
    "P@3": "precision_at_3",
    "P@5": "precision_at_5",
    "nDCG@10": "ndcg_at_10",
    "MRR@10": "mrr_at_10",
    "R@100": "recall_at_100",
    "risk area": "risk_coverage_area",
}


def retrieval_table(systems: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[str]:
    """Return the lines of a table from figures by system and group."""
    return table(
        HEAD, [row for name, groups in systems.items() for row in retrieval_rows(name, groups)]
    )


def ranking_table(systems: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[str]:
    """Return the lines of a second table, with the measures that the first has no room for."""
    head = ("system", "queries", *_RANKING, *(f"PSP@{k}" for k in PROPENSITY_RANKS))
    rows = [
        [
            name,
            group,
            *(ratio(figures.get(key)) for key in _RANKING.values()),
            *(ratio(value) for value in figures["propensity_scored_precision"].values()),
        ]
        for name, groups in systems.items()
        for group, figures in groups.items()
    ]
    return table(head, rows)


def consistency_line(opis: float | None) -> str:
    """Return what a person is told of OPIS across categories."""
    if opis is None:
        return "OPIS across categories: undefined; it takes two with 30 labelled pairs each"
    return f"OPIS across categories: {opis:.4f}; at 0 one threshold fits all of them alike"


def retrieval_rows(system: str, groups: Mapping[str, Mapping[str, Any]]) -> Sequence[Sequence[str]]:
    """Return the cells of a system's rows, one row a group, in the order of `HEAD`."""
    return [
        [
            system,
            group,
            str(figures["queries"]),
            ratio(figures["precision_at_1"]),
            ratio(figures["recall_at_10"]),
            *(ratio(value) for value in figures["oracle_coverage"].values()),
        ]
        for group, figures in groups.items()
    ]


def percent(share: float) -> str:
    """Return a share as a percentage with the digits it was given with.

    >>> percent(0.95), percent(0.999), percent(0.29)
    ('95%', '99.9%', '29%')
    """
    return f"{100 * share:.6g}%"


def ratio(value: float | None) -> str:
    """Return a ratio with three decimals, or a dash where it is undefined."""
    return "-" if value is None else f"{value:.3f}"
