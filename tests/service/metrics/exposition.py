"""What /metrics shows, as Prometheus reads it."""

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from service.metrics import Metrics

Series = tuple[str, frozenset[tuple[str, str]]]
"""Name and labels."""


class Clock:
    """A clock that a test moves by hand."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def families(metrics: Metrics) -> list[Metric]:
    """Return every metric with its samples, from the text that /metrics gives."""
    return list(text_string_to_metric_families(metrics.render().decode()))


def samples(metrics: Metrics) -> dict[Series, float]:
    """Return the value of every series, without the way through the text."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, **labels: str) -> float:
    """Return the value of one series, which must be there."""
    return samples(metrics)[name, frozenset(labels.items())]


def values(metrics: Metrics, name: str, label: str) -> dict[str, float]:
    """Return the values of one metric by the value of one of its labels."""
    return {
        dict(labels)[label]: found
        for (series, labels), found in samples(metrics).items()
        if series == name
    }


def edges(metrics: Metrics, name: str) -> list[float]:
    """Return the upper edges of the buckets of a histogram without further labels."""
    return [float(edge) for edge in values(metrics, f"{name}_bucket", "le")]
