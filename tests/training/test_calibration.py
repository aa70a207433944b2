import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mapie.risk_control import BinaryClassificationController
from scipy.stats import binom

from service.contract.decision import Decision, decide
from training.calibration import (
    GRID_STEPS,
    choose_operating_point,
    precision_lower_bound,
    thresholds_to_try,
)

similarities = st.floats(-1, 1, width=32)
calibration_sets = st.lists(st.tuples(similarities, st.booleans()), min_size=1, max_size=200)
mostly_right = st.tuples(
    st.lists(st.tuples(similarities, st.just(True)), min_size=20, max_size=120),
    st.lists(st.tuples(similarities, st.just(False)), max_size=3),
).map(lambda parts: parts[0] + parts[1])
grids = st.lists(similarities, min_size=1, max_size=20, unique=True)


def arrays(pairs: list[tuple[float, bool]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([s for s, _ in pairs], dtype=np.float32), np.array([c for _, c in pairs])


@given(calibration_sets | mostly_right, grids, st.sampled_from([0.5, 0.8]))
def test_the_service_accepts_exactly_what_the_operating_point_counted(
    calibration_set: list[tuple[float, bool]], thresholds: list[float], target_precision: float
) -> None:
    """Counts recorded offline are the counts the one served rule produces."""
    similarity, is_correct = arrays(calibration_set)

    point = choose_operating_point(
        similarity,
        is_correct,
        thresholds_in_order=thresholds,
        target_precision=target_precision,
        confidence=0.95,
    )

    threshold = thresholds[0] if point is None else point.threshold
    accepted = np.array([decide(float(s), threshold) is Decision.AUTO_ACCEPTED for s in similarity])
    wrong = int((accepted & ~is_correct).sum())
    p_value = binom.cdf(wrong, accepted.sum(), 1 - target_precision)
    if point is None:
        assert p_value > 0.05
    else:
        assert (point.accepted, point.wrong) == (int(accepted.sum()), wrong)
        assert p_value <= 0.05 + 1e-12


@pytest.mark.parametrize(
    ("right", "wrong", "passes"),
    [(58, 0, False), (59, 0, True), (91, 1, False), (92, 1, True), (121, 2, False), (122, 2, True)],
)
def test_the_zero_and_few_error_minima_are_those_of_the_binomial(
    right: int, wrong: int, passes: bool
) -> None:
    """At 95 % with 95 % confidence 59 accepted without an error pass, 58 do not."""
    similarity = np.linspace(0.9, 0.8, right + wrong)
    is_correct = np.arange(right + wrong) < right

    point = choose_operating_point(
        similarity,
        is_correct,
        thresholds_in_order=[0.5],
        target_precision=0.95,
        confidence=0.95,
    )

    assert (point is not None) is passes


def test_the_walk_stops_at_the_first_threshold_that_fails() -> None:
    similarity = np.concatenate([np.full(100, 0.9), np.full(50, 0.7), np.full(300, 0.5)])
    is_correct = np.concatenate([np.ones(100, bool), np.zeros(50, bool), np.ones(300, bool)])

    def point_of(order: list[float]) -> float | None:
        point = choose_operating_point(
            similarity,
            is_correct,
            thresholds_in_order=order,
            target_precision=0.8,
            confidence=0.95,
        )
        return point and point.threshold

    assert point_of([0.8, 0.6, 0.4]) == 0.8
    assert point_of([0.6, 0.8]) is None
    assert point_of([0.8, 0.4, 0.6]) == 0.4
    assert point_of([0.4, 0.8]) == 0.4  # whatever the order, the loosest that passed


def test_a_threshold_is_not_rounded_to_the_width_of_the_similarities() -> None:
    """Every similarity lies below it in float64, and on it in float32."""
    similarity = np.full(100, 0.7, dtype=np.float32)
    just_above = float(np.nextafter(np.float64(similarity[0]), 1))

    point = choose_operating_point(
        similarity,
        np.ones(100, dtype=bool),
        thresholds_in_order=[just_above],
        target_precision=0.9,
        confidence=0.95,
    )

    assert point is None


def test_a_similarity_that_is_no_number_is_asked_but_never_accepted() -> None:
    similarity = np.concatenate([np.full(100, 0.9), np.full(10, np.nan)])

    point = choose_operating_point(
        similarity,
        np.ones(110, dtype=bool),
        thresholds_in_order=[-1.0],
        target_precision=0.9,
        confidence=0.95,
    )

    assert point is not None
    assert (point.queries, point.accepted) == (110, 100)
    assert point.coverage == pytest.approx(100 / 110)


def test_without_thresholds_or_queries_nothing_is_promised() -> None:
    for similarity, order in ((np.ones(100), []), (np.empty(0), [0.5])):
        point = choose_operating_point(
            similarity,
            np.ones(len(similarity), dtype=bool),
            thresholds_in_order=order,
            target_precision=0.9,
            confidence=0.95,
        )

        assert point is None


@pytest.mark.parametrize(("target", "confidence"), [(0.0, 0.9), (1.0, 0.9), (0.9, 1.0)])
def test_shares_outside_their_range_are_refused(target: float, confidence: float) -> None:
    with pytest.raises(ValueError, match="must be between 0 and 1"):
        choose_operating_point(
            np.ones(1),
            np.ones(1, dtype=bool),
            thresholds_in_order=[0.5],
            target_precision=target,
            confidence=confidence,
        )


def test_arrays_of_different_length_are_refused() -> None:
    # a plain ValueError outside the tests, where no hook checks shapes first
    with pytest.raises((ValueError, TypeError), match=r"2 similarities but 1 marks|is_correct"):
        choose_operating_point(
            np.ones(2),
            np.ones(1, dtype=bool),
            thresholds_in_order=[0.5],
            target_precision=0.9,
            confidence=0.9,
        )


@pytest.mark.parametrize(
    ("accepted", "wrong", "bound"),
    [(59, 0, 0.9505), (100, 0, 0.9705), (100, 5, 0.8977), (10, 10, 0.0), (300, 3, 0.9744)],
)
def test_the_lower_bound_is_clopper_and_pearsons(accepted: int, wrong: int, bound: float) -> None:
    found = precision_lower_bound(accepted, wrong, 0.95)

    assert found == pytest.approx(bound, abs=5e-4)
    if wrong < accepted:  # its definition: at the bound, so few errors have probability 5 %
        assert binom.cdf(wrong, accepted, 1 - found) == pytest.approx(0.05, abs=1e-9)


@given(calibration_sets)
def test_thresholds_come_strictest_first_and_lie_between_the_similarities(
    pairs: list[tuple[float, bool]],
) -> None:
    similarity, is_correct = arrays(pairs)

    grid = thresholds_to_try(similarity, is_correct, target_precision=0.9)

    assert 1 <= len(grid) <= GRID_STEPS
    assert grid == sorted(grid, reverse=True)
    assert grid[-1] == similarity.min()
    assert not set(grid[:-1]).intersection(similarity.astype(np.float64))


def test_the_walk_starts_where_validation_speaks_most_clearly() -> None:
    """Errors at the very top: a strict start would fail there, so it is not taken."""
    similarity = np.linspace(1, 0.5, 201)
    is_correct = np.ones(201, dtype=bool)
    is_correct[:4] = False
    is_correct[150::3] = False

    first = thresholds_to_try(similarity, is_correct, target_precision=0.9)[0]

    assert 145 <= (similarity >= first).sum() <= 155


def test_the_grid_goes_by_queries_not_by_distinct_similarities() -> None:
    """Half of the queries tie at the top: the first steps of a percent are one threshold."""
    similarity = np.concatenate([np.ones(500), np.linspace(0.9, 0.1, 500)])

    # no error, so the clearest threshold is the loosest; one at the bottom starts the walk early
    is_correct = np.arange(1000) < 500
    grid = thresholds_to_try(similarity, is_correct, target_precision=0.9)

    assert len(grid) == 51
    assert [int((similarity >= threshold).sum()) for threshold in grid[:3]] == [500, 510, 520]


def test_a_validation_similarity_that_is_no_number_changes_nothing() -> None:
    similarity = np.linspace(1, 0.5, 50)
    is_correct = np.arange(50) % 7 > 0
    with_gaps = np.concatenate([similarity, np.full(20, np.nan)])

    found = thresholds_to_try(
        with_gaps, np.concatenate([is_correct, np.ones(20, bool)]), target_precision=0.9
    )

    assert found == thresholds_to_try(similarity, is_correct, target_precision=0.9)
    assert thresholds_to_try(with_gaps[50:], is_correct[:20], target_precision=0.9) == []


def test_mapie_finds_the_same_threshold_on_the_same_grid() -> None:
    """An independent implementation of the same guarantee, given the same fixed sequence."""
    generator = np.random.default_rng(7)
    probability = generator.random(2000)
    is_correct = generator.random(2000) < np.clip(0.6 + 0.5 * probability, 0, 1)
    grid = np.linspace(0.95, 0.05, 19)
    controller = BinaryClassificationController(
        predict_function=_as_probabilities,  # pyright: ignore[reportArgumentType]
        risk="precision",
        target_level=0.9,
        confidence_level=0.95,
        list_predict_params=grid,
        fwer_method="fixed_sequence",
    )
    controller.calibrate(probability[:, None], is_correct.astype(int))

    point = choose_operating_point(
        probability,
        is_correct,
        thresholds_in_order=grid.tolist(),
        target_precision=0.9,
        confidence=0.95,
    )

    assert point is not None
    assert point.threshold == pytest.approx(float(np.min(controller.valid_predict_params)))


def _as_probabilities(column: np.ndarray) -> np.ndarray:
    return np.column_stack([1 - column[:, 0], column[:, 0]])


def test_the_walk_starts_where_the_evidence_is_strongest_even_where_every_p_value_is_zero() -> None:
    similarity = np.linspace(0, 1, 300_000, dtype=np.float32)
    is_correct = np.arange(similarity.size) % 100 != 0  # 99 % right at every threshold

    thresholds = thresholds_to_try(similarity, is_correct, target_precision=0.9)

    # of equally precise thresholds the one that accepts most says most; it accepts all
    assert thresholds == [0.0]
