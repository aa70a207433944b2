"""What a panel shows: a title, a sentence, queries and a unit, whoever draws it."""

from dataclasses import dataclass
from enum import StrEnum

COLUMNS = 24
"""Width of Grafana's grid."""
REPLICAS = 'job="surematch", instance=~"$replica"'
"""Picks the series of the replicas that are chosen at the top of a dashboard."""
JOB = 'job="surematch"'
"""Picks the series of all replicas."""
PER_SCRAPES = "$__rate_interval"
"""A range of a few scrapes, for rates."""

SWAPS = f"surematch_index_loaded_timestamp_seconds{{{JOB}}}"
"""When each replica began to answer from its bundle, in Unix time; marked on every panel."""


class Kind(StrEnum):
    """How a panel is drawn."""

    LINES = "lines"
    SHARES = "shares"  # areas on top of each other, to 1
    NUMBER = "number"  # the newest value, with its course behind it
    HEAT = "heat"  # buckets of a histogram over time
    BARS = "bars"  # the newest value of each edge `le`, one bar a query
    STATES = "states"  # which labels were there, over time


class Unit(StrEnum):
    """What the values are, in Grafana's words."""

    SHARE = "percentunit"
    SECONDS = "s"
    AGE = "dtdurations"
    BYTES = "bytes"
    PER_SECOND = "reqps"
    NUMBER = "short"
    SIMILARITY = "none"


@dataclass(frozen=True)
class Query:
    """One expression of PromQL; ``legend`` names its series, with ``{{label}}`` filled in."""

    expression: str
    legend: str


@dataclass(frozen=True)
class Panel:
    """One panel.

    Attributes:
        title: what is seen.
        description: how to read it, in full sentences.
        queries: what is drawn; of a heat map exactly one.
        unit: of all values.
        kind: how it is drawn.
        span: columns of `COLUMNS` that it is wide.
        alert_at: values on the wrong side of it are red; None where no value is wrong by itself.
        alert_below: true where the wrong side is below.
        top: the largest value there can be; None leaves it open.
    """

    title: str
    description: str
    queries: tuple[Query, ...]
    unit: Unit
    kind: Kind = Kind.LINES
    span: int = 12
    alert_at: float | None = None
    alert_below: bool = False
    top: float | None = None

    @property
    def height(self) -> int:
        """Return how many rows of Grafana's grid the panel is high."""
        return 4 if self.kind is Kind.NUMBER else 8


@dataclass(frozen=True)
class Board:
    """A dashboard: rows of panels, each under a heading.

    Attributes:
        name: of its file, and of its address.
        title: what people call it.
        description: what it answers.
        rows: panels by heading, from top to bottom.
    """

    name: str
    title: str
    description: str
    rows: dict[str, tuple[Panel, ...]]

    @property
    def panels(self) -> tuple[Panel, ...]:
        """Return all panels, from top to bottom."""
        return tuple(panel for row in self.rows.values() for panel in row)
