"""What the served path is to reach, and by how much each figure reaches it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Literal

Round = dict[str, Any]
"""What one round measured: runs of the load generator, and what they are compared with."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound and what was measured, one value a round.

    Attributes:
        name: what is measured, with its unit.
        kind: which side of the bound is good.
        bound: the goal.
        values: one a round; none where nothing was measured.
        of: the value of all rounds that counts.
    """

    name: str
    kind: Literal["at least", "at most"]
    bound: float
    values: tuple[float, ...]
    of: Literal["median", "worst"] = "median"

    @property
    def value(self) -> float | None:
        """Return the value that counts; None where nothing was measured."""
        if not self.values:
            return None
        if self.of == "median":
            return median(self.values)
        return max(self.values) if self.kind == "at most" else min(self.values)

    @property
    def is_met(self) -> bool | None:
        """Return whether the bound is kept; None where nothing was measured."""
        if self.value is None:
            return None
        return self.value <= self.bound if self.kind == "at most" else self.value >= self.bound

    def record(self) -> dict[str, Any]:
        """Return the goal for a JSON file."""
        return {**asdict(self), "value": self.value, "is_met": self.is_met}

    @classmethod
    def read(cls, record: dict[str, Any]) -> "Goal":
        """Return the goal that was recorded."""
        return cls(
            name=record["name"],
            kind=record["kind"],
            bound=record["bound"],
            values=tuple(record["values"]),
            of=record["of"],
        )

    def row(self) -> list[str]:
        """Return the goal as a row of a table."""
        if self.value is None:
            return [self.name, f"{self.kind} {self.bound:g}", "-", "", "nothing to measure"]
        spread = f"{min(self.values):.2f} to {max(self.values):.2f}"
        met = "met" if self.is_met else "MISSED"
        return [self.name, f"{self.kind} {self.bound:g}", f"{self.value:.2f}", spread, met]


HEAD = ("goal", "bound", "measured", "rounds", "")


def goals_of(closed: Sequence[Round], opened: Sequence[Round]) -> list[Goal]:
    """Return the goals with what the rounds of closed loops and of open loops measured.

    Args:
        closed: of each round ``limit``, and ``runs`` with ``queries_a_body`` and ``connections``.
        opened: of each round ``most``, and ``runs`` with ``queries_a_body`` and ``share``.
    """
    return [
        *(
            Goal(
                f"bodies of {size} at saturation / the limit",
                "at least",
                bound,
                tuple(
                    run["queries_per_second"] / round_["limit"]["queries_per_second"]
                    for round_, run in _cells(
                        closed, queries_a_body=size, connections=saturation(closed, size)
                    )
                ),
            )
            for size, bound in ((32, 0.90), (1, 0.80))
        ),
        Goal(
            "p50 of a lone query beyond the limit's, ms",
            "at most",
            1.0,
            tuple(
                run["answered_ms"]["p50"] - round_["limit"]["lone_ms"]["p50"]
                for round_, run in _cells(closed, queries_a_body=1, connections=1)
            ),
        ),
        Goal(
            "p99 / p50 at half load",
            "at most",
            3.0,
            tuple(
                run["answered_ms"]["p99"] / run["answered_ms"]["p50"]
                for _, run in _cells(opened, queries_a_body=1, share=0.5)
            ),
        ),
        Goal(
            "answered within 1 s at twice the most / the most",
            "at least",
            0.9,
            tuple(
                run["good_per_second"] / round_["most"]
                for round_, run in _cells(opened, queries_a_body=1, share=2.0)
            ),
        ),
        Goal(
            "slowest refusal at twice the most, ms",
            "at most",
            50.0,
            tuple(
                run["refused_ms"]["longest"]
                for _, run in _cells(opened, queries_a_body=1, share=2.0)
                if run["refused_ms"] is not None
            ),
            of="worst",
        ),
    ]


def saturation(closed: Sequence[Round], queries_a_body: int) -> int:
    """Return with how many connections bodies of this size got most answers, by the median.

    Only numbers that every round measured count.
    """
    rates: dict[int, list[float]] = {}
    for _, run in _cells(closed, queries_a_body=queries_a_body):
        rates.setdefault(run["connections"], []).append(run["queries_per_second"])
    rounds = max(map(len, rates.values()))
    whole = {number: median(found) for number, found in rates.items() if len(found) == rounds}
    return max(whole, key=lambda number: whole[number])


def _cells(rounds: Sequence[Round], **wanted: float) -> list[tuple[Round, dict[str, Any]]]:
    """Return the runs with these settings, each with its round."""
    return [
        (round_, run)
        for round_ in rounds
        for run in round_["runs"]
        if wanted.items() <= run.items()
    ]
