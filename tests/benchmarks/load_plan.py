"""What the load generator is to do, and the process that does it."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
WARM_UP_CONNECTIONS = 4


@dataclass(frozen=True, slots=True)
class Plan:
    """One run of the load generator.

    Attributes:
        address: host and port of the system under load, ``127.0.0.1:8000``.
        dialect: how it is asked, a key of `DIALECTS`.
        bodies: texts of each request, in order; from the start again if they run out.
        connections: a closed loop keeps so many requests under way; an open loop never opens more.
        seconds: how long requests are sent; after that answers are waited for.
        warm_seconds: before that, the same in a closed loop of few connections, not counted.
        rate: requests a second that an open loop sends, at random moments (a Poisson process);
            None for a closed loop.
        seed: of those moments.
    """

    address: str
    dialect: str
    bodies: Sequence[Sequence[str]]
    connections: int
    seconds: float
    warm_seconds: float = 0.5
    rate: float | None = None
    seed: int = 0

    def to_json(self) -> str:
        """Return the plan as the load generator reads it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, plan: str) -> "Plan":
        """Return the plan that was written by `to_json`."""
        return cls(**json.loads(plan))


def run_load(plan: Plan) -> dict[str, Any]:
    """Return what a load generator in a process of its own measured.

    Raises:
        CalledProcessError: if it failed; it has said why on standard error.
    """
    command = [sys.executable, "-m", "tests.benchmarks.load"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SUREMATCH_")}
    done = subprocess.run(  # noqa: S603  # our own module
        command,
        input=plan.to_json(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=ROOT,
        env=environment,
    )
    return json.loads(done.stdout)


def in_bodies(texts: Sequence[str], queries_a_body: int) -> list[list[str]]:
    """Return the texts in bodies of so many; a last body that would be smaller is left out.

    >>> in_bodies(["a", "b", "c"], 2)
    [['a', 'b']]
    """
    ends = range(queries_a_body, len(texts) + 1, queries_a_body)
    return [list(texts[end - queries_a_body : end]) for end in ends]
