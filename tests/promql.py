"""What a PromQL expression reads: metrics, label values, and the labels it groups by."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

WORDS = {
    *("by", "without", "on", "ignoring", "group_left", "group_right", "bool", "offset"),
    *("and", "or", "unless", "inf", "nan"),
}
_STRING = r'"(?:[^"\\]|\\.)*"'
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_SELECTOR = re.compile(
    rf"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(\(|\{{(?:[^}}\"]|{_STRING})*\}})?"  # a name, what follows it
)
_MATCHER = re.compile(rf"(\w+)\s*(=~|!~|!=|=)\s*({_STRING})")
_RANGE = re.compile(r"\[[^\]]*\]")


@dataclass(frozen=True)
class Selector:
    """A metric with the values that each of its labels may have or must not have."""

    metric: str
    values: Mapping[str, frozenset[str]]


def selectors(expression: str) -> list[Selector]:
    """Return everything that an expression reads.

    >>> [s.metric for s in selectors('sum by (job) (rate(a_total{x="b"}[5m])) / on (job) c:d')]
    ['a_total', 'c:d']
    """
    plain = _RANGE.sub("", _GROUPING.sub(" ", expression))
    found: list[Selector] = []
    for match in _SELECTOR.finditer(_without_loose_strings(plain)):
        name, rest = match.groups()
        if rest != "(" and name.lower() not in WORDS:
            found.append(Selector(name, _values(rest or "")))
    return found


def grouping_labels(expression: str) -> set[str]:
    """Return the labels by which an expression groups or joins.

    >>> sorted(grouping_labels("sum by (job, le) (a) / on (job) group_left () b"))
    ['job', 'le']
    """
    lists = _GROUPING.findall(expression)
    return {label.strip() for found in lists for label in found.split(",") if label.strip()}


def _values(matchers: str) -> dict[str, frozenset[str]]:
    return {
        label: frozenset(quoted[1:-1].split("|") if "~" in operator else [quoted[1:-1]])
        for label, operator, quoted in _MATCHER.findall(matchers)
    }


def _without_loose_strings(expression: str) -> str:
    """Drop strings outside of braces, such as the arguments of ``label_replace``."""
    parts = re.split(rf"(\{{(?:[^}}\"]|{_STRING})*\}})", expression)
    return "".join(p if p.startswith("{") else re.sub(_STRING, " ", p) for p in parts)
