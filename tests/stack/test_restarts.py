"""The service comes back after it was killed, and goes without losing an answer."""

import re
from concurrent.futures import ThreadPoolExecutor

import httpx

from deploy.demo.offers import Mix, Shops
from tests.stack.engine import SERVICE, docker
from tests.stack.local_stack import Stack, wait_for
from tests.stack.traffic import PRODUCTS

CALLERS = 8
KILL = "import os, sys; os.kill(int(sys.argv[1]), 9)"


def kill(stack: Stack) -> None:
    """Kill the service's process from outside: the engine must not know that it was wanted."""
    process = str(stack.state("service")["State"]["Pid"])
    docker(
        *("run", "--rm", "--pid=host", "--user=0", "--entrypoint=python"),
        *(SERVICE, "-c", KILL, process),
    )


def test_a_service_that_is_killed_is_started_again_and_gets_ready(stack: Stack) -> None:
    wait_for(stack.is_ready, "ready before")
    before = stack.state("service")
    kill(stack)

    wait_for(lambda: stack.state("service")["RestartCount"] > before["RestartCount"], "a restart")
    wait_for(stack.is_ready, "ready again")
    after = stack.state("service")
    assert after["State"]["Pid"] != before["State"]["Pid"]
    with stack.client() as client:
        assert len(client.recommend(["an offer"]).results) == 1
    wait_for(lambda: [s.value for s in stack.ask('up{job="surematch"}')] == [1.0], "a scrape")


def test_a_stop_loses_no_answer(stack: Stack) -> None:
    """What was in flight at SIGTERM is answered whole, and the process ends with code 0."""
    wait_for(stack.is_ready, "ready before")
    address = stack.address("service", 8000)
    headers = {"X-API-Key": stack.key("traffic")}
    # so much that it takes seconds: what is in flight must be seen before it is answered
    texts = [f"{text} " * 20 for text in Shops(PRODUCTS, seed=5).offers(1000, Mix(0.5))]

    def ask(number: int) -> httpx.Response:
        body = {"queries": [f"{number} {text}" for text in texts]}
        return httpx.post(f"{address}/recommend", json=body, headers=headers, timeout=120)

    def under_way() -> bool:
        metrics = httpx.get(f"{address}/metrics", timeout=30).text
        found = re.search(r"(?m)^surematch_requests_in_flight (\S+)$", metrics)
        return found is not None and float(found[1]) >= 5  # four of them, and this one

    with ThreadPoolExecutor(CALLERS) as callers:
        asked = [callers.submit(ask, number) for number in range(CALLERS)]
        wait_for(under_way, "four requests in flight")
        stack.compose("stop", "service")
        answers = [future.result() for future in asked]

    ended = stack.state("service")["State"]
    stack.compose("up", "--detach", "--no-build", "service")
    wait_for(stack.is_ready, "ready again")
    assert [answer.status_code for answer in answers] == [200] * CALLERS
    assert all(len(answer.json()["results"]) == len(texts) for answer in answers)
    assert ended["ExitCode"] == 0
    assert ended["OOMKilled"] is False
