"""How the series of a metric are made: all of them at once, one for each value of its label."""

from collections.abc import Iterable, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


def counters(
    registry: CollectorRegistry, name: str, documentation: str, *, label: str, values: Iterable[str]
) -> Mapping[str, Counter]:
    """Return the counter of each value of a label; any other value is a `KeyError`."""
    metric = Counter(name, documentation, (label,), registry=registry)
    return {value: metric.labels(value) for value in values}


def gauges(
    registry: CollectorRegistry, name: str, documentation: str, *, label: str, values: Iterable[str]
) -> Mapping[str, Gauge]:
    """Return the gauge of each value of a label; any other value is a `KeyError`."""
    metric = Gauge(name, documentation, (label,), registry=registry)
    return {value: metric.labels(value) for value in values}


def histograms(
    registry: CollectorRegistry,
    name: str,
    documentation: str,
    *,
    label: str,
    values: Iterable[str],
    edges: Sequence[float],
) -> Mapping[str, Histogram]:
    """Return the histogram of each value of a label; any other value is a `KeyError`."""
    metric = Histogram(name, documentation, (label,), buckets=edges, registry=registry)
    return {value: metric.labels(value) for value in values}
