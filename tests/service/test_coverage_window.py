import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.coverage_window import CoverageWindow

SECONDS = 10.0
SLOTS = 5

waits = st.one_of(
    st.floats(0, 3), st.floats(0, 30), st.sampled_from([0.0, 2.0, 8.0, 10.0, 12.0, 1e6])
)
counts = st.tuples(st.integers(0, 5), st.integers(0, 5)).map(lambda pair: (max(pair), min(pair)))


class Clock:
    """A clock that a test moves by hand."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class ListWindow:
    """The same window as a list of everything that ever happened."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.events: list[tuple[int, int, int]] = []

    def slot(self) -> int:
        return math.floor(self.clock.now / (SECONDS / SLOTS))

    def add(self, asked: int, accepted: int) -> None:
        self.events.append((self.slot(), asked, accepted))

    def ratio(self) -> float:
        kept = [event for event in self.events if event[0] > self.slot() - SLOTS]
        asked = sum(event[1] for event in kept)
        return sum(event[2] for event in kept) / asked if asked else math.nan


@given(st.floats(0, 1e5), st.lists(st.tuples(waits, counts), max_size=40))
def test_the_window_counts_what_a_full_list_would_count(
    start: float, steps: list[tuple[float, tuple[int, int]]]
) -> None:
    clock = Clock(start)
    window = CoverageWindow(seconds=SECONDS, slots=SLOTS, clock=clock)
    slow = ListWindow(clock)
    for wait, (asked, accepted) in steps:
        clock.now += wait
        before = window.ratio()
        assert before == pytest.approx(slow.ratio(), nan_ok=True)
        window.add(asked=asked, accepted=accepted)
        slow.add(asked, accepted)

        assert window.ratio() == pytest.approx(slow.ratio(), nan_ok=True)


@given(st.floats(0, 1e5), st.floats(0, 2 * SECONDS))
def test_a_query_stays_for_the_window_less_one_part_and_never_longer(
    start: float, age: float
) -> None:
    clock = Clock(start)
    window = CoverageWindow(seconds=SECONDS, slots=SLOTS, clock=clock)
    window.add(asked=1, accepted=1)

    clock.now = start + age

    if age < SECONDS - SECONDS / SLOTS - 1e-6:
        assert window.ratio() == 1.0
    if age > SECONDS + 1e-6:
        assert math.isnan(window.ratio())


@pytest.mark.parametrize(
    ("age", "expected"),
    [(0.0, 0.5), (7.9, 0.5), (8.0, 0.5), (9.9, 0.5), (10.0, math.nan), (1e9, math.nan)],
)
def test_queries_leave_at_the_end_of_the_window(age: float, expected: float) -> None:
    clock = Clock()
    window = CoverageWindow(seconds=SECONDS, slots=SLOTS, clock=clock)
    window.add(asked=4, accepted=2)

    clock.now = age

    assert window.ratio() == pytest.approx(expected, nan_ok=True)


def test_an_empty_window_has_no_ratio() -> None:
    assert math.isnan(CoverageWindow(seconds=300.0).ratio())


def test_nothing_accepted_is_zero_not_empty() -> None:
    window = CoverageWindow(seconds=300.0)
    window.add(asked=3, accepted=0)

    assert window.ratio() == 0.0
