"""One stack for all tests of the session: started once, and taken away with its volumes."""

import os
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.deploy.compose_file import compose_file
from tests.stack.engine import ROOT, SERVICE, TRAINING, docker, missing_engine, missing_image
from tests.stack.local_stack import Stack, wait_for

STARTED = ("bundle", "service", "alertmanager", "prometheus")
"""Grafana and the made-up traffic are started where a test wants them."""
PORTS = ("SUREMATCH_PORT", "PROMETHEUS_PORT", "ALERTMANAGER_PORT", "GRAFANA_PORT")
NOBODY = "65534:65534"


def pulled(service: str) -> str:
    """The image of a service that is not built here."""
    name = os.environ.get(f"{service.upper()}_IMAGE")
    return name or compose_file()["services"][service]["image"]


@pytest.fixture(scope="session")
def images() -> None:
    """The images that the stack can't do without are here; else every test is skipped."""
    missing = missing_engine()
    for name in (SERVICE, TRAINING):
        missing = missing or missing_image(name, can_be_pulled=False)
    for service in ("prometheus", "alertmanager"):
        missing = missing or missing_image(pulled(service), can_be_pulled=True)
    if missing:
        pytest.skip(missing)


@pytest.fixture(scope="session")
def stack(images: None, tmp_path_factory: pytest.TempPathFactory) -> Generator[Stack]:  # noqa: ARG001  # a condition
    secrets = tmp_path_factory.mktemp("stack") / "secrets"
    subprocess.run(["sh", ROOT / "deploy" / "secrets.sh", secrets], check=True)  # noqa: S603, S607
    environment = {
        "COMPOSE_PROJECT_NAME": f"surematch-test-{os.getpid()}",
        "STACK_SECRETS": str(secrets),
        "STACK_PRODUCTS": "300",
        "STACK_EPOCHS": "1",
        "STACK_QUERIES_PER_SECOND": "20",
        **dict.fromkeys(PORTS, "0"),  # whichever are free
    }
    stack = Stack(environment, secrets)
    try:
        _give_volumes_to_nobody(stack)
        stack.compose("up", "--detach", "--no-build", *STARTED)
        wait_for(stack.is_ready, "the service ready", seconds=900)
        yield stack
    finally:
        print(stack.compose("logs", "--no-color", "--tail=60"))  # noqa: T201  # shown on failure
        stack.compose("--profile", "demo", "down", "--volumes", "--timeout=10")


def _give_volumes_to_nobody(stack: Stack) -> None:
    """Official images make these folders for their user; others leave volumes to root."""
    project = stack.environment["COMPOSE_PROJECT_NAME"]
    for name in ("prometheus", "alertmanager"):
        volume = f"{project}_{name}"
        labels = [f"com.docker.compose.project={project}", f"com.docker.compose.volume={name}"]
        docker("volume", "create", *(f"--label={label}" for label in labels), volume)
        mount = f"--volume={volume}:/volume"
        docker("run", "--rm", "--user=0", mount, "--entrypoint=chown", SERVICE, NOBODY, "/volume")


@pytest.fixture
def scratch(images: None, request: pytest.FixtureRequest) -> Generator[str]:  # noqa: ARG001
    """A name for a container and a volume of one test's own, removed after it."""
    name = f"surematch-{os.getpid()}-{abs(hash(request.node.name)) % 10**8}"
    yield name
    subprocess.run(["docker", "rm", "--force", name], capture_output=True, check=False)  # noqa: S603, S607
    subprocess.run(["docker", "volume", "rm", "-f", name], capture_output=True, check=False)  # noqa: S603, S607


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test in this folder runs containers."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.stack)
