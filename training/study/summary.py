"""Means, spreads and paired differences of a study's figures over its seeds."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

GROUPS = ("all", "seen", "unseen")
"""Of the queries: those of products seen or not in training, as in `JudgedQueries.groups`."""

MEASURES: Mapping[str, tuple[str, ...]] = {
    "precision_at_1": ("precision_at_1",),
    "recall_at_10": ("recall_at_10",),
    "coverage": ("coverage",),
    "accepted_precision": ("accepted_precision",),
    "oracle_coverage_90": ("oracle_coverage", "0.90"),
    "oracle_coverage_95": ("oracle_coverage", "0.95"),
    "oracle_coverage_98": ("oracle_coverage", "0.98"),
    "risk_coverage_area": ("risk_coverage_area",),
    "opis": ("opis",),
}
"""What a group's figures are summed up by, and where each stands in them."""

COSTS = ("training_seconds", "seconds_per_step", "peak_memory_mb")

COMPARED = ("coverage", "oracle_coverage_95", "precision_at_1")
"""Measures of which variants are compared seed by seed."""

Figures = Mapping[str, Any]


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation of some seeds.

    Attributes:
        mean: None of no seed.
        deviation: None of less than two seeds.
        seeds: how many have the figure.
    """

    mean: float | None
    deviation: float | None
    seeds: int


@dataclass(frozen=True)
class Difference:
    """Differences of one variant to another with the same seeds.

    Attributes:
        spread: of the differences.
        better: seeds in which it is above zero.
    """

    spread: Spread
    better: int


@dataclass(frozen=True)
class Summary:
    """One base with one variant, on one group of queries, over its seeds.

    Attributes:
        measures: by the names of `MEASURES`; without a threshold the coverage of a run is 0.
        costs: by the names of `COSTS`.
        promised: runs that have a threshold.
        violated: runs whose accepted test answers stay below the promised precision.
        runs: runs that are done.
    """

    measures: Mapping[str, Spread]
    costs: Mapping[str, Spread]
    promised: int
    violated: int
    runs: int


def spread(values: Sequence[float | None]) -> Spread:
    """Return mean and sample standard deviation of the values that are there.

    >>> spread([0.5, None, 0.7]).mean
    0.6
    """
    known = [value for value in values if value is not None]
    return Spread(
        mean=math.fsum(known) / len(known) if known else None,
        deviation=statistics.stdev(known) if len(known) > 1 else None,
        seeds=len(known),
    )


def summarise(runs: Sequence[Figures], group: str) -> Summary:
    """Return what runs that differ by their seed alone have in common."""
    groups = [run["groups"][group] for run in runs]
    return Summary(
        measures={
            name: spread([_at(figures, path) for figures in groups])
            for name, path in MEASURES.items()
        },
        costs={name: spread([run.get(name) for run in runs]) for name in COSTS},
        promised=sum(figures["threshold"] is not None for figures in groups),
        violated=sum(bool(figures["is_violated"]) for figures in groups),
        runs=len(runs),
    )


def differences(
    runs: Sequence[Figures], references: Sequence[Figures], group: str
) -> dict[str, Difference]:
    """Return differences to runs of the same seeds, by the names of `COMPARED`.

    A seed that one side lacks is left out, and so is a figure that is undefined on either.
    """
    of_seed = {run["seed"]: run["groups"][group] for run in references}
    pairs = [(run["groups"][group], of_seed[run["seed"]]) for run in runs if run["seed"] in of_seed]
    found: dict[str, Difference] = {}
    for name in COMPARED:
        values = [(_at(run, MEASURES[name]), _at(other, MEASURES[name])) for run, other in pairs]
        known = [a - b for a, b in values if a is not None and b is not None]
        found[name] = Difference(spread(known), better=sum(value > 0 for value in known))
    return found


def of_recipe(runs: Sequence[Figures], base: str, variant: str) -> list[Figures]:
    """Return the runs of one base with one variant."""
    return [run for run in runs if (run["base"], run["variant"]) == (base, variant)]


def _at(figures: Figures, path: Sequence[str]) -> float | None:
    """Return a figure, or None where it is undefined; OPIS is of all queries alone."""
    value: Any = figures
    for key in path:
        value = value.get(key)
    return value
