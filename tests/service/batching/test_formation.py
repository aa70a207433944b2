import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.batching.formation import WINDOW, Release, form_batch, note_passed_over
from service.batching.work import MAX_PASSED_OVER
from tests.engine import EchoEngine, work_of

lengths = st.lists(st.integers(1, 80), min_size=1, max_size=60)


def test_a_batch_is_the_first_text_and_its_neighbours_in_length() -> None:
    engine = EchoEngine(max_padded_tokens=40)
    waiting = [work_of(engine, length) for length in (10, 39, 9, 12, 10, 2)]

    batch = form_batch(waiting, now=0.0)

    # 10, then the other 10, then 9; with 12 it would be 4 x 12 = 48 tokens, with 2 it is 4 x 10
    assert [work.length for work in batch.works] == [10, 10, 9, 2]
    assert batch.padded_tokens == 40
    assert batch.real_tokens == 31
    assert batch.release is Release.BUDGET


def test_a_text_that_brings_more_padding_than_a_run_costs_waits_for_another_batch() -> None:
    engine = EchoEngine(run_tokens=4)
    waiting = [work_of(engine, length) for length in (10, 6, 5, 12, 13)]

    batch = form_batch(waiting, now=0.0)

    # 12 makes one text wider by two tokens, 13 two texts by one; then 6 would bring seven
    assert [work.length for work in batch.works] == [10, 12, 13]
    assert batch.release is Release.PADDING


def test_a_text_longer_than_the_budget_goes_alone() -> None:
    engine = EchoEngine(max_padded_tokens=8)

    batch = form_batch([work_of(engine, 30), work_of(engine, 2)], now=0.0)

    assert [work.length for work in batch.works] == [30]


def test_all_that_waits_goes_at_once_if_it_fits() -> None:
    engine = EchoEngine()

    batch = form_batch([work_of(engine, 5), work_of(engine, 7)], now=0.0)

    assert len(batch.works) == 2
    assert batch.release is Release.IDLE


def test_an_engine_that_takes_one_text_gets_one() -> None:
    engine = EchoEngine(max_texts=1)

    batch = form_batch([work_of(engine, 5), work_of(engine, 5)], now=0.0)

    assert len(batch.works) == 1
    assert batch.release is Release.MAX_SIZE


def test_texts_of_two_engines_never_share_a_batch() -> None:
    old, new = EchoEngine(), EchoEngine()
    waiting = [work_of(old, 5), work_of(new, 5), work_of(old, 5)]

    batch = form_batch(waiting, now=0.0)

    assert batch.works == [waiting[0], waiting[2]]


def test_a_text_that_was_passed_over_too_often_goes_first() -> None:
    engine = EchoEngine(max_padded_tokens=10)
    waiting = [work_of(engine, 5), work_of(engine, 40)]
    waiting[1].passed_over = MAX_PASSED_OVER

    batch = form_batch(waiting, now=0.0)

    assert batch.works == [waiting[1]]
    assert batch.release is Release.AGED


@pytest.mark.parametrize(("now", "first"), [(24.9, 0), (25.0, 1)])
def test_a_text_that_waited_a_quarter_of_its_time_goes_first(now: float, first: int) -> None:
    engine = EchoEngine(max_padded_tokens=10)
    waiting = [work_of(engine, 5, deadline=1000.0), work_of(engine, 40, deadline=100.0)]

    batch = form_batch(waiting, now=now)

    assert batch.works[0] is waiting[first]


def test_only_texts_due_before_one_that_was_taken_are_passed_over() -> None:
    engine = EchoEngine(max_padded_tokens=10)
    waiting = [work_of(engine, length) for length in (5, 40, 5, 41)]
    for due, work in enumerate(waiting):
        work.due = float(due)
    batch = form_batch(waiting, now=0.0)

    note_passed_over([waiting[1], waiting[3]], batch)

    assert batch.works == [waiting[0], waiting[2]]
    assert [waiting[1].passed_over, waiting[3].passed_over] == [1, 0]


@given(lengths, st.integers(1, 200), st.integers(1, 20))
def test_a_batch_keeps_its_limits_and_always_takes_the_first(
    found: list[int], budget: int, most: int
) -> None:
    engine = EchoEngine(max_padded_tokens=budget, max_texts=most)
    waiting = [work_of(engine, length) for length in found]

    batch = form_batch(waiting, now=0.0)

    assert batch.works[0] is waiting[0]
    assert len(set(batch.works)) == len(batch.works) <= most
    assert batch.padded_tokens <= budget or len(batch.works) == 1
    if len(batch.works) < min(most, len(found)):  # no other text would still have fitted
        rest = [work for work in waiting[:WINDOW] if work not in batch.works]
        size = len(batch.works) + 1
        assert all(max(batch.width, work.length) * size > budget for work in rest)


@given(st.lists(st.integers(1, 80), min_size=1, max_size=40), st.integers(1, 100))
def test_every_text_goes_in_exactly_one_batch(found: list[int], budget: int) -> None:
    engine = EchoEngine(max_padded_tokens=budget)
    waiting = [work_of(engine, length) for length in found]
    for due, work in enumerate(waiting):
        work.due = float(due)
    taken: list[float] = []

    while waiting:
        batch = form_batch(waiting, now=0.0)
        taken += [work.due for work in batch.works]
        waiting = [work for work in waiting if work not in batch.works]
        note_passed_over(waiting, batch)

    assert sorted(taken) == list(range(len(found)))
