"""The arithmetic of the load generator."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.benchmarks.load_figures import Exchange, add_up, quantiles_ms


def answered(due: float, seconds: float, *, sent: float | None = None) -> Exchange:
    return Exchange(due, due if sent is None else sent, due + seconds, "200")


def test_quantiles_are_the_times_of_requests_that_were_made() -> None:
    found = quantiles_ms([number / 1000 for number in range(1, 101)])

    assert found is not None
    assert (found.p50, found.p95, found.p99, found.longest) == (50, 95, 99, 100)


@given(st.lists(st.floats(min_value=0, max_value=100), min_size=1))
def test_a_higher_quantile_is_never_shorter(seconds: list[float]) -> None:
    found = quantiles_ms(seconds)

    assert found is not None
    assert found.p50 <= found.p95 <= found.p99 <= found.longest
    assert found.longest == pytest.approx(1000 * max(seconds), abs=1e-3)


def test_nothing_has_no_quantiles() -> None:
    assert quantiles_ms([]) is None


def test_throughput_is_queries_answered_until_the_last_answer_came() -> None:
    exchanges = [answered(0.0, 1.0), answered(1.0, 3.0)]

    assert add_up(exchanges, queries_a_body=32).queries_per_second == 16


def test_what_was_not_answered_is_no_throughput() -> None:
    exchanges = [answered(0.0, 1.0), Exchange(0, 0, 1, "429"), Exchange(0, 0, 1, "no answer")]

    figures = add_up(exchanges, queries_a_body=1)

    assert figures.queries_per_second == 1
    assert figures.outcomes == {"200": 1, "429": 1, "no answer": 1}


def test_refusals_have_times_of_their_own() -> None:
    figures = add_up([answered(0.0, 0.5), Exchange(0, 0, 0.002, "429")], queries_a_body=1)

    assert figures.answered_ms is not None
    assert figures.refused_ms is not None
    assert (figures.answered_ms.longest, figures.refused_ms.longest) == (500, 2)


def test_a_time_counts_from_when_the_request_was_due_not_from_when_it_was_sent() -> None:
    figures = add_up([answered(0.0, 0.9, sent=0.8)], queries_a_body=1)

    assert figures.answered_ms is not None
    assert figures.late_ms is not None
    assert (figures.answered_ms.p50, figures.late_ms.p50) == (900, 800)


@pytest.mark.parametrize(
    ("due", "seconds", "good"),
    [
        (0.0, 1.0, 0.5),
        (0.0, 1.1, 0.0),  # took too long
        (1.5, 0.5, 0.5),
        (1.5, 0.6, 0.0),  # in time, but only because no load came any more
    ],
)
def test_good_is_what_was_answered_in_time_while_load_was_offered(
    due: float, seconds: float, good: float
) -> None:
    first = Exchange(0.0, 0.0, 0.1, "429")

    figures = add_up([first, answered(due, seconds)], queries_a_body=1, offered_seconds=2.0)

    assert figures.good_per_second == good


def test_a_run_without_requests_adds_up_to_nothing() -> None:
    figures = add_up([], queries_a_body=1, offered_seconds=1.0)

    assert (figures.queries_per_second, figures.outcomes) == (0.0, {})
