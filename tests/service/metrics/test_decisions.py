import math
from pathlib import Path

import pytest

from service.contract.decision import Decision, Reason
from service.metrics import WINDOWS, Metrics
from service.recommender import Answer, Recommendation
from tests.service.metrics.exposition import Clock, edges, samples, value, values
from tests.tiny import write_bundle


def answer(reason: Reason, similarity: float | None = 0.9, *, truncated: bool = False) -> Answer:
    best = () if similarity is None else (Recommendation("p", "t", similarity, 0),)
    return Answer(reason=reason, truncated=truncated, recommendations=best)


ACCEPTED = answer(Reason.ABOVE_THRESHOLD)
REVIEWED = answer(Reason.BELOW_THRESHOLD)


def decided(metrics: Metrics, target: str) -> tuple[float, float]:
    """Return the accepted and the reviewed queries of a target precision."""
    name = "surematch_decisions_total"
    accepted, reviewed = (
        value(metrics, name, target_precision=target, decision=decision) for decision in Decision
    )
    return accepted, reviewed


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

    metrics.count_answers([ACCEPTED, answer(Reason.EMPTY_TEXT, None)])
    metrics.count_answers([answer(Reason.ENCODER_FAILED, None), REVIEWED])

    for window in WINDOWS:
        assert value(metrics, "surematch_coverage_ratio", window=window) == 0.25


def test_coverage_forgets_after_its_window_and_no_sooner() -> None:
    clock = Clock()
    metrics = Metrics(clock=clock)
    metrics.count_answers([ACCEPTED])

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

    buckets = values(metrics, "surematch_top_similarity_bucket", "le")
    assert min((edge for edge, count in buckets.items() if count == 1), key=float) == least_edge
    assert value(metrics, "surematch_top_similarity_sum") == similarity


def test_the_edges_of_similarity_are_twentieths() -> None:
    found = edges(Metrics(), "surematch_top_similarity")

    assert found == [*(n / 20 for n in range(21)), math.inf]


def test_queries_without_a_product_have_no_similarity() -> None:
    metrics = Metrics()

    metrics.count_answers([answer(Reason.EMPTY_TEXT, None)])

    assert value(metrics, "surematch_top_similarity_count") == 0


def test_cut_texts_are_counted() -> None:
    metrics = Metrics()

    metrics.count_answers([REVIEWED, answer(Reason.BELOW_THRESHOLD, truncated=True)] * 2)

    assert value(metrics, "surematch_truncated_total") == 2


def test_each_query_is_measured_in_tokens() -> None:
    metrics = Metrics()

    metrics.observe_tokens([3, 12, 600])

    assert value(metrics, "surematch_query_tokens_sum") == 615
    assert value(metrics, "surematch_query_tokens_bucket", le="4.0") == 1
    assert value(metrics, "surematch_query_tokens_bucket", le="512.0") == 2
    assert edges(metrics, "surematch_query_tokens") == [
        *(2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256, 512),
        math.inf,
    ]


def test_decisions_are_counted_under_the_precision_they_were_made_for(tmp_path: Path) -> None:
    metrics = Metrics()
    manifest = write_bundle(tmp_path / "bundle", further={0.9: 0.7}).manifest
    metrics.show_bundle(manifest, generation=1)

    metrics.count_answers([ACCEPTED, REVIEWED], target_precision=0.9)
    metrics.count_answers([ACCEPTED], target_precision=0.95)
    metrics.count_answers([REVIEWED])

    assert decided(metrics, "0.9") == (1, 1)
    assert decided(metrics, "0.95") == (1, 1)
    assert decided(metrics, "none") == (0, 0)


def test_an_answer_of_the_bundle_before_still_counts_under_its_own_precision(
    tmp_path: Path,
) -> None:
    metrics = Metrics()
    first = write_bundle(tmp_path / "first", further={0.9: 0.7}).manifest
    metrics.show_bundle(first, generation=1)
    metrics.count_answers([ACCEPTED], target_precision=0.9)
    metrics.show_bundle(write_bundle(tmp_path / "second").manifest, generation=2)

    metrics.count_answers([ACCEPTED], target_precision=0.9)

    assert decided(metrics, "0.9") == (2, 0)


def test_a_precision_that_no_bundle_promised_has_no_series_of_its_own() -> None:
    metrics = Metrics()

    metrics.count_answers([ACCEPTED, REVIEWED], target_precision=0.123)

    assert decided(metrics, "none") == (1, 1)
    assert set(values(metrics, "surematch_decisions_total", "target_precision")) == {"none"}
