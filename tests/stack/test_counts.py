"""What Prometheus says is what callers saw."""

import re

import httpx
import pytest

from tests.stack.engine import docker
from tests.stack.local_stack import Stack, wait_for
from tests.stack.traffic import QUERIES, Traffic

COUNTER = 'surematch_recommendations_total{job="surematch"}'
BODIES = 5


def of_service(stack: Stack) -> float:
    """How many recommendations the service itself says that it gave."""
    text = httpx.get(f"{stack.address('service', 8000)}/metrics", timeout=30).text
    return sum(
        float(n) for n in re.findall(r"(?m)^surematch_recommendations_total\{.* (\S+)$", text)
    )


def of_prometheus(stack: Stack) -> dict[str, float]:
    """What Prometheus has counted by decision, as soon as it has seen all of it."""

    def look() -> dict[str, float] | None:
        samples = stack.ask(f"sum by (decision) ({COUNTER})")
        found = {sample.labels["decision"]: sample.value for sample in samples}
        return found if sum(found.values()) == of_service(stack) else None

    return wait_for(look, "a scrape of the last answers")


def test_coverage_in_prometheus_is_what_the_client_counted(stack: Stack) -> None:
    before = of_prometheus(stack)

    seen = Traffic(stack).count(BODIES, 0.5)

    after = of_prometheus(stack)
    gained = {decision: after[decision] - before.get(decision, 0) for decision in after}
    assert gained == seen
    assert sum(gained.values()) == BODIES * QUERIES


def test_the_coverage_that_people_look_at_is_that_of_its_window(stack: Stack) -> None:
    Traffic(stack).count(1, 0.0)
    after = of_prometheus(stack)

    def look() -> float | None:
        samples = stack.ask('surematch_coverage_ratio{job="surematch", window="1d"}')
        return samples[0].value if samples and samples[0].value == samples[0].value else None  # NaN

    # the gauge begins anew with the process, as the counters do
    assert wait_for(look, "a gauge") == pytest.approx(
        after["auto_accepted"] / sum(after.values()), abs=1e-9
    )


def test_the_made_up_traffic_counts_what_prometheus_counts(stack: Stack) -> None:
    before = sum(of_prometheus(stack).values())
    stack.compose("--profile", "demo", "up", "--detach", "--no-build", "traffic")
    try:
        wait_for(lambda: of_service(stack) > before + 3 * QUERIES, "some traffic")
        stack.compose("stop", "--timeout=60", "traffic")  # it ends by itself, and says what it got
        said = docker("logs", stack.container("traffic"))
        state = stack.state("traffic")["State"]
    finally:
        stack.compose("rm", "--force", "--stop", "traffic")

    answered = re.findall(r"stopped: (\d+) queries answered", said)
    assert answered, said
    assert sum(of_prometheus(stack).values()) - before == int(answered[0])
    assert state["ExitCode"] == 0
