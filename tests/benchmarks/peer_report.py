"""The tables that `make bench-peers` prints, and its goals."""

from collections.abc import Sequence, Set
from statistics import median
from typing import Any

from tests.benchmarks.goals import HEAD, Goal
from tests.benchmarks.served_report import milliseconds, outcomes
from training.console import table

OURS = "surematch"
OURS_EMBED = "surematch_embed"
BUSY = {"queries_a_body": 1, "connections": 64}
Round = dict[str, Any]
Run = dict[str, Any]

ROWS_HEAD = (
    "system",
    "queries a body",
    "connections",
    "queries/s",
    "rounds",
    "ours / this",
    "p50 ms",
    "p99 ms",
    "other than 200",
)


def report(figures: dict[str, Any]) -> list[str]:
    """Return the lines for a reader: what the systems are, what they did, the goals."""
    rounds, machine = figures["rounds"], figures["machine"]
    rates = [round_["limit"]["queries_per_second"] for round_ in rounds]
    systems = {name: None for round_ in rounds for name in round_["systems"]}
    rows = [row for name in systems for row in _rows(rounds, name)]
    return [
        f"{machine['processor']}, {machine['cores']} cores; load generator: "
        f"{figures['load_generator']}",
        f"texts: {figures['texts']}; limit: {median(rates):.0f} queries/s",
        *(
            f"{name}: {record['what']} "
            f"({', '.join(' '.join(pin) for pin in record['versions'].items())})"
            for name, record in figures["systems"].items()
        ),
        *(
            f"round {number}: {name} failed: {found['failure']}"
            for number, round_ in enumerate(rounds, start=1)
            for name, found in round_["systems"].items()
            if "failure" in found
        ),
        "",
        *table(ROWS_HEAD, rows),
        "",
        *table(HEAD, [Goal.read(record).row() for record in figures["goals"]]),
    ]


def peer_goals(rounds: Sequence[Round], packed: Set[str]) -> list[Goal]:
    """Return how often our throughput is that of infinity, and of the best peer, at 64 callers.

    Args:
        rounds: what was measured.
        packed: peers with our packing inside; they are shown, but not what a peer does itself.
    """
    peers = {name for round_ in rounds for name in round_["systems"]} - {OURS, OURS_EMBED} - packed
    rates = {peer: [rate for _, rate in _pairs(rounds, peer, BUSY)] for peer in peers}
    measured = {peer: median(found) for peer, found in rates.items() if found}
    best = max(measured, key=lambda peer: measured[peer], default=None)
    goals = [("infinity", "infinity", 3.0), (f"the best peer, {best}", best, 1.2)]
    return [
        Goal(
            f"queries/s at 64 connections / those of {name}",
            "at least",
            bound,
            tuple(ours / theirs for ours, theirs in _pairs(rounds, peer, BUSY)),
        )
        for name, peer, bound in goals
    ]


def _rows(rounds: Sequence[Round], system: str) -> list[list[str]]:
    cells = {
        (run["queries_a_body"], run["connections"]): None
        for round_ in rounds
        for run in round_["systems"][system]["runs"]
    }
    rows: list[list[str]] = []
    for size, connections in cells:
        cell = {"queries_a_body": size, "connections": connections}
        runs = [run for round_ in rounds if (run := _run(round_, system, cell)) is not None]
        rates = [run["queries_per_second"] for run in runs]
        ratios = [ours / theirs for ours, theirs in _pairs(rounds, system, cell)]
        rows.append(
            [
                system,
                str(size),
                str(connections),
                f"{median(rates):.0f}",
                f"{min(rates):.0f}-{max(rates):.0f}",
                f"{median(ratios):.2f}" if ratios else "-",
                milliseconds(runs, "answered_ms", "p50"),
                milliseconds(runs, "answered_ms", "p99"),
                outcomes(runs),
            ]
        )
    return rows


def _pairs(
    rounds: Sequence[Round], system: str | None, cell: dict[str, int]
) -> list[tuple[float, float]]:
    """Return our queries a second and a system's, of each round that has both."""
    found: list[tuple[float, float]] = []
    for round_ in rounds:
        ours, theirs = _run(round_, OURS, cell), _run(round_, system, cell)
        if ours is not None and theirs is not None and theirs["queries_per_second"] > 0:
            found.append((ours["queries_per_second"], theirs["queries_per_second"]))
    return found


def _run(round_: Round, system: str | None, cell: dict[str, int]) -> Run | None:
    runs = round_["systems"].get(system, {"runs": []})["runs"]
    return next((run for run in runs if cell.items() <= run.items()), None)
