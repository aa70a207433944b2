"""Series of HTTP: requests by route, streams of lines, and texts that were embedded."""

from collections.abc import Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge

from service.metrics.series import counters, histograms

ANSWERING_CODES = (200, 400, 401, 403, 413, 422, 429, 499, 500, 503, 504)
"""Of the routes that answer texts; 499 is a client that left before its answer."""
UNMATCHED = "unmatched"
"""The route of a request that matches none."""
ROUTES: Mapping[tuple[str, str], Sequence[int]] = {
    ("POST", "/recommend"): ANSWERING_CODES,
    ("POST", "/recommend/stream"): ANSWERING_CODES,
    ("POST", "/embed"): ANSWERING_CODES,
    ("POST", "/v1/embeddings"): (*ANSWERING_CODES, 404),
    ("POST", "/products"): (200, 401, 403, 409, 413, 422, 429, 499, 500, 503, 504),
    ("GET", "/products/{product_id}"): (200, 401, 403, 404, 409, 422, 503),
    ("PUT", "/products/{product_id}"): (*ANSWERING_CODES, 409, 507),
    ("DELETE", "/products/{product_id}"): (
        *(200, 401, 403, 404, 409, 422, 429, 499, 500, 503, 504, 507),
    ),
    ("GET", "/admin/bundle"): (200, 401, 403, 500),
    ("POST", "/admin/bundle"): (200, 400, 401, 403, 413, 422, 499, 500, 504),
    ("POST", "/admin/rollback"): (200, 401, 403, 409, 500),
    ("GET", "/livez"): (200, 500),
    ("GET", "/readyz"): (200, 503),
    ("GET", "/info"): (200, 401, 403, 503),
    ("GET", "/metrics"): (200,),
    ("GET", "/docs"): (200,),
    ("GET", "/docs/{file}"): (200, 404),
    ("GET", "/openapi.json"): (200,),
    ("GET", UNMATCHED): (404,),
}
"""The codes that each method and route template gives."""
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER_METHOD = "other"
REQUEST_EDGES = (
    *(0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.075),
    *(0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0),
)


class HttpSeries:
    """Counts requests and what they carry.

    Attributes:
        requests_in_flight: requests that are being answered now.
        streams_in_flight: of these, the streams of lines.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._make_request_series(registry)
        self._make_stream_series(registry)
        self._embeddings = Counter(
            "surematch_embeddings", "Texts embedded for callers.", registry=registry
        )

    def count_request(self, route: str, method: str, *, status: int, seconds: float) -> None:
        """Count one HTTP request, whatever its method.

        Args:
            route: template of the route; one that is not in `ROUTES` counts as `UNMATCHED`.
            method: as it was sent; one that is not in `METHODS` counts as ``other``.
            status: the code of the answer.
            seconds: from the head of the request to the end of the answer.
        """
        known = route if route in self._seconds else UNMATCHED
        key = (known, method if method in METHODS else OTHER_METHOD, status)
        counted = self._requests.get(key)
        if counted is None:
            counted = self._requests[key] = self._by_request.labels(*key)
        counted.inc()
        self._seconds[known].observe(seconds)

    def count_stream_lines(self, *, answered: int = 0, errors: int = 0) -> None:
        """Count lines of a stream that were written, with an answer or with an error."""
        self._lines["answered"].inc(answered)
        self._lines["error"].inc(errors)

    def count_embeddings(self, texts: int) -> None:
        """Count texts that were embedded for a caller."""
        self._embeddings.inc(texts)

    def _make_request_series(self, registry: CollectorRegistry) -> None:
        self._by_request = Counter(
            "surematch_http_requests",
            "HTTP requests by route template, method and status code.",
            ("route", "method", "code"),
            registry=registry,
        )
        self._requests = {
            (route, method, code): self._by_request.labels(route, method, code)
            for (method, route), codes in ROUTES.items()
            for code in codes
        }
        self._seconds = histograms(
            registry,
            "surematch_request_duration_seconds",
            "Seconds from the head of a request to the end of its answer.",
            label="route",
            values=(route for _, route in ROUTES),
            edges=REQUEST_EDGES,
        )
        self.requests_in_flight = Gauge(
            "surematch_requests_in_flight",
            "HTTP requests that are being answered now, this one included.",
            registry=registry,
        )

    def _make_stream_series(self, registry: CollectorRegistry) -> None:
        self._lines = counters(
            registry,
            "surematch_stream_lines",
            "Lines of streams that were written, by what they hold.",
            label="result",
            values=("answered", "error"),
        )
        self.streams_in_flight = Gauge(
            "surematch_streams_in_flight",
            "Streams of lines that are being answered now.",
            registry=registry,
        )
