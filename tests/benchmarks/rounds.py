"""The rounds of a benchmark: the limit and the service in turn, closed loops, then open ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks.goals import Round, saturation
from tests.benchmarks.limit import measure_limit
from tests.benchmarks.subject import Subject
from tests.benchmarks.traffic import zipf_mix
from training.console import progress

CONNECTIONS = {1: (1, 4, 16, 64, 256), 32: (1, 4, 16)}
"""Of closed loops, by queries a body."""

MOST_AT_ONCE = ((32, 64), (32, 256))
"""Queries a body and connections of one round alone: answers take up to half a minute."""

SHARES = {1: (0.5, 0.8, 0.95, 2.0), 32: (0.5, 2.0)}
"""Of the most that closed loops got: what open loops offer, by queries a body."""

LONGER = {(1, 0.5): 3, (1, 2.0): 2}
"""So many times as long as others: for a 99th percentile, and to fill whatever queue there is."""

LIMIT_TEXTS = 2048
REPEATED_TEXTS = 2000
REPEATED_DRAWS = 20_000
REPEATED_CONNECTIONS = 64
CACHE_SERIES = "surematch_cache_requests_total"


@dataclass(frozen=True, slots=True)
class Bench:
    """A service and the limit of its cores.

    Attributes:
        subject: the service.
        bundle: what it serves.
        budget: padded tokens of the limit's batches.
        seconds: of a run.
    """

    subject: Subject
    bundle: Path
    budget: int
    seconds: float

    def closed_rounds(self, rounds: int) -> list[Round]:
        """Return so many rounds of callers who wait for their answers.

        Each size of body has rounds of its own, which begin with the limit, so that figures that
        are compared lie close in time.
        """
        total = rounds * sum(len(numbers) + 1 for numbers in CONNECTIONS.values())
        found: list[Round] = []
        with progress(total + len(MOST_AT_ONCE), "closed loops", unit="runs") as shown:
            for number in range(rounds):
                for size, connections in CONNECTIONS.items():
                    limit = self._limit()
                    shown.advance(1)
                    once = [most for own, most in MOST_AT_ONCE if own == size and number == 0]
                    runs: list[dict[str, Any]] = []
                    for callers in (*connections, *once):
                        runs.append(self.subject.closed_loop(size, callers, self.seconds))
                        shown.advance(1)
                    found.append({"limit": limit, "runs": runs})
        return found

    def open_rounds(self, rounds: int, closed: Sequence[Round]) -> list[Round]:
        """Return so many rounds of callers who come at random, whatever became of others.

        Args:
            rounds: how many.
            closed: from which is known what the service can do at most.
        """
        cells = [(size, share) for size, shares in SHARES.items() for share in shares]
        most = {size: _most(closed, size) for size in SHARES}
        found: list[Round] = []
        with progress(rounds * (len(cells) + 1), "open loops", unit="runs") as shown:
            for number in range(rounds):
                now = self.subject.closed_loop(1, saturation(closed, 1), self.seconds)
                shown.advance(1)
                runs: list[dict[str, Any]] = []
                for size, share in cells:
                    seconds = LONGER.get((size, share), 1) * self.seconds
                    run = self.subject.open_loop(size, share * most[size], seconds, seed=number)
                    runs.append({"share": share, **run})
                    shown.advance(1)
                found.append({"most": now["queries_per_second"], "runs": runs})
        return found

    def repeated(self) -> dict[str, Any]:
        """Return a closed loop over texts of which a few come often; a cache may answer them."""
        texts = self.subject.texts.take(REPEATED_TEXTS)
        mix = zipf_mix(texts, REPEATED_DRAWS, seed=0)
        before = self.subject.counted(CACHE_SERIES)
        run = self.subject.closed_loop_of(mix, REPEATED_CONNECTIONS, self.seconds)
        after = self.subject.counted(CACHE_SERIES)
        what = f"Zipf (exponent 1) over {REPEATED_TEXTS} texts"
        asked = {result: after[result] - before.get(result, 0) for result in after}
        return {"what": what, "cache": asked, **run}

    def _limit(self) -> dict[str, Any]:
        texts = self.subject.texts.take(LIMIT_TEXTS)
        return measure_limit(self.bundle, texts, seconds=self.seconds, budget=self.budget)


def _most(closed: Sequence[Round], queries_a_body: int) -> float:
    connections = saturation(closed, queries_a_body)
    wanted = {"queries_a_body": queries_a_body, "connections": connections}
    return median(
        run["queries_per_second"]
        for round_ in closed
        for run in round_["runs"]
        if wanted.items() <= run.items()
    )
