"""What an operator can get wrong: the runbook has it, with what is seen."""

import re
import subprocess

import httpx
import pytest

from tests.stack.engine import ROOT, SERVICE, TRAINING, docker, run
from tests.stack.local_stack import Stack, run_service, wait_for

RUNBOOK = (ROOT / "deploy" / "RUNBOOK.md").read_text(encoding="utf-8")
WAITING = {"SUREMATCH_BUNDLE": "/bundles", "SUREMATCH_ALLOW_ANONYMOUS": "true"}
FILL = ("-m", "deploy.demo.first_bundle", "--bundles", "/bundles")


def promised(heading: str) -> str:
    """What the runbook says one sees under a heading: the first words in code."""
    section = re.search(rf"(?m)^### {heading}\n+\*Seen\*: [^`]*`([^`]+)`", RUNBOOK)
    assert section, f"the runbook has no {heading} with what is seen"
    return section[1]


def start_waiting(name: str) -> str:
    """Start a service that waits for a bundle in a volume of its name; return its address."""
    environment = {**WAITING, "SUREMATCH_WAIT_FOR_BUNDLE": "true"}
    options = (f"--volume={name}:/bundles", "--publish=127.0.0.1::8000", "--read-only")
    run_service(*options, environment=environment, name=name)

    def listening() -> str | None:
        try:
            address = f"http://{docker('port', name, '8000/tcp').splitlines()[0]}"
            return address if httpx.get(f"{address}/livez", timeout=5).status_code == 200 else None
        except (AssertionError, httpx.HTTPError):
            return None

    return wait_for(listening, "a live service")


def test_an_empty_bundle_volume_leaves_the_service_live_and_saying_what_is_missing(
    scratch: str,
) -> None:
    address = start_waiting(scratch)
    expected = promised("Empty bundle volume")

    wait_for(lambda: expected in httpx.get(f"{address}/readyz", timeout=5).text, expected)
    assert httpx.get(f"{address}/livez", timeout=5).status_code == 200


def test_a_torn_bundle_volume_is_named_and_mended_by_a_whole_bundle(
    stack: Stack, scratch: str
) -> None:
    project = stack.environment["COMPOSE_PROJECT_NAME"]
    mounts = (f"--volume={project}_bundles:/whole:ro", f"--volume={scratch}:/bundles")
    words = ("run", "--rm", *mounts, "--entrypoint=sh", TRAINING, "-c")
    docker(*words, "cp -r /whole/. /bundles && truncate -s -1 /bundles/demo/encoder.onnx")
    address = start_waiting(scratch)
    expected = promised("Torn bundle volume")

    wait_for(lambda: expected in httpx.get(f"{address}/readyz", timeout=5).text, expected)
    docker(*words, "cp /whole/demo/encoder.onnx /bundles/demo/encoder.onnx")
    wait_for(lambda: httpx.get(f"{address}/readyz", timeout=5).status_code == 200, "ready")


def test_a_wrong_key_gets_401_and_a_right_one_without_the_scope_403(stack: Stack) -> None:
    url = f"{stack.address('service', 8000)}/recommend"
    body = {"queries": ["an offer"]}

    wrong = httpx.post(url, json=body, headers={"X-API-Key": "sm_wrong"})
    other = httpx.post(url, json=body, headers={"X-API-Key": stack.key("admin")})

    assert (wrong.status_code, other.status_code) == (401, 403)
    assert wrong.json()["code"] == promised("Wrong key")


def test_a_full_volume_is_told_before_the_work_and_left_as_it_was(scratch: str) -> None:
    small = "--mount=type=tmpfs,destination=/bundles,tmpfs-size=1m,tmpfs-mode=0777"
    words = ("run", "--name", scratch, small, "--entrypoint=sh", TRAINING, "-c")

    done = run("docker", *words, f"python {' '.join(FILL)}; echo code $?; ls -A /bundles")

    assert promised("Full volume") in done.stdout
    assert done.stdout.rstrip().endswith("code 1")


def test_the_service_answers_while_prometheus_is_down(stack: Stack) -> None:
    stack.compose("stop", "prometheus")
    try:
        with stack.client() as client:
            assert len(client.recommend(["an offer"]).results) == 1
        with pytest.raises(httpx.ConnectError):
            httpx.get(promised("Prometheus down"))
    finally:
        stack.compose("start", "prometheus")
    wait_for(lambda: _answers(stack), "Prometheus again")


def _answers(stack: Stack) -> bool:
    try:
        return bool(stack.ask('up{job="surematch"}'))
    except (AssertionError, httpx.HTTPError):
        return False


def test_a_port_that_is_taken_is_named(stack: Stack, scratch: str) -> None:
    taken = stack.address("service", 8000).rsplit(":", 1)[1]

    done = run(
        *("docker", "run", "--rm", "--name", scratch, f"--publish=127.0.0.1:{taken}:8000", SERVICE)
    )

    assert done.returncode != 0
    assert taken in done.stdout
    assert promised("Port taken") in done.stdout


def test_an_empty_volume_is_filled_by_training_and_opened_without_a_restart(scratch: str) -> None:
    address = start_waiting(scratch)
    volume = f"--volume={scratch}:/bundles"
    few = ("--bundles=/bundles", "--products=30", "--epochs=1")

    said = docker(
        *("run", "--rm", "--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", volume, TRAINING),
        *("deploy.demo.first_bundle", *few),
        seconds=1000,
    )

    assert "published /bundles/demo" in said
    wait_for(lambda: httpx.get(f"{address}/readyz", timeout=5).status_code == 200, "ready")
    answer = httpx.post(f"{address}/recommend", json={"queries": ["an offer"]}, timeout=60).json()
    assert len(answer["results"]) == 1


def test_a_service_without_waiting_ends_with_the_reason(scratch: str) -> None:
    run_service(f"--volume={scratch}:/bundles", environment=WAITING, name=scratch)

    code = docker("wait", scratch)

    assert code == "1"
    said = subprocess.run(["docker", "logs", scratch], capture_output=True, text=True, check=True)  # noqa: S603, S607
    assert promised("Empty bundle volume") in said.stderr
