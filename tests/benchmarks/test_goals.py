"""The goals of the served path, on invented figures."""

from typing import Any

import pytest

from tests.benchmarks.goals import Goal, goals_of, saturation


def closed_run(size: int, connections: int, rate: float, p50: float = 5.0) -> dict[str, Any]:
    return {
        "queries_a_body": size,
        "connections": connections,
        "queries_per_second": rate,
        "answered_ms": {"p50": p50, "p95": 2 * p50, "p99": 3 * p50, "longest": 4 * p50},
    }


def closed_round(rate: float, *more: dict[str, Any]) -> dict[str, Any]:
    limit = {"queries_per_second": 100.0, "lone_ms": {"p50": 4.5}}
    runs = [closed_run(1, 1, 30.0), closed_run(1, 64, rate), closed_run(32, 4, 95.0), *more]
    return {"limit": limit, "runs": runs}


def open_round(good: float, refusal: float | None) -> dict[str, Any]:
    half = {"share": 0.5, "good_per_second": 40.0, "refused_ms": None}
    refused = None if refusal is None else {"p50": 1.0, "longest": refusal}
    twice = {"share": 2.0, "good_per_second": good, "refused_ms": refused}
    times = {"queries_a_body": 1, "answered_ms": {"p50": 10.0, "p99": 25.0}}
    return {"most": 80.0, "runs": [half | times, twice | times]}


def test_goals_are_ratios_of_one_round() -> None:
    closed = [closed_round(80.0), closed_round(90.0), closed_round(70.0)]
    opened = [open_round(76.0, 10.0), open_round(68.0, 60.0), open_round(80.0, None)]

    goals = goals_of(closed, opened)

    assert [goal.values for goal in goals] == [
        (0.95, 0.95, 0.95),
        (0.8, 0.9, 0.7),
        (0.5, 0.5, 0.5),
        (2.5, 2.5, 2.5),
        (0.95, 0.85, 1.0),
        (10.0, 60.0),
    ]
    assert [goal.is_met for goal in goals] == [True, True, True, True, True, False]


@pytest.mark.parametrize(
    ("kind", "of", "value", "is_met"),
    [
        ("at least", "median", 2.0, True),
        ("at most", "median", 2.0, True),
        ("at least", "worst", 1.0, False),
        ("at most", "worst", 9.0, False),
    ],
)
def test_the_median_or_the_worst_round_decides(
    kind: Any, of: Any, value: float, is_met: bool
) -> None:
    goal = Goal("a figure", kind, 2.0, (1.0, 2.0, 9.0), of)

    assert (goal.value, goal.is_met) == (value, is_met)


def test_a_goal_that_nothing_was_measured_for_is_neither_met_nor_missed() -> None:
    goal = Goal("a figure", "at most", 1.0, ())

    assert goal.is_met is None
    assert "nothing to measure" in goal.row()


def test_a_missed_goal_says_so() -> None:
    assert Goal("a figure", "at most", 1.0, (2.0,)).row()[-1] == "MISSED"


def test_a_goal_is_read_as_it_was_recorded() -> None:
    goal = Goal("a figure", "at most", 1.0, (2.0, 3.0), "worst")

    assert Goal.read(goal.record()) == goal


def test_saturation_is_where_most_was_answered() -> None:
    closed = [closed_round(80.0), closed_round(20.0), closed_round(90.0)]

    assert saturation(closed, 1) == 64


def test_a_number_of_connections_that_one_round_left_out_is_not_saturation() -> None:
    closed = [closed_round(80.0, closed_run(1, 256, 99.0)), closed_round(80.0)]

    assert saturation(closed, 1) == 64
