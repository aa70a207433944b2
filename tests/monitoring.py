"""The service's metrics and the rules of Prometheus, as far as other files may name them."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from service.metrics import Metrics
from tests.promql import Selector, grouping_labels, selectors
from tests.tiny import write_bundle

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
RULES = sorted((DEPLOY / "prometheus" / "rules").glob("*.yml"))
OF_PROMETHEUS = {"up", "ALERTS"}
"""Series that Prometheus makes itself."""
OF_TARGETS = {"job", "instance"}
"""Labels that Prometheus gives."""
OF_BUNDLES = {"bundle_id", "generation", "type", "dim", "sha", "target_precision", "le"}
"""Labels whose values come with a bundle."""


@dataclass(frozen=True)
class Rule:
    """One rule of Prometheus: a recording rule has a name of two colons, an alert one without."""

    name: str
    expression: str
    fields: Mapping[str, Any]


def load_yaml(path: Path) -> Any:
    """Return what a YAML file holds."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@cache
def rules() -> tuple[Rule, ...]:
    """Return every rule, in the order of its file."""
    return tuple(
        Rule(rule.get("record") or rule["alert"], rule["expr"], rule)
        for path in RULES
        for group in load_yaml(path)["groups"]
        for rule in group["rules"]
    )


def alerts() -> list[Rule]:
    """Return the rules that are alerts."""
    return [rule for rule in rules() if "alert" in rule.fields]


def exposed() -> Mapping[str, Mapping[str, set[str]]]:
    """Return the label values of every series of a service that has a bundle, by name."""
    metrics = Metrics()
    with tempfile.TemporaryDirectory() as folder:
        metrics.show_bundle(write_bundle(Path(folder) / "b").manifest, generation=1)
    found: dict[str, dict[str, set[str]]] = {}
    for family in metrics.registry.collect():
        for sample in family.samples:
            values = found.setdefault(sample.name, {})
            for label, value in sample.labels.items():
                values.setdefault(label, set()).add(value)
    return found


def faults_of(expression: str, series: Mapping[str, Mapping[str, set[str]]]) -> list[str]:
    """Return what an expression names that neither the service nor a rule has.

    Args:
        expression: PromQL.
        series: what `exposed` returned.
    """
    recorded = {rule.name for rule in rules()} - {rule.name for rule in alerts()}
    known = set(series) | recorded | OF_PROMETHEUS
    labels = {label for of_one in series.values() for label in of_one} | OF_TARGETS
    asked = selectors(expression)
    faults = [s.metric for s in asked if s.metric not in known]
    faults += sorted(grouping_labels(expression) - labels - {"alertname"})
    return faults + [fault for s in asked for fault in _unknown_values(s, series)]


def _unknown_values(selector: Selector, series: Mapping[str, Mapping[str, set[str]]]) -> list[str]:
    """Values are looked for in the metric, or anywhere where the metric is a recorded one."""
    own = series.get(selector.metric)
    found: list[str] = []
    for label, values in selector.values.items():
        if label in OF_TARGETS | OF_BUNDLES or selector.metric in OF_PROMETHEUS:
            continue
        of_all = {value for one in series.values() for value in one.get(label, ())}
        there = of_all if own is None else own.get(label, set())
        found += [f"{selector.metric}{{{label}={value}}}" for value in sorted(values - there)]
    return found
