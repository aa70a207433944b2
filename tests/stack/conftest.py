"""One stack for all tests of the session: started once, and taken away with its volumes."""

import os
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

from service.contract.pointer import publish
from tests.deploy.compose_file import compose_file
from tests.stack.engine import ROOT, SERVICE, TRAINING, docker, missing_engine, missing_image
from tests.stack.local_stack import Stack, wait_for
from tests.stack.traffic import PRODUCTS
from tests.tiny import write_bundle
from training.data.synthetic import make_market

STARTED = ("bundle", "service", "alertmanager", "prometheus")
"""Grafana and the made-up traffic are started where a test wants them."""
PORTS = ("SUREMATCH_PORT", "PROMETHEUS_PORT", "ALERTMANAGER_PORT", "GRAFANA_PORT")
NOBODY = "65534:65534"
SERVICES_USER = "10001:10001"


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
    folder = tmp_path_factory.mktemp("stack")
    subprocess.run(["sh", ROOT / "deploy" / "secrets.sh", folder / "secrets"], check=True)  # noqa: S603, S607
    environment = {
        "COMPOSE_PROJECT_NAME": f"surematch-test-{os.getpid()}",
        "STACK_SECRETS": str(folder / "secrets"),
        "STACK_PRODUCTS": str(PRODUCTS),
        "STACK_QUERIES_PER_SECOND": "20",
        **dict.fromkeys(PORTS, "0"),  # whichever are free
    }
    stack = Stack(environment, folder / "secrets")
    try:
        _fill_bundles(stack, folder / "bundles")
        for name in ("prometheus", "alertmanager"):
            _fill(_volume(stack, name), owner=NOBODY)
        stack.compose("up", "--detach", "--no-build", *STARTED)
        wait_for(stack.is_ready, "the service ready")
        yield stack
    finally:
        print(stack.compose("logs", "--no-color", "--tail=60"))  # noqa: T201  # shown on failure
        stack.compose("--profile", "demo", "down", "--volumes", "--timeout=10")


def _fill_bundles(stack: Stack, folder: Path) -> None:
    """Publish a bundle of the demo's catalogue, untrained: a word-level encoder made in seconds."""
    catalogue = make_market(PRODUCTS, seed=0).catalogue
    products = [
        (p.product_id, p.title, p.category or "") for p in (one.product for one in catalogue)
    ]
    folder.mkdir()
    write_bundle(folder / "demo", threshold=0.8, products=products)
    publish(folder, "demo")
    _fill(_volume(stack, "bundles"), owner=SERVICES_USER, source=folder)


def _volume(stack: Stack, name: str) -> str:
    """Make a volume as Compose would, and return its name."""
    project = stack.environment["COMPOSE_PROJECT_NAME"]
    labels = [f"com.docker.compose.project={project}", f"com.docker.compose.volume={name}"]
    return docker(
        "volume", "create", *(f"--label={label}" for label in labels), f"{project}_{name}"
    )


def _fill(volume: str, *, owner: str, source: Path | None = None) -> None:
    """Give a volume its files and its owner; only some images do the latter by themselves."""
    mounts = [f"--volume={volume}:/volume", f"--volume={source or ROOT / 'docs'}:/source:ro"]
    script = f"{'cp -r /source/. /volume &&' if source else ''} chown -R {owner} /volume"
    docker("run", "--rm", "--user=0", *mounts, "--entrypoint=sh", SERVICE, "-c", script)


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
