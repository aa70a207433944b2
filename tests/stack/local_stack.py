"""The local stack as a test sees it: containers, addresses, and what Prometheus knows."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
from surematch_client import Client

from tests.stack.engine import SERVICE, compose_words, docker, run

SECONDS = 180.0
"""How long anything may take to become true."""
Got = TypeVar("Got")


def wait_for(look: Callable[[], Got | None], what: str, *, seconds: float = SECONDS) -> Got:
    """Return the first value that ``look`` gives that is not None or False."""
    until = time.monotonic() + seconds
    while True:
        found = look()
        if found is not None and found is not False:
            return found
        assert time.monotonic() < until, f"{what}: not in {seconds:.0f} s"
        time.sleep(0.5)


@dataclass(frozen=True)
class Sample:
    """One series of an answer of Prometheus, at one moment."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True)
class Stack:
    """A running stack of its own name, with ports that the engine chose.

    Attributes:
        environment: variables that Compose reads.
        secrets: the folder that deploy/secrets.sh made.
    """

    environment: dict[str, str]
    secrets: Path

    def compose(self, *words: str, seconds: float = 900) -> str:
        """Return what a command of Compose says; it must succeed."""
        done = run(*compose_words(), *words, seconds=seconds, environment=self.environment)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def container(self, service: str) -> str:
        """Return the id of a service's container, running or not."""
        project = self.environment["COMPOSE_PROJECT_NAME"]
        labels = (f"com.docker.compose.project={project}", f"com.docker.compose.service={service}")
        found = docker("ps", "--all", "--quiet", *(f"--filter=label={one}" for one in labels))
        assert found, f"{service} has no container"
        return found.splitlines()[0]

    def state(self, service: str) -> Mapping[str, Any]:
        """Return what the engine knows of a service's container."""
        return json.loads(docker("inspect", self.container(service)))[0]

    def address(self, service: str, port: int) -> str:
        """Return where a container's port is published just now."""
        published = docker("port", self.container(service), f"{port}/tcp")
        return f"http://{published.splitlines()[0]}"

    def key(self, name: str) -> str:
        """Return a secret of deploy/secrets.sh."""
        return (self.secrets / f"{name}-key").read_text(encoding="utf-8").strip()

    def client(self, name: str = "traffic") -> Client:
        """Return a client of the service with one of the keys."""
        return Client(self.address("service", 8000), api_key=self.key(name))

    def is_ready(self) -> bool:
        """Whether the service answers that it is ready."""
        try:
            address = self.address("service", 8000)
            return httpx.get(f"{address}/readyz", timeout=5).status_code == 200
        except (AssertionError, httpx.HTTPError):
            return False

    def ask(self, expression: str) -> list[Sample]:
        """Return what Prometheus answers to an expression now."""
        address = self.address("prometheus", 9090)
        answer = httpx.get(
            f"{address}/api/v1/query", params={"query": expression}, timeout=30
        ).json()
        assert answer["status"] == "success", f"{expression}: {answer}"
        result = answer["data"]["result"]
        if answer["data"]["resultType"] == "scalar":
            return [Sample({}, float(result[1]))]
        return [Sample(one["metric"], float(one["value"][1])) for one in result]

    def knowledge(self, what: str) -> dict[str, Any]:
        """Return what Prometheus' API says under a name."""
        address = self.address("prometheus", 9090)
        return httpx.get(f"{address}/api/v1/{what}", timeout=30).json()["data"]

    def rules(self) -> list[dict[str, Any]]:
        """Return every rule as Prometheus evaluates it."""
        return [rule for group in self.knowledge("rules")["groups"] for rule in group["rules"]]


def run_service(
    *words: str, environment: Mapping[str, str], name: str, command: Sequence[str] = ()
) -> str:
    """Start a service's container of its own, beside the stack; return its id."""
    variables = [f"--env={key}={value}" for key, value in environment.items()]
    return docker("run", "--detach", "--name", name, *variables, *words, SERVICE, *command)
