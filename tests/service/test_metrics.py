import math
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.contract.decision import Reason
from service.metrics import METHODS, ROUTES, STAGES, WINDOWS, Metrics
from service.recommender import Answer, Recommendation
from tests.tiny import write_bundle


class Clock:
    """A clock that a test moves by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def answer(reason: Reason, similarity: float | None = 0.9, *, truncated: bool = False) -> Answer:
    best = () if similarity is None else (Recommendation("p", "t", similarity, 0),)
    return Answer(reason=reason, truncated=truncated, recommendations=best)


def samples(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return samples(metrics)[name, frozenset(labels.items())]


def test_every_series_exists_before_the_first_request() -> None:
    before = set(samples(Metrics()))
    metrics = Metrics()
    metrics.count_answers([answer(reason, truncated=True) for reason in Reason])
    metrics.time_stages(dict.fromkeys(STAGES, 0.1))
    for status in (200, 400, 413, 422, 429, 500, 503):
        metrics.count_request("/recommend", "POST", status=status, seconds=0.1)
    for route, method in ROUTES.items():
        metrics.count_request(route, method, status=200, seconds=0.1)
    metrics.count_request("unmatched", "GET", status=404, seconds=0.1)

    assert set(samples(metrics)) == before


@pytest.mark.parametrize("reason", list(Reason))
def test_each_reason_is_counted_under_its_only_decision(reason: Reason) -> None:
    metrics = Metrics()

    metrics.count_answers([answer(reason)])

    labels = {"decision": str(reason.decision), "reason": str(reason)}
    assert value(metrics, "surematch_recommendations_total", **labels) == 1
    total = sum(v for (name, _), v in samples(metrics).items() if name.endswith("ations_total"))
    assert total == 1


def test_coverage_is_the_accepted_share_of_all_that_was_asked() -> None:
    metrics = Metrics()

    metrics.count_answers([answer(Reason.ABOVE_THRESHOLD), answer(Reason.EMPTY_TEXT, None)])
    metrics.count_answers([answer(Reason.ENCODER_FAILED, None), answer(Reason.BELOW_THRESHOLD)])

    for window in WINDOWS:
        assert value(metrics, "surematch_coverage_ratio", window=window) == 0.25


def test_coverage_forgets_after_its_window_and_no_sooner() -> None:
    clock = Clock()
    metrics = Metrics(clock=clock)
    metrics.count_answers([answer(Reason.ABOVE_THRESHOLD)])

    def coverage(window: str) -> float:
        return value(metrics, "surematch_coverage_ratio", window=window)

    for window, seconds in WINDOWS.items():
        clock.now = seconds * 0.99
        assert coverage(window) == 1.0
        clock.now = seconds
        assert math.isnan(coverage(window))


def test_coverage_is_not_a_number_while_nothing_was_asked() -> None:
    metrics = Metrics()
    metrics.count_answers([])

    assert math.isnan(value(metrics, "surematch_coverage_ratio", window="5m"))


@pytest.mark.parametrize(
    ("similarity", "least_edge"),
    [(-1.0, "0.0"), (-0.2, "0.0"), (0.0, "0.0"), (0.01, "0.05"), (0.05, "0.05"), (1.0, "1.0")],
)
def test_a_similarity_is_in_every_bucket_from_its_own_edge_up(
    similarity: float, least_edge: str
) -> None:
    metrics = Metrics()

    metrics.count_answers([answer(Reason.BELOW_THRESHOLD, similarity)])

    counted = [
        dict(labels)["le"]
        for (name, labels), count in samples(metrics).items()
        if name == "surematch_top_similarity_bucket" and count == 1
    ]
    assert min(counted, key=float) == least_edge
    assert value(metrics, "surematch_top_similarity_sum") == similarity


def test_the_edges_of_similarity_are_twentieths() -> None:
    edges = re.findall(r'top_similarity_bucket\{le="([^"]+)"', Metrics().render().decode())

    assert [float(edge) for edge in edges] == [*(n / 20 for n in range(21)), math.inf]


def test_queries_without_a_product_have_no_similarity() -> None:
    metrics = Metrics()

    metrics.count_answers([answer(Reason.EMPTY_TEXT, None)])

    assert value(metrics, "surematch_top_similarity_count") == 0


def test_cut_texts_and_failures_of_the_encoder_are_counted() -> None:
    metrics = Metrics()

    metrics.count_answers(
        [answer(Reason.ENCODER_FAILED, None), answer(Reason.BELOW_THRESHOLD, truncated=True)] * 2
    )

    assert value(metrics, "surematch_truncated_total") == 2
    assert value(metrics, "surematch_encoder_failures_total") == 2


def test_stages_are_timed_under_the_names_of_dashboards() -> None:
    metrics = Metrics()

    metrics.time_stages({"tokenise": 0.25, "decide": 0.5})

    name = "surematch_stage_duration_seconds_sum"
    assert value(metrics, name, stage="tokenise") == 0.25
    assert value(metrics, name, stage="decide") == 0.5
    assert value(metrics, "surematch_stage_duration_seconds_count", stage="queue") == 0
    assert STAGES == ("tokenise", "queue", "encode", "search", "decide")


def test_a_strange_method_cannot_make_a_new_series() -> None:
    metrics = Metrics()

    for method in ("PROPFIND", "BREW", "x" * 100):
        metrics.count_request("unmatched", method, status=404, seconds=0)

    name = "surematch_http_requests_total"
    assert value(metrics, name, route="unmatched", method="other", code="404") == 3
    assert "other" not in METHODS


@pytest.mark.parametrize(
    ("status", "reason"), [(413, "payload"), (429, "queue_requests"), (503, "not_ready")]
)
def test_a_body_refused_before_work_is_counted_by_its_reason(status: int, reason: str) -> None:
    metrics = Metrics()

    metrics.count_request("/recommend", "POST", status=status, seconds=0)
    metrics.count_request("/readyz", "GET", status=status, seconds=0)
    metrics.count_request("/recommend", "POST", status=200, seconds=0)

    assert value(metrics, "surematch_admission_rejected_total", reason=reason) == 1


def test_before_a_bundle_is_open_nothing_is_promised() -> None:
    metrics = Metrics()

    assert math.isnan(value(metrics, "surematch_threshold_similarity"))
    assert math.isnan(value(metrics, "surematch_calibrated_coverage_ratio"))
    assert "surematch_bundle_info{" not in metrics.render().decode()


def test_the_open_bundle_shows_its_promise(tmp_path: Path) -> None:
    metrics = Metrics()
    manifest = write_bundle(tmp_path / "b").manifest

    metrics.show_bundle(manifest)

    assert value(metrics, "surematch_threshold_similarity") == 0.8
    assert value(metrics, "surematch_calibrated_coverage_ratio") == 0.8
    assert value(metrics, "surematch_bundle_info", bundle_id=manifest.bundle_id) == 1


def test_a_bundle_without_threshold_promises_no_coverage(tmp_path: Path) -> None:
    metrics = Metrics()
    metrics.show_bundle(write_bundle(tmp_path / "first").manifest)
    second = write_bundle(tmp_path / "second", threshold=None).manifest

    metrics.show_bundle(second)

    assert math.isnan(value(metrics, "surematch_threshold_similarity"))
    assert value(metrics, "surematch_calibrated_coverage_ratio") == 0
    assert re.findall(r'bundle_info\{bundle_id="(.+)"\}', metrics.render().decode()) == [
        second.bundle_id
    ]


def test_the_process_is_measured_too() -> None:
    assert value(Metrics(), "process_resident_memory_bytes") > 0


def test_two_apps_do_not_share_their_counts() -> None:
    first, second = Metrics(), Metrics()
    first.count_answers([answer(Reason.ABOVE_THRESHOLD)])

    assert value(first, "surematch_top_similarity_count") == 1
    assert value(second, "surematch_top_similarity_count") == 0
