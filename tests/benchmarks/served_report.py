"""The tables that `make bench` prints."""

from collections.abc import Sequence
from statistics import median
from typing import Any

from tests.benchmarks.goals import HEAD, Goal, Round
from training.console import table

Run = dict[str, Any]

CLOSED_HEAD = (
    "queries a body",
    "connections",
    "queries/s",
    "rounds",
    "of the limit",
    "p50 ms",
    "p95 ms",
    "p99 ms",
    "longest",
    "other than 200",
    "generator's cores",
)
OPEN_HEAD = (
    "queries a body",
    "of the most",
    "offered/s",
    "good/s",
    "p50 ms",
    "p95 ms",
    "p99 ms",
    "longest",
    "refused p99",
    "sent late p99",
    "other than 200",
)


def report(figures: dict[str, Any]) -> list[str]:
    """Return the lines for a reader: the limit, closed loops, open loops, memory, goals."""
    closed, opened = figures["closed_loops"], figures["open_loops"]
    limit = [round_["limit"] for round_ in closed]
    memory, again = figures["memory_mb"], figures["repeated_texts"]
    machine = figures["machine"]
    return [
        f"{machine['processor']}, {machine['cores']} cores; load generator: "
        f"{figures['load_generator']}",
        f"texts: {figures['texts']}; {figures['bundle']['products']} products, "
        f"{figures['bundle']['precision']}",
        "",
        f"limit: {_median(limit, 'queries_per_second'):.0f} queries/s in batches of "
        f"{figures['limit']['budget']} padded tokens; a lone query "
        f"{median(one['lone_ms']['p50'] for one in limit):.2f} ms",
        "",
        *table(CLOSED_HEAD, _closed_rows(closed)),
        "",
        *table(OPEN_HEAD, _open_rows(opened)),
        "",
        f"repeated texts ({again['what']}, {again['connections']} connections): "
        f"{again['queries_per_second']:.0f} queries/s; cache: {_counts(again['cache'])}",
        "memory: " + ", ".join(f"{size:.0f} MB {when}" for when, size in memory.items()),
        "",
        *table(HEAD, [Goal.read(record).row() for record in figures["goals"]]),
    ]


def outcomes(runs: Sequence[Run]) -> str:
    """Return how many requests got what other than 200, over all runs.

    >>> outcomes([{"outcomes": {"200": 5, "429": 2}}, {"outcomes": {"429": 1}}])
    '3 x 429'
    """
    found: dict[str, int] = {}
    for run in runs:
        for outcome, number in run["outcomes"].items():
            found[outcome] = found.get(outcome, 0) + number
    return ", ".join(f"{number} x {what}" for what, number in found.items() if what != "200")


def milliseconds(runs: Sequence[Run], of: str, quantile: str) -> str:
    """Return the median over runs of a quantile, the longest of all; a dash where none has it."""
    found = [run[of][quantile] for run in runs if run[of] is not None]
    if not found:
        return "-"
    return f"{max(found) if quantile == 'longest' else median(found):.1f}"


def _closed_rows(closed: Sequence[Round]) -> list[list[str]]:
    rows: list[list[str]] = []
    for (size, connections), cells in _grouped(closed, "connections").items():
        rates = [run["queries_per_second"] for _, run in cells]
        shares = [
            run["queries_per_second"] / round_["limit"]["queries_per_second"]
            for round_, run in cells
        ]
        runs = [run for _, run in cells]
        rows.append(
            [
                str(size),
                str(connections),
                f"{median(rates):.0f}",
                f"{min(rates):.0f}-{max(rates):.0f}",
                f"{median(shares):.2f}",
                *_times(runs),
                outcomes(runs),
                f"{_median(runs, 'generator_cores'):.2f}",
            ]
        )
    return rows


def _open_rows(opened: Sequence[Round]) -> list[list[str]]:
    rows: list[list[str]] = []
    for (size, share), cells in _grouped(opened, "share").items():
        runs = [run for _, run in cells]
        rows.append(
            [
                str(size),
                f"{share:g}",
                f"{_median(runs, 'offered_per_second'):.0f}",
                f"{_median(runs, 'good_per_second'):.0f}",
                *_times(runs),
                milliseconds(runs, "refused_ms", "p99"),
                milliseconds(runs, "late_ms", "p99"),
                outcomes(runs),
            ]
        )
    return rows


def _times(runs: Sequence[Run]) -> list[str]:
    return [milliseconds(runs, "answered_ms", name) for name in ("p50", "p95", "p99", "longest")]


def _grouped(rounds: Sequence[Round], by: str) -> dict[tuple[int, float], list[tuple[Round, Run]]]:
    """Return the runs of equal settings together, each with its round."""
    found: dict[tuple[int, float], list[tuple[Round, Run]]] = {}
    for round_ in rounds:
        for run in round_["runs"]:
            found.setdefault((run["queries_a_body"], run[by]), []).append((round_, run))
    return dict(sorted(found.items()))


def _median(runs: Sequence[dict[str, Any]], name: str) -> float:
    return median(run[name] for run in runs)


def _counts(cache: dict[str, float]) -> str:
    return ", ".join(f"{number:.0f} x {what}" for what, number in cache.items()) or "none"
