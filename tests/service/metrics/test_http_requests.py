from pathlib import Path

import pytest

from service.app import create_app
from service.metrics import METHODS, ROUTES, UNMATCHED, Metrics
from service.settings import Settings
from tests.service.metrics.exposition import value, values

REQUESTS = "surematch_http_requests_total"


def test_a_request_is_counted_and_timed_under_its_template() -> None:
    metrics = Metrics()

    metrics.count_request("/docs/{file}", "GET", status=404, seconds=0.25)

    assert value(metrics, REQUESTS, route="/docs/{file}", method="GET", code="404") == 1
    assert value(metrics, REQUESTS, route="/docs/{file}", method="GET", code="200") == 0
    name = "surematch_request_duration_seconds_sum"
    assert value(metrics, name, route="/docs/{file}") == 0.25


def test_the_two_methods_of_one_route_are_told_apart_and_timed_together() -> None:
    metrics = Metrics()

    metrics.count_request("/admin/bundle", "GET", status=200, seconds=0.5)
    metrics.count_request("/admin/bundle", "POST", status=200, seconds=1.0)

    for method in ("GET", "POST"):
        assert value(metrics, REQUESTS, route="/admin/bundle", method=method, code="200") == 1
    name = "surematch_request_duration_seconds"
    assert value(metrics, f"{name}_count", route="/admin/bundle") == 2
    assert value(metrics, f"{name}_sum", route="/admin/bundle") == 1.5


def test_a_code_that_was_not_foreseen_is_counted_all_the_same() -> None:
    metrics = Metrics()

    metrics.count_request("/livez", "GET", status=418, seconds=0)
    metrics.count_request("/livez", "GET", status=418, seconds=0)

    assert value(metrics, REQUESTS, route="/livez", method="GET", code="418") == 2


@pytest.mark.parametrize("route", ["/recommend/", "/../etc/passwd", "", "x" * 1000])
def test_a_route_that_is_not_ours_is_unmatched(route: str) -> None:
    metrics = Metrics()

    metrics.count_request(route, "GET", status=404, seconds=0)

    assert value(metrics, REQUESTS, route=UNMATCHED, method="GET", code="404") == 1
    assert value(metrics, "surematch_request_duration_seconds_count", route=UNMATCHED) == 1


def test_a_strange_method_cannot_make_a_new_series() -> None:
    metrics = Metrics()

    for method in ("PROPFIND", "BREW", "get", "x" * 100):
        metrics.count_request(UNMATCHED, method, status=404, seconds=0)

    assert value(metrics, REQUESTS, route=UNMATCHED, method="other", code="404") == 4
    assert "other" not in METHODS


def test_every_route_is_timed_from_the_start() -> None:
    counts = values(Metrics(), "surematch_request_duration_seconds_count", "route")

    assert counts == {route: 0 for _, route in ROUTES}


def test_lines_of_streams_are_counted_by_what_they_hold() -> None:
    metrics = Metrics()

    metrics.count_stream_lines(answered=7)
    metrics.count_stream_lines(answered=1, errors=2)

    lines = values(metrics, "surematch_stream_lines_total", "result")
    assert lines == {"answered": 8, "error": 2}


def test_requests_and_streams_in_flight_go_up_and_down() -> None:
    metrics = Metrics()

    def in_flight() -> tuple[float, float]:
        names = ("surematch_requests_in_flight", "surematch_streams_in_flight")
        requests, streams = (value(metrics, name) for name in names)
        return requests, streams

    with metrics.requests_in_flight.track_inprogress():
        with metrics.streams_in_flight.track_inprogress():
            during = in_flight()
        after_the_stream = in_flight()

    assert during == (1, 1)
    assert after_the_stream == (1, 0)
    assert in_flight() == (0, 0)


def test_embedded_texts_are_counted() -> None:
    metrics = Metrics()

    metrics.count_embeddings(3)
    metrics.count_embeddings(0)

    assert value(metrics, "surematch_embeddings_total") == 3


def test_every_documented_route_of_the_app_has_a_series_for_each_of_its_codes(
    tmp_path: Path,
) -> None:
    documented = create_app(Settings(bundle=tmp_path)).openapi()["paths"]

    assert {"/recommend", "/admin/bundle", "/metrics"} <= set(documented)
    for route, methods in documented.items():
        for method, operation in methods.items():
            codes = {int(code) for code in operation["responses"]}
            assert codes <= set(ROUTES[method.upper(), route]), (method, route)
