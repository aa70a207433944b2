import threading
from collections.abc import Sequence
from typing import Any

import pytest

from service.batching.admission import BusyError, QueueLimits, Refusal, Speed
from service.batching.batch_queue import BULK_TURN, BatchQueue
from service.batching.work import Lane, Work
from tests.engine import EchoEngine, work_of

FOREVER = 1e9


def queue_of(
    *, requests: int = 100, tokens: int = 1000, rate: float = 100.0, workers: int = 1
) -> BatchQueue:
    limits = QueueLimits(requests=requests, tokens=dict.fromkeys(Lane, tokens))
    return BatchQueue(limits=limits, speed=Speed(rate), workers=workers)


def admit(
    queue: BatchQueue,
    works: Sequence[Work[Any, Any]],
    lane: Lane = Lane.INTERACTIVE,
    *,
    now: float = 0.0,
    deadline: float = FOREVER,
) -> None:
    queue.admit(works, lane=lane, now=now, deadline=deadline)


def take(queue: BatchQueue, *, now: float = 0.0) -> Sequence[Work[Any, Any]]:
    batch = queue.take(lambda: now)
    assert batch is not None
    return batch.works


def test_a_short_request_is_not_behind_all_of_a_long_one_before_it() -> None:
    engine = EchoEngine(max_texts=1)
    queue = queue_of(rate=10.0)
    long = [work_of(engine, 10) for _ in range(5)]  # a second of work each
    short = [work_of(engine, 10)]

    admit(queue, long, now=0.0)
    admit(queue, short, now=1.5)

    order = [take(queue, now=1.5)[0] for _ in range(6)]
    assert order == [long[0], long[1], short[0], long[2], long[3], long[4]]


def test_equal_requests_are_served_in_the_order_they_came() -> None:
    engine = EchoEngine(max_texts=1)
    queue = queue_of()
    works = [work_of(engine, 10) for _ in range(5)]
    for work in works:
        admit(queue, [work])

    assert [take(queue)[0] for _ in works] == works


def test_the_bulk_lane_gets_every_fourth_batch_while_both_wait() -> None:
    engine = EchoEngine(max_texts=1)
    queue = queue_of()
    admit(queue, [work_of(engine, 1) for _ in range(9)], Lane.INTERACTIVE)
    bulk = [work_of(engine, 1) for _ in range(9)]
    admit(queue, bulk, Lane.BULK)

    order = [take(queue)[0] in bulk for _ in range(18)]

    assert BULK_TURN == 4
    assert order[:12] == [False, False, False, True] * 3
    assert all(order[12:])


def test_a_lane_takes_requests_up_to_its_limit_and_counts_one_that_leaves() -> None:
    engine = EchoEngine()
    queue = queue_of(requests=2)
    admit(queue, [work_of(engine, 1)])
    admit(queue, [work_of(engine, 1)])

    with pytest.raises(BusyError) as refused:
        admit(queue, [work_of(engine, 1)])
    with pytest.raises(BusyError):
        queue.check(Lane.INTERACTIVE)
    queue.check(Lane.BULK)
    queue.leave(Lane.INTERACTIVE)
    admit(queue, [work_of(engine, 1)])

    assert refused.value.reason is Refusal.QUEUE_REQUESTS


def test_a_request_over_the_tokens_is_refused_whole_and_told_when_to_come_back() -> None:
    engine = EchoEngine()
    queue = queue_of(tokens=100, rate=10.0, workers=2)
    admit(queue, [work_of(engine, 50)])

    with pytest.raises(BusyError) as refused:
        admit(queue, [work_of(engine, 30), work_of(engine, 21)])
    admit(queue, [work_of(engine, 30), work_of(engine, 20)])

    assert refused.value.reason is Refusal.QUEUE_TOKENS
    assert refused.value.retry_after_seconds == 3  # 50 tokens at 2 x 10 a second, rounded up
    assert queue.depths()[Lane.INTERACTIVE] == (2, 100)


