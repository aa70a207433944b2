"""Prometheus's own tools read every file, and its tests of the rules pass."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.monitoring import DEPLOY, RULES

PROMETHEUS = DEPLOY / "prometheus"
TESTS = sorted((PROMETHEUS / "tests").glob("*.yml"))

pytestmark = pytest.mark.promtool


def run(tool: str, *arguments: str | Path) -> str:
    """Return what a tool said; it must be content."""
    found = shutil.which(tool)
    if found is None:
        pytest.skip(f"{tool} is not installed (Debian: apt-get install prometheus-alertmanager)")
    done = subprocess.run(  # noqa: S603  # a tool of Prometheus on our own files
        [found, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_configuration_is_read_with_all_its_rules() -> None:
    said = run("promtool", "check", "config", PROMETHEUS / "prometheus.yml")

    assert f"{len(RULES)} rule files found" in said


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_rules_are_sound(path: Path) -> None:
    assert "SUCCESS" in run("promtool", "check", "rules", "--lint=all", "--lint-fatal", path)


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_alerts_fire_when_they_should_and_are_silent_when_not(path: Path) -> None:
    assert "SUCCESS" in run("promtool", "test", "rules", path)


def test_a_rule_that_is_wrong_would_be_seen(tmp_path: Path) -> None:
    shutil.copytree(PROMETHEUS, tmp_path / "p")
    rules = tmp_path / "p" / "rules" / "alerts.yml"
    rules.write_text(rules.read_text().replace('up{job="surematch"} == 0', "up == 2"))

    with pytest.raises(AssertionError, match="SurematchDown"):
        run("promtool", "test", "rules", tmp_path / "p" / "tests" / "availability.yml")


def test_the_routes_of_alertmanager_are_sound() -> None:
    assert "SUCCESS" in run("amtool", "check-config", DEPLOY / "alertmanager" / "alertmanager.yml")


@pytest.mark.parametrize(("severity", "receiver"), [("critical", "at-once"), ("warning", "today")])
def test_an_alert_goes_to_whom_its_severity_says(severity: str, receiver: str) -> None:
    config = DEPLOY / "alertmanager" / "alertmanager.yml"

    said = run(
        "amtool", "config", "routes", "test", f"--config.file={config}", f"severity={severity}"
    )

    assert said.splitlines()[0].strip() == receiver
