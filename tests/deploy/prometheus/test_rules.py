"""Rules and alerts name what the service has, and people find what to do about each alert."""

import re
from collections.abc import Mapping

import pytest

from tests.monitoring import DEPLOY, Rule, alerts, exposed, faults_of, load_yaml, rules

RUNBOOK = (DEPLOY / "RUNBOOK.md").read_text(encoding="utf-8")
TESTS = sorted((DEPLOY / "prometheus" / "tests").glob("*.yml"))
NAMES = [rule.name for rule in rules()]


@pytest.fixture(scope="module")
def series() -> Mapping[str, Mapping[str, set[str]]]:
    return exposed()


def sections() -> dict[str, str]:
    """The text under each heading of the runbook."""
    parts = re.split(r"(?m)^## (.+)$", RUNBOOK)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def fires(section: str) -> str:
    """The first paragraph of a section, with its thresholds."""
    return section.strip().split("\n\n")[0]


@pytest.mark.parametrize("rule", rules(), ids=NAMES)
def test_a_rule_names_metrics_and_labels_that_the_service_has(
    rule: Rule, series: Mapping[str, Mapping[str, set[str]]]
) -> None:
    assert faults_of(rule.expression, series) == []


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("rate(surematch_unheard_of_total[5m])", "surematch_unheard_of_total"),
        ("sum by (joba) (surematch_ready)", "joba"),
        (
            'surematch_bundle_swaps_total{result=~"refused|lost"}',
            "surematch_bundle_swaps_total{result=lost}",
        ),
        ('surematch_ready{lane="bulk"}', "surematch_ready{lane=bulk}"),
        (
            'job_route:surematch_http_requests:rate5m{route="/nowhere"}',
            "job_route:surematch_http_requests:rate5m{route=/nowhere}",
        ),
        ("job:surematch_coverage:ratio_rate2d", "job:surematch_coverage:ratio_rate2d"),
    ],
)
def test_a_name_that_the_service_lacks_would_be_seen(
    expression: str, fault: str, series: Mapping[str, Mapping[str, set[str]]]
) -> None:
    assert faults_of(expression, series) == [fault]


def test_names_are_given_once_and_those_of_recording_rules_say_level_metric_and_operation() -> None:
    assert len(NAMES) == len(set(NAMES))
    for rule in rules():
        if rule not in alerts():
            assert re.fullmatch(r"job(_[a-z]+)?:surematch_[a-z_]+:[a-z0-9_]+", rule.name)


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert.name)
def test_an_alert_says_what_how_bad_and_where_to_read_on(alert: Rule) -> None:
    notes = alert.fields["annotations"]

    assert set(notes) == {"summary", "description", "runbook_url"}
    assert alert.name.startswith("Surematch")
    assert alert.fields["labels"]["severity"] in {"critical", "warning"}
    assert len(notes["summary"]) <= 60
    assert notes["description"].endswith(".")
    assert notes["runbook_url"] == f"deploy/RUNBOOK.md#{alert.name.lower()}"


def test_every_alert_has_a_heading_in_the_runbook_and_every_heading_an_alert() -> None:
    assert sorted(sections()) == sorted(alert.name for alert in alerts())


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert.name)
def test_a_section_of_the_runbook_has_all_its_parts(alert: Rule) -> None:
    section = sections()[alert.name]

    for part in ("*Fires*: ", "**Meaning.** ", "**Likely causes.** ", "**What to do.** "):
        assert section.count(part) == 1, part


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert.name)
def test_the_runbook_has_the_threshold_the_time_and_the_severity_of_each_alert(alert: Rule) -> None:
    said = fires(sections()[alert.name])

    for threshold in re.findall(r"[<>=]=? [\d.]+(?: \* \d+)?", alert.expression):
        if threshold != "== 1":  # that a replica is ready, where something else is wrong
            assert f"{threshold}`" in said, threshold
    wait = alert.fields.get("for")
    assert ("at once" if wait is None else f"`for {wait}`") in said
    assert f"`{alert.fields['labels']['severity']}`" in said


def test_every_alert_is_tested_to_fire_and_to_be_silent() -> None:
    fired: set[str] = set()
    silent: set[str] = set()
    for path in TESTS:
        for case in load_yaml(path)["tests"]:
            for check in case["promql_expr_test"]:
                assert f'alertname="{case["name"]}", alertstate="firing"' in check["expr"]
                (fired if check["exp_samples"] else silent).add(case["name"])

    assert fired == silent == {alert.name for alert in alerts()}


def test_prometheus_reads_these_rules_and_scrapes_the_job_they_ask_for() -> None:
    config = load_yaml(DEPLOY / "prometheus" / "prometheus.yml")

    assert config["rule_files"] == ["rules/*.yml"]
    assert [job["job_name"] for job in config["scrape_configs"]] == ["surematch"]
    asked = {job for rule in rules() for job in re.findall(r'job="([^"]+)"', rule.expression)}
    assert asked == {"surematch"}
