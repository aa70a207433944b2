import pytest

from service.encoder import Failure
from service.metrics import Metrics
from tests.service.metrics.exposition import value, values


@pytest.mark.parametrize("kind", list(Failure))
@pytest.mark.parametrize("was_together", [True, False])
def test_a_failure_of_the_encoder_is_counted_by_its_kind(
    kind: Failure, *, was_together: bool
) -> None:
    metrics = Metrics()

    metrics.count_encoder_failure(kind, was_together)

    found = values(metrics, "surematch_encoder_failures_total", "kind")
    assert found == {name: int(name == kind) for name in Failure}
    assert value(metrics, "surematch_poison_isolated_total") == was_together


def test_the_kinds_of_failure_are_those_of_dashboards() -> None:
    found = values(Metrics(), "surematch_encoder_failures_total", "kind")

    assert set(found) == {"oom", "invalid", "runtime"}


def test_workers_that_were_given_up_are_counted() -> None:
    metrics = Metrics()

    metrics.count_restart()
    metrics.count_restart()

    assert value(metrics, "surematch_worker_restarts_total") == 2


def test_progress_is_asked_for_at_every_look() -> None:
    metrics = Metrics()
    before = value(metrics, "surematch_forward_progress")
    works = iter([True, False, True])

    metrics.watch_progress(lambda: next(works))

    assert before == 1
    assert [value(metrics, "surematch_forward_progress") for _ in range(3)] == [1, 0, 1]


def test_a_service_is_not_ready_before_it_says_so_and_is_asked_at_every_look() -> None:
    metrics = Metrics()
    before = value(metrics, "surematch_ready")
    ready = iter([False, True, False])

    metrics.watch_ready(lambda: next(ready))

    assert before == 0
    assert [value(metrics, "surematch_ready") for _ in range(3)] == [0, 1, 0]
