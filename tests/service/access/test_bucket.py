from dataclasses import dataclass
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.access.bucket import SECOND, RateLimit, RateLimitError, TokenBucket

rates = st.one_of(
    st.sampled_from([0.1, 0.5, 1.0, 2.5, 3.0, 7.0, 50.0, 1e3, 1e10]), st.floats(0.01, 1e4)
)
limits = st.builds(RateLimit, rates, st.integers(1, 40))
steps = st.lists(
    st.tuples(
        st.one_of(st.just(0), st.integers(0, 3 * SECOND), st.integers(0, 60 * SECOND)),
        st.one_of(st.integers(1, 5), st.integers(1, 100)),
    ),
    max_size=40,
)


class Clock:
    """A clock in nanoseconds that a test moves by hand."""

    def __init__(self, now: int = 0) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


@dataclass
class SlowBucket:
    """The same bucket as a level in exact fractions, filled at each look."""

    limit: RateLimit
    level: Fraction
    looked_at: int

    def spend(self, queries: int, now: int) -> bool:
        earned = Fraction(now - self.looked_at, self.limit.query_nanoseconds)
        self.level = min(Fraction(self.limit.burst), self.level + earned)
        self.looked_at = now
        if self.level < min(queries, self.limit.burst):
            return False
        self.level -= queries
        return True


def seconds_told(bucket: TokenBucket, queries: int) -> int:
    """Spend, and return the seconds that a refusal said to wait; 0 where there was none."""
    try:
        bucket.spend(queries)
    except RateLimitError as error:
        return error.retry_after_seconds
    return 0


def passes(bucket: TokenBucket, queries: int) -> bool:
    return seconds_told(bucket, queries) == 0


@pytest.mark.parametrize(
    ("rate", "nanoseconds"),
    [(1.0, SECOND), (2.5, 400_000_000), (3.0, 333_333_334), (0.125, 8 * SECOND), (1e10, 1)],
)
def test_a_query_takes_the_seconds_of_its_rate_rounded_up(rate: float, nanoseconds: int) -> None:
    assert RateLimit(rate, 1).query_nanoseconds == nanoseconds


@given(rates)
def test_a_query_never_takes_less_than_its_rate_says(rate: float) -> None:
    exact = SECOND / Fraction(rate)

    assert exact <= RateLimit(rate, 1).query_nanoseconds < exact + 1


def test_a_bucket_by_hand() -> None:
    clock = Clock(5 * SECOND)
    bucket = TokenBucket(RateLimit(2.0, 4), clock=clock)

    bucket.spend(3)
    bucket.spend(1)
    with pytest.raises(RateLimitError, match="come back in 1 s") as one:
        bucket.spend(1)
    with pytest.raises(RateLimitError) as four:
        bucket.spend(4)
    clock.now += SECOND // 2
    bucket.spend(1)
    with pytest.raises(RateLimitError) as again:
        bucket.spend(4)

    assert one.value.retry_after_seconds == 1
    assert four.value.retry_after_seconds == 2
    assert again.value.retry_after_seconds == 2


def test_a_query_is_there_on_its_nanosecond_and_not_before() -> None:
    clock = Clock()
    bucket = TokenBucket(RateLimit(2.0, 1), clock=clock)
    bucket.spend(1)

    clock.now = SECOND // 2 - 1
    is_early = passes(bucket, 1)
    clock.now = SECOND // 2

    assert not is_early
    assert passes(bucket, 1)


def test_a_body_beyond_the_burst_passes_when_the_bucket_is_full_and_is_paid_back() -> None:
    clock = Clock()
    bucket = TokenBucket(RateLimit(10.0, 20), clock=clock)

    bucket.spend(1000)
    with pytest.raises(RateLimitError) as one:
        bucket.spend(1)
    with pytest.raises(RateLimitError) as thousand:
        bucket.spend(1000)
    clock.now += 98 * SECOND + SECOND // 10
    bucket.spend(1)
    with pytest.raises(RateLimitError) as not_full:
        bucket.spend(21)
    clock.now += 2 * SECOND
    bucket.spend(21)

    assert one.value.retry_after_seconds == 99
    assert thousand.value.retry_after_seconds == 100
    assert not_full.value.retry_after_seconds == 2


def test_a_slow_key_is_told_to_wait_long() -> None:
    bucket = TokenBucket(RateLimit(2.0**-20, 1), clock=Clock())

    bucket.spend(1)
    with pytest.raises(RateLimitError) as caught:
        bucket.spend(1)

    assert caught.value.retry_after_seconds == 2**20


def test_a_bucket_that_is_never_asked_is_full_and_no_fuller() -> None:
    clock = Clock()
    bucket = TokenBucket(RateLimit(1000.0, 3), clock=clock)

    clock.now += 10**6 * SECOND

    assert [passes(bucket, 1) for _ in range(4)] == [True, True, True, False]


@given(limits, steps)
def test_a_bucket_lets_pass_what_an_exact_level_would(
    limit: RateLimit, steps: list[tuple[int, int]]
) -> None:
    clock = Clock(7 * SECOND)
    bucket = TokenBucket(limit, clock=clock)
    slow = SlowBucket(limit, Fraction(limit.burst), clock.now)

    for wait, queries in steps:
        clock.now += wait
        assert passes(bucket, queries) == slow.spend(queries, clock.now)


@given(limits, steps)
def test_no_window_holds_more_than_the_rate_and_one_burst_or_its_last_body(
    limit: RateLimit, steps: list[tuple[int, int]]
) -> None:
    clock = Clock()
    bucket = TokenBucket(limit, clock=clock)
    passed: list[tuple[int, int]] = []
    for wait, queries in steps:
        clock.now += wait
        if passes(bucket, queries):
            passed.append((clock.now, queries))

    rate = Fraction(limit.queries_per_second)
    for first, (begins, _) in enumerate(passed):
        for last, (ends, last_body) in enumerate(passed[first:], start=first):
            queries = sum(body for _, body in passed[first : last + 1])
            seconds = Fraction(ends - begins, SECOND)
            assert queries <= max(limit.burst, last_body) + rate * seconds


@given(limits, steps, st.integers(1, 2000))
def test_after_the_seconds_that_are_told_the_same_request_passes(
    limit: RateLimit, steps: list[tuple[int, int]], body: int
) -> None:
    clock = Clock()
    bucket = TokenBucket(limit, clock=clock)
    for wait, queries in steps:
        clock.now += wait
        passes(bucket, queries)

    told = seconds_told(bucket, body)
    asked_at = clock.now
    if told > 1:
        clock.now = asked_at + (told - 1) * SECOND
        assert seconds_told(bucket, body) == 1
    clock.now = asked_at + told * SECOND

    assert told == 0 or seconds_told(bucket, body) == 0


def test_the_clock_of_the_process_is_used_unless_another_is_given() -> None:
    bucket = TokenBucket(RateLimit(1e-6, 2))

    assert [passes(bucket, 1) for _ in range(3)] == [True, True, False]
