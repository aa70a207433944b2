"""Every expression of the dashboards, rules and alerts, ready to be asked of Prometheus."""

import json
import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.monitoring import DEPLOY, alerts, rules

DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
GRAFANAS = {"__rate_interval": "1m", "__interval": "15s", "__range": "30m"}
"""Variables that Grafana sets itself."""


@dataclass(frozen=True)
class Asked:
    """An expression, where it stands, and the labels that its series must have.

    Attributes:
        exactly: whether they must have no others.
    """

    where: str
    expression: str
    labels: frozenset[str] = frozenset()
    exactly: bool = False


def recorded() -> list[Asked]:
    """Return the recording rules; what stands before the first colon abbreviates their labels."""
    return [
        Asked(rule.name, rule.expression, frozenset(rule.name.split(":")[0].split("_")), True)
        for rule in rules()
        if rule not in alerts()
    ]


def of_panels() -> list[Asked]:
    """Return the expressions of every dashboard: panels, and annotations."""
    return [asked for path in DASHBOARDS for asked in _of_dashboard(json.loads(path.read_bytes()))]


def _of_dashboard(dashboard: Mapping[str, Any]) -> Generator[Asked]:
    for panel in _panels(dashboard):
        for target in panel.get("targets", []):
            legend = re.findall(r"\{\{\s*(\w+)\s*\}\}", target.get("legendFormat", ""))
            where = f"{dashboard['title']} / {panel['title']} / {target.get('refId', '')}"
            yield Asked(where, without_variables(target["expr"]), frozenset(legend))
    for note in dashboard.get("annotations", {}).get("list", []):
        if note.get("expr"):
            where = f"{dashboard['title']} / annotation {note['name']}"
            yield Asked(where, without_variables(note["expr"]))


def _panels(holder: Mapping[str, Any]) -> Generator[Mapping[str, Any]]:
    for panel in holder.get("panels", []):
        yield panel
        yield from _panels(panel)


def without_variables(expression: str) -> str:
    """Put values in the place of Grafana's variables: its own, and for a chosen label any value.

    >>> without_variables('rate(a_total{job="$job", x=~"${x:regex}"}[$__rate_interval])')
    'rate(a_total{job=~".*", x=~".*"}[1m])'
    """
    for name, value in GRAFANAS.items():
        expression = re.sub(rf"\$(?:{name}\b|\{{{name}\}})", value, expression)
    return re.sub(r'=~?"\$(?:\w+|\{[^}]*\})"', '=~".*"', expression)
