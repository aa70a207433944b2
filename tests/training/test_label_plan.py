import numpy as np
import pytest
from scipy.stats import binom

from training.label_plan import accepted_needed, plan_labels


@pytest.mark.parametrize(("target", "needed"), [(0.90, 29), (0.95, 59), (0.99, 299)])
def test_without_errors_the_known_minima_are_needed(target: float, needed: int) -> None:
    assert accepted_needed(1.0, target_precision=target, confidence=0.95) == needed


def test_the_plan_really_passes_in_about_eight_runs_of_ten() -> None:
    needed = accepted_needed(0.97, target_precision=0.95, confidence=0.95)
    assert needed is not None
    wrong = np.random.default_rng(0).binomial(needed, 0.03, size=20_000)

    passed = (binom.cdf(wrong, needed, 0.05) <= 0.05).mean()

    assert 0.79 <= passed <= 0.85


def test_a_precision_just_above_the_target_is_out_of_reach() -> None:
    assert accepted_needed(0.950001, target_precision=0.95, confidence=0.95) is None


def test_the_plan_counts_queries_not_only_accepted_ones() -> None:
    """Half of the pilot is right and similar, half is wrong and far: coverage is one half."""
    similarity = np.concatenate([np.linspace(0.9, 0.8, 500), np.linspace(0.4, 0.3, 500)])
    is_correct = np.arange(1000) < 500

    plan = plan_labels(similarity, is_correct, target_precision=0.95, confidence=0.95)

    assert plan is not None
    assert 0.45 <= plan.coverage <= 0.52
    assert 2 * 59 <= plan.queries <= 2 * 130


def test_a_pilot_of_wrong_answers_has_no_plan() -> None:
    plan = plan_labels(
        np.linspace(0, 1, 50), np.zeros(50, dtype=bool), target_precision=0.95, confidence=0.95
    )

    assert plan is None


def test_five_right_answers_are_no_plan() -> None:
    """Right five times of five is no sign of 95 %: half an error more is counted."""
    plan = plan_labels(
        np.linspace(0.9, 0.8, 5), np.ones(5, dtype=bool), target_precision=0.95, confidence=0.95
    )

    assert plan is None


def test_queries_that_can_never_be_accepted_make_the_plan_longer() -> None:
    similarity = np.linspace(0.9, 0.8, 400)
    with_blank = np.concatenate([similarity, np.full(400, np.nan)])
    right = np.ones(400, dtype=bool)
    plain = plan_labels(similarity, right, target_precision=0.95, confidence=0.95)

    longer = plan_labels(
        with_blank, np.concatenate([right, ~right]), target_precision=0.95, confidence=0.95
    )

    assert plain is not None
    assert longer is not None
    assert longer.queries == pytest.approx(2 * plain.queries, abs=2)