def test_a_lane_takes_no_more_than_is_done_in_its_seconds() -> None:
    engine = EchoEngine()
    limits = QueueLimits(
        requests=100, tokens=dict.fromkeys(Lane, 1000), seconds={Lane.INTERACTIVE: 0.5}
    )
    queue = BatchQueue(limits=limits, speed=Speed(100.0), workers=2)  # 100 tokens in 0.5 s
    admit(queue, [work_of(engine, 60)])
    admit(queue, [work_of(engine, 40)])

    with pytest.raises(BusyError) as refused:
        admit(queue, [work_of(engine, 1)])
    with pytest.raises(BusyError):
        queue.check(Lane.INTERACTIVE)
    admit(queue, [work_of(engine, 60)], Lane.BULK)
    admit(queue, [work_of(engine, 60)], Lane.BULK)

    assert refused.value.reason is Refusal.QUEUE_TOKENS


def test_an_empty_lane_takes_any_one_request() -> None:
    engine = EchoEngine()
    queue = queue_of(tokens=100)

    admit(queue, [work_of(engine, 80), work_of(engine, 80)], deadline=0.001)

    assert queue.depths()[Lane.INTERACTIVE] == (1, 160)


def test_a_request_is_refused_where_what_waits_takes_longer_than_it_may() -> None:
    engine = EchoEngine()
    queue = queue_of(rate=10.0)
    admit(queue, [work_of(engine, 50)])  # five seconds

    with pytest.raises(BusyError) as refused:
        admit(queue, [work_of(engine, 1)], now=100.0, deadline=104.9)
    admit(queue, [work_of(engine, 1)], now=100.0, deadline=105.1)

    assert refused.value.reason is Refusal.DEADLINE


def test_dropped_texts_free_their_tokens_at_once_and_are_never_taken() -> None:
    engine = EchoEngine(max_texts=1)
    queue = queue_of()
    works = [work_of(engine, 10) for _ in range(3)]
    admit(queue, works)

    queue.drop(works[:2], lane=Lane.INTERACTIVE)
    queue.drop(works[:2], lane=Lane.INTERACTIVE)

    assert queue.depths()[Lane.INTERACTIVE] == (1, 10)
    assert take(queue) == [works[2]]
    assert queue.depths()[Lane.INTERACTIVE] == (1, 0)


def test_expired_texts_are_let_go_before_a_batch_is_formed() -> None:
    engine = EchoEngine()
    queue = queue_of()
    expired, wanted = work_of(engine, 10, deadline=5.0), work_of(engine, 10)
    admit(queue, [expired, wanted])

    works = take(queue, now=5.0)

    assert works == [wanted]
    assert expired.is_dropped
    assert not queue.extend(expired, 10.0)
    assert queue.depths()[Lane.INTERACTIVE] == (1, 0)


def test_dropping_a_text_that_a_batch_has_does_not_count_it_twice() -> None:
    engine = EchoEngine()
    queue = queue_of()
    work = work_of(engine, 10)
    admit(queue, [work])
    take(queue)

    queue.drop([work], lane=Lane.INTERACTIVE)

    assert queue.depths()[Lane.INTERACTIVE] == (1, 0)
    assert work.is_dropped


def test_a_text_of_our_own_goes_before_all_others_whatever_the_limits() -> None:
    engine = EchoEngine(max_texts=1)
    queue = queue_of(requests=1, tokens=1)
    waiting, own = work_of(engine, 10), work_of(engine, 1)
    admit(queue, [waiting])

    queue.admit_first(own)

    assert take(queue) == [own]
    assert queue.depths()[Lane.INTERACTIVE] == (1, 10)


def test_closing_wakes_whoever_waits_for_a_batch_and_returns_what_is_left() -> None:
    engine = EchoEngine()
    queue = queue_of()
    got: list[object] = []
    thread = threading.Thread(target=lambda: got.append(queue.take(lambda: 0.0)))
    thread.start()

    queue.close()
    thread.join(10)

    assert got == [None]
    with pytest.raises(BusyError) as refused:
        admit(queue, [work_of(engine, 1)])
    assert refused.value.reason is Refusal.STOPPED


def test_the_oldest_age_is_that_of_the_text_at_the_front() -> None:
    engine = EchoEngine()
    queue = queue_of()

    assert queue.oldest_age(5.0) == 0.0
    admit(queue, [work_of(engine, 1, arrived=2.0)], Lane.BULK, now=2.0)
    assert queue.oldest_age(5.0) == 3.0
