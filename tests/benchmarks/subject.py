"""A running system and the texts that it is asked: one call for each run of the load generator."""

import math
import resource
from dataclasses import dataclass
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.benchmarks.load_plan import Plan, in_bodies, run_load
from tests.benchmarks.traffic import Texts

WARM_SECONDS = 0.5
ODDS = 1.2
"""By so much a Poisson process may offer more than its rate; plus this for short runs:"""
SPARE_BODIES = 16
MOST_CONNECTIONS = 4096
"""More an open loop never opens; what is due then waits, and its time goes on."""

MOST_FILES = 16_384
"""Connections are files; a service and a load generator may have so many, where it is allowed."""


def allow_many_connections() -> None:
    """Raise the limit of open files for the processes that are started from now on."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(MOST_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


@dataclass(frozen=True, slots=True)
class Subject:
    """A system under load.

    Attributes:
        dialect: how it is asked, a key of `DIALECTS`.
        address: its host and port.
        texts: new ones for every run, so that none is asked twice.
        most_per_second: queries it can't exceed; so many texts are made ready.
    """

    dialect: str
    address: str
    texts: Texts
    most_per_second: float

    def closed_loop(self, queries_a_body: int, connections: int, seconds: float) -> dict[str, Any]:
        """Return the figures of so many callers who ask again as soon as they are answered."""
        rounds = math.ceil(self.most_per_second * (seconds + WARM_SECONDS) / queries_a_body)
        texts = self.texts.take((rounds + 2 * connections) * queries_a_body)
        plan = Plan(
            address=self.address,
            dialect=self.dialect,
            bodies=in_bodies(texts, queries_a_body),
            connections=connections,
            seconds=seconds,
            warm_seconds=WARM_SECONDS,
        )
        return run_load(plan)

    def closed_loop_of(self, texts: list[str], connections: int, seconds: float) -> dict[str, Any]:
        """Return the figures of callers who ask these texts one by one, over and over."""
        bodies = in_bodies(texts, 1)
        return run_load(
            Plan(self.address, self.dialect, bodies, connections, seconds, WARM_SECONDS)
        )

    def open_loop(
        self, queries_a_body: int, queries_per_second: float, seconds: float, *, seed: int
    ) -> dict[str, Any]:
        """Return the figures of callers who come at random, so many a second."""
        most = max(queries_per_second, self.most_per_second) / queries_a_body
        bodies = math.ceil(ODDS * most * (seconds + WARM_SECONDS)) + SPARE_BODIES
        plan = Plan(
            address=self.address,
            dialect=self.dialect,
            bodies=in_bodies(self.texts.take(bodies * queries_a_body), queries_a_body),
            connections=MOST_CONNECTIONS,
            seconds=seconds,
            warm_seconds=WARM_SECONDS,
            rate=queries_per_second / queries_a_body,
            seed=seed,
        )
        return run_load(plan)

    def counted(self, series: str) -> dict[str, float]:
        """Return the values of one series of the service's metrics by their labels' values."""
        text = httpx.get(f"http://{self.address}/metrics").raise_for_status().text
        return {
            " ".join(sample.labels.values()): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == series
        }
