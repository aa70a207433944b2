import pytest

from service.batching.admission import Refusal
from service.metrics import CANCELLED_STAGES, DEADLINE_STAGES, REJECTIONS, STAGES, Metrics
from tests.service.metrics.exposition import values

REJECTED = "surematch_admission_rejected_total"


def test_the_reasons_of_refusals_are_those_of_dashboards() -> None:
    assert set(REJECTIONS) == {
        *("queue_tokens", "queue_requests", "deadline", "payload", "draining"),
        *("auth", "scope", "rate", "not_ready", "streams"),
    }


@pytest.mark.parametrize("reason", REJECTIONS)
def test_a_refusal_is_counted_once_and_by_its_reason(reason: str) -> None:
    metrics = Metrics()

    metrics.count_rejection(reason)

    assert values(metrics, REJECTED, "reason") == dict.fromkeys(REJECTIONS, 0) | {reason: 1}


@pytest.mark.parametrize("refusal", list(Refusal))
def test_whatever_the_queue_refuses_for_has_a_series(refusal: Refusal) -> None:
    metrics = Metrics()

    metrics.count_rejection(refusal)

    assert values(metrics, REJECTED, "reason")[str(refusal)] == 1


@pytest.mark.parametrize("status", [401, 403, 413, 429, 503])
def test_a_status_alone_is_no_refusal(status: int) -> None:
    metrics = Metrics()

    metrics.count_request("/recommend", "POST", status=status, seconds=0)

    assert set(values(metrics, REJECTED, "reason").values()) == {0}


@pytest.mark.parametrize("stage", CANCELLED_STAGES)
def test_a_client_that_left_is_counted_by_the_stage(stage: str) -> None:
    metrics = Metrics()

    metrics.count_cancelled(stage)

    found = values(metrics, "surematch_request_cancelled_total", "stage")
    assert found == dict.fromkeys(CANCELLED_STAGES, 0) | {stage: 1}


@pytest.mark.parametrize("stage", DEADLINE_STAGES)
def test_a_request_out_of_time_is_counted_by_the_stage(stage: str) -> None:
    metrics = Metrics()

    metrics.count_deadline(stage)

    found = values(metrics, "surematch_deadline_exceeded_total", "stage")
    assert found == dict.fromkeys(DEADLINE_STAGES, 0) | {stage: 1}


def test_time_can_be_over_at_every_stage_and_while_the_body_is_read() -> None:
    assert set(DEADLINE_STAGES) == {"read", *STAGES}


def test_a_name_outside_the_closed_lists_is_a_mistake_and_makes_no_series() -> None:
    metrics = Metrics()
    for count in (metrics.count_rejection, metrics.count_cancelled, metrics.count_deadline):
        with pytest.raises(KeyError, match="whim"):
            count("whim")

    assert "whim" not in metrics.render().decode()
