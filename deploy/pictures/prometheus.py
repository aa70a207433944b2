"""What Prometheus answers over HTTP: series of an expression, over time or at one moment."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

SCRAPE_SECONDS = 5
"""As `deploy/prometheus/prometheus.yml` has it."""
TIMEOUT_SECONDS = 60


class PrometheusError(Exception):
    """Prometheus did not give what was asked for."""


@dataclass(frozen=True)
class Series:
    """One series: its labels, and values at Unix times."""

    labels: Mapping[str, str]
    times: Sequence[float]
    values: Sequence[float]

    def named(self, legend: str) -> str:
        """Return ``legend`` with each ``{{label}}`` filled in.

        >>> Series({"lane": "bulk"}, [], []).named("{{lane}} lane")
        'bulk lane'
        """
        for label, value in self.labels.items():
            legend = legend.replace(f"{{{{{label}}}}}", value)
        return legend


@dataclass(frozen=True)
class Span:
    """The time that is looked at: Unix times, and the seconds between two values."""

    start: float
    end: float
    step: float


class Prometheus:
    """Asks the Prometheus at one address."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def over_time(self, expression: str, span: Span) -> list[Series]:
        """Return the series of a panel's expression.

        Raises:
            PrometheusError: if Prometheus refuses the expression, or is not there.
        """
        asked = {"start": span.start, "end": span.end, "step": span.step}
        found = self._ask("query_range", filled_in(expression, span), asked)
        return [_series(one["metric"], one["values"]) for one in found]

    def newest(self, expression: str, span: Span) -> list[Series]:
        """Return the series with the one value that each has at the end.

        Raises:
            PrometheusError: as `over_time`.
        """
        found = self._ask("query", filled_in(expression, span), {"time": span.end})
        return [_series(one["metric"], [one["value"]]) for one in found]

    def _ask(self, path: str, expression: str, asked: Mapping[str, float]) -> list[dict[str, Any]]:
        form = urlencode({"query": expression, **asked}).encode()
        request = Request(f"{self._url}/api/v1/{path}", data=form)  # noqa: S310  # the address given
        try:
            with urlopen(request, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310
                answer = json.load(response)
        except HTTPError as error:
            message = f"{self._url} refuses {expression}: {error.read().decode(errors='replace')}"
            raise PrometheusError(message) from error
        except (OSError, ValueError) as error:
            message = f"no Prometheus answers at {self._url} ({error}); start one, or name its URL"
            raise PrometheusError(message) from error
        return answer["data"]["result"]


def filled_in(expression: str, span: Span) -> str:
    """Return an expression with the variables of Grafana replaced: all replicas, a fitting range.

    >>> filled_in('rate(a{instance=~"$replica"}[$__rate_interval])', Span(0, 600, 5))
    'rate(a{instance=~".*"}[20s])'
    """
    seconds = int(max(span.step + SCRAPE_SECONDS, 4 * SCRAPE_SECONDS))
    return expression.replace("$__rate_interval", f"{seconds}s").replace("$replica", ".*")


def _series(labels: Mapping[str, str], pairs: Sequence[tuple[float, str]]) -> Series:
    return Series(labels, [time for time, _ in pairs], [float(value) for _, value in pairs])
