"""Who is told of an alert, as far as a file without addresses can say."""

from tests.monitoring import DEPLOY, alerts, load_yaml

CONFIG = load_yaml(DEPLOY / "alertmanager" / "alertmanager.yml")


def test_every_severity_has_a_route_to_a_receiver_that_exists() -> None:
    severities = {alert.fields["labels"]["severity"] for alert in alerts()}
    routed = {
        matcher.removeprefix('severity="').removesuffix('"')
        for route in CONFIG["route"]["routes"]
        for matcher in route["matchers"]
    }
    names = {receiver["name"] for receiver in CONFIG["receivers"]}

    assert routed == severities
    assert {
        CONFIG["route"]["receiver"],
        *(r["receiver"] for r in CONFIG["route"]["routes"]),
    } == names


def test_receivers_are_empty_so_that_no_address_and_no_secret_is_in_the_repository() -> None:
    assert all(set(receiver) == {"name"} for receiver in CONFIG["receivers"])


def test_what_silences_other_alerts_are_alerts_that_exist() -> None:
    (rule,) = CONFIG["inhibit_rules"]
    (matcher,) = rule["source_matchers"]

    names = set(matcher.removeprefix('alertname=~"').removesuffix('"').split("|"))

    assert names <= {alert.name for alert in alerts()}
