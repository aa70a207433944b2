"""The local stack's file: what everybody who runs it relies on."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.settings import PREFIX, Settings
from tests.deploy.compose_file import ROOT, TEXT, compose_file, with_defaults

SERVICES: dict[str, dict[str, Any]] = compose_file()["services"]
ONE_SHOTS = {"bundle"}
"""They do one thing and end: no health to ask for, nothing to start again."""
WITHOUT_AN_ANSWER = {"traffic"}
"""They listen to nobody; they end when they can't go on, and are started again."""


def test_the_file_is_what_the_compose_specification_says(tmp_path: Path) -> None:
    plain = tmp_path / "docker-compose.yml"
    plain.write_text(yaml.safe_dump(compose_file()), encoding="utf-8")

    done = subprocess.run(  # noqa: S603  # a tool of the development environment
        [
            sys.executable,
            "-m",
            "check_jsonschema",
            "--builtin-schema",
            "vendor.compose-spec",
            plain,
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout


def test_the_schema_would_find_a_mistake(tmp_path: Path) -> None:
    broken = compose_file()
    broken["services"]["service"]["reed_only"] = True
    plain = tmp_path / "docker-compose.yml"
    plain.write_text(yaml.safe_dump(broken), encoding="utf-8")

    done = subprocess.run(  # noqa: S603
        [
            sys.executable,
            "-m",
            "check_jsonschema",
            "--builtin-schema",
            "vendor.compose-spec",
            plain,
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "reed_only" in done.stdout


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_can_change_nothing_but_its_volumes(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert service.get("user", "10001:10001").split(":")[0] not in {"0", "root"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_port_is_open_to_this_machine_alone(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port), port
    assert "network_mode" not in SERVICES[name]


def test_no_two_containers_want_one_port() -> None:
    taken = [port.split(":")[1] for one in SERVICES.values() for port in one.get("ports", [])]

    assert len(taken) == len(set(taken)) == 5


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_is_made_here_or_has_a_version_to_the_last_digit(name: str) -> None:
    service = SERVICES[name]

    if "build" in service:
        assert (ROOT / service["build"].get("dockerfile", "Dockerfile")).is_file()
        assert service["image"].startswith("surematch-")
    else:
        assert re.search(r":v?\d+\.\d+\.\d+$", service["image"]), service["image"]
    assert re.search(rf"image: \$\{{[A-Z_]+_IMAGE:-{re.escape(service['image'])}\}}", TEXT)


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - ONE_SHOTS - WITHOUT_AN_ANSWER))
def test_a_container_that_answers_is_asked_for_its_health(name: str) -> None:
    health = SERVICES[name]["healthcheck"]

    assert health["test"][0] == "CMD"
    assert {"interval", "timeout", "retries", "start_period"} <= health.keys()
    assert SERVICES[name]["restart"] == "unless-stopped"


def test_nothing_starts_before_what_it_needs_is_healthy() -> None:
    needs = {name: one["depends_on"] for name, one in SERVICES.items() if "depends_on" in one}

    assert {name: list(needed) for name, needed in needs.items()} == {
        "traffic": ["service"],
        "prometheus": ["alertmanager"],
        "grafana": ["prometheus"],
    }
    conditions = [one for needed in needs.values() for one in needed.values()]
    assert conditions == [{"condition": "service_healthy"}] * 3


def test_every_variable_of_the_service_is_one_of_its_settings() -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}

    for name in ("service", "service-gpu"):
        given = {one for one in SERVICES[name]["environment"] if one.startswith(PREFIX)}
        assert given <= known
    assert SERVICES["service-gpu"]["environment"]["SUREMATCH_DEVICE"] == "cuda"


def test_secrets_are_files_of_a_folder_that_git_ignores() -> None:
    files = {secret["file"] for secret in compose_file()["secrets"].values()}

    assert {Path(file).parent.name for file in files} == {".stack"}
    assert ".stack/" in (ROOT / ".gitignore").read_text(encoding="utf-8").split()


def test_no_password_or_key_stands_in_the_file() -> None:
    names = re.compile(r"(?i)pass(word)?|secret|token|api_?key")
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if names.search(name):
                assert value.startswith("/run/secrets/"), name
    assert "sm_" not in TEXT
    assert not re.search(r"://[^/\s]+:[^/\s]+@", TEXT)


def test_every_variable_has_a_default_so_that_nothing_must_be_set() -> None:
    assert "${" not in with_defaults(TEXT)


def test_the_bundle_volume_is_written_by_one_container_alone() -> None:
    mounts = {
        name: [volume for volume in one.get("volumes", []) if volume.startswith("bundles:")]
        for name, one in SERVICES.items()
    }
    writers = [name for name, found in mounts.items() if "bundles:/bundles" in found]

    assert writers == ["bundle"]
    assert mounts["service"] == mounts["service-gpu"] == ["bundles:/bundles:ro"]
