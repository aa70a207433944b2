from service.batching.work import Lane
from service.metrics import Metrics
from tests.service.metrics.exposition import Clock, value, values


def test_nothing_waits_before_there_is_a_queue() -> None:
    metrics = Metrics()

    for name in ("surematch_queue_requests", "surematch_queue_tokens"):
        assert values(metrics, name, "lane") == {"interactive": 0, "bulk": 0}
    assert value(metrics, "surematch_queue_oldest_age_seconds") == 0


def test_what_waits_is_shown_as_it_is_at_the_moment() -> None:
    waiting = {Lane.INTERACTIVE: (1, 10), Lane.BULK: (0, 0)}
    age = Clock(0.5)
    metrics = Metrics()
    metrics.watch_queue(lambda: waiting, age)
    before = value(metrics, "surematch_queue_oldest_age_seconds")

    waiting[Lane.BULK] = (2, 900)
    age.now = 0.25

    assert before == 0.5
    assert value(metrics, "surematch_queue_oldest_age_seconds") == 0.25
    assert values(metrics, "surematch_queue_requests", "lane") == {"interactive": 1, "bulk": 2}
    assert values(metrics, "surematch_queue_tokens", "lane") == {"interactive": 10, "bulk": 900}


def test_a_queue_that_takes_the_place_of_another_is_the_one_that_is_shown() -> None:
    metrics = Metrics()
    metrics.watch_queue(lambda: dict.fromkeys(Lane, (1, 1)), lambda: 1.0)

    metrics.watch_queue(lambda: dict.fromkeys(Lane, (3, 4)), lambda: 5.0)

    assert value(metrics, "surematch_queue_requests", lane="bulk") == 3
    assert value(metrics, "surematch_queue_tokens", lane="bulk") == 4
    assert value(metrics, "surematch_queue_oldest_age_seconds") == 5
