"""Finds an engine for containers, Compose and the images, or says what is missing."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SERVICE = os.environ.get("SERVICE_IMAGE") or "surematch-service"
TRAINING = os.environ.get("TRAINING_IMAGE") or "surematch-training"


def run(
    *command: str, seconds: float = 300, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, whatever its exit code; standard error is told with the output."""
    return subprocess.run(  # noqa: S603  # our own words
        command,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=seconds,
    )


def docker(*words: str, seconds: float = 300) -> str:
    """Return what a docker command says.

    Raises:
        AssertionError: if it fails.
    """
    done = run("docker", *words, seconds=seconds)
    assert done.returncode == 0, done.stdout
    return done.stdout.strip()


@cache
def compose_words() -> Sequence[str]:
    """Return what to call Compose by; nothing where there is none."""
    for words in (("docker", "compose"), ("docker-compose",)):
        if shutil.which(words[0]) and run(*words, "version").returncode == 0:
            return words
    return ()


def missing_engine() -> str | None:
    """Return what is missing to run containers at all; None if nothing is."""
    if shutil.which("docker") is None:
        return "docker is not installed"
    if run("docker", "info").returncode != 0:
        return "no engine answers `docker info`; start one, or set DOCKER_HOST"
    if not compose_words():
        return "neither `docker compose` nor `docker-compose` is installed"
    return None


def missing_image(name: str, *, can_be_pulled: bool) -> str | None:
    """Return that an image is neither here nor to be had; None if it is here now."""
    if run("docker", "image", "inspect", name).returncode == 0:
        return None
    if can_be_pulled and run("docker", "pull", name).returncode == 0:
        return None
    return f"the image {name} is not here" + ("" if can_be_pulled else "; run `make images`")
