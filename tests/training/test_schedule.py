import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.config import BatchSection, OptimiserSection, load_config
from training.schedule import is_due, learning_rate_factor, neighbourhood_size


def optimiser(warmup_ratio: float) -> OptimiserSection:
    return load_config(overrides=[f"optimiser.warmup_ratio={warmup_ratio}"]).optimiser


def doubling(neighbours: int, start_ratio: float, double_every_ratio: float) -> BatchSection:
    return load_config(
        overrides=[
            f"batches.neighbours={neighbours}",
            f"batches.start_ratio={start_ratio}",
            f"batches.double_every_ratio={double_every_ratio}",
        ]
    ).batches


def due_steps(steps: int, *, start_ratio: float, every_ratio: float) -> list[int]:
    return [
        step
        for step in range(steps)
        if is_due(step, steps, start_ratio=start_ratio, every_ratio=every_ratio)
    ]


@pytest.mark.parametrize(
    ("step", "share"), [(0, 0.1), (4, 0.5), (9, 1.0), (10, 1.0), (55, 0.5), (99, 1 / 90)]
)
def test_the_rate_rises_over_the_first_tenth_and_falls_to_zero(step: int, share: float) -> None:
    assert learning_rate_factor(step, 100, optimiser(0.1)) == pytest.approx(share)


@pytest.mark.parametrize(
    ("warmup_ratio", "shares"),
    [(0.0, [1.0, 0.75, 0.5, 0.25]), (1.0, [0.25, 0.5, 0.75, 1.0]), (0.5, [0.5, 1.0, 1.0, 0.5])],
)
def test_the_rate_may_only_fall_or_only_rise(warmup_ratio: float, shares: list[float]) -> None:
    found = [learning_rate_factor(step, 4, optimiser(warmup_ratio)) for step in range(4)]

    assert found == pytest.approx(shares)


@given(steps=st.integers(1, 500), percent=st.integers(0, 100))
def test_no_step_is_without_a_rate_and_there_is_one_summit(steps: int, percent: int) -> None:
    settings = optimiser(percent / 100)
    shares = [learning_rate_factor(step, steps, settings) for step in range(steps)]
    summit = shares.index(max(shares))

    assert all(0 < share <= 1 for share in shares)
    assert shares[: summit + 1] == sorted(shares[: summit + 1])
    assert shares[summit:] == sorted(shares[summit:], reverse=True)


@pytest.mark.parametrize("steps", [40, 3000])
@pytest.mark.parametrize(
    ("start_ratio", "every_ratio", "percents"),
    [
        (0.25, 0.25, [25, 50, 75]),
        (0.0, 0.5, [0, 50]),
        (0.1, 0.2, [10, 30, 50, 70, 90]),
        (0.55, 0.15, [55, 70, 85]),
        (0.3, 1.0, [30]),
        (1.0, 0.25, []),
    ],
)
def test_the_same_shares_are_due_in_four_epochs_as_in_three_hundred(
    steps: int, start_ratio: float, every_ratio: float, percents: list[int]
) -> None:
    found = due_steps(steps, start_ratio=start_ratio, every_ratio=every_ratio)

    assert found == [steps * percent // 100 for percent in percents]


@given(hundreds=st.integers(1, 30), start=st.integers(0, 100), every=st.integers(1, 100))
def test_a_share_in_whole_percents_never_misses_its_step_by_rounding(
    hundreds: int, start: int, every: int
) -> None:
    found = due_steps(100 * hundreds, start_ratio=start / 100, every_ratio=every / 100)

    assert found == list(range(start * hundreds, 100 * hundreds, every * hundreds))


@given(
    steps=st.integers(1, 400),
    start_ratio=st.floats(0, 1),
    every_ratio=st.floats(0.01, 1),
)
def test_nothing_is_due_before_its_start_and_something_soon_after(
    steps: int, start_ratio: float, every_ratio: float
) -> None:
    found = due_steps(steps, start_ratio=start_ratio, every_ratio=every_ratio)

    assert all(step > start_ratio * steps - 1e-6 for step in found)
    if start_ratio * steps <= steps - 1:
        assert found[0] <= start_ratio * steps + 1


def test_a_time_that_falls_between_two_steps_acts_at_the_next_and_once() -> None:
    """Every half step is due, and a step acts once."""
    assert due_steps(5, start_ratio=0.5, every_ratio=0.1) == [3, 4]


@pytest.mark.parametrize(
    ("step", "size"), [(0, 4), (24, 4), (25, 4), (34, 4), (35, 8), (45, 16), (55, 20), (99, 20)]
)
def test_neighbourhoods_double_from_their_start_up_to_a_batch(step: int, size: int) -> None:
    settings = doubling(4, 0.25, 0.1)

    assert neighbourhood_size(step, 100, settings=settings, batch_size=20) == size


def test_neighbourhoods_that_never_double_keep_their_size() -> None:
    settings = doubling(16, 0.25, 0.0)

    sizes = {neighbourhood_size(step, 50, settings=settings, batch_size=64) for step in range(50)}
    assert sizes == {16}


def test_neighbourhoods_larger_than_a_batch_neither_grow_nor_shrink() -> None:
    settings = doubling(32, 0.0, 0.1)

    sizes = {neighbourhood_size(step, 50, settings=settings, batch_size=8) for step in range(50)}
    assert sizes == {32}


@given(
    steps=st.integers(1, 300),
    neighbours=st.integers(1, 64),
    batch_size=st.integers(2, 300),
    start_ratio=st.floats(0, 1),
    double_every_ratio=st.floats(0.01, 1),
)
def test_neighbourhoods_never_shrink_and_never_exceed_a_batch(
    steps: int, neighbours: int, batch_size: int, start_ratio: float, double_every_ratio: float
) -> None:
    settings = doubling(neighbours, start_ratio, double_every_ratio)
    sizes = [
        neighbourhood_size(step, steps, settings=settings, batch_size=batch_size)
        for step in range(steps)
    ]

    assert sizes[0] == neighbours
    assert sizes == sorted(sizes)
    assert sizes[-1] <= max(batch_size, neighbours)
