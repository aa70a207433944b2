import numpy as np
import pytest

from training.evaluation import JudgedQueries
from training.study.figures import coverage_precision_curve, promised_figures


def judged(similarity: list[float], is_correct: list[bool], *, seen: bool = True) -> JudgedQueries:
    right = np.array(is_correct, dtype=bool)
    ones = np.ones(len(right), dtype=bool)
    return JudgedQueries(
        np.array(similarity, dtype=np.float64), right, right.astype(np.float64), ones, ones & seen
    )


def ladder(queries: int, wrong_below: float) -> JudgedQueries:
    similarity = np.linspace(0, 1, queries)
    return judged(similarity.tolist(), (similarity >= wrong_below).tolist())


def same_for_all(answers: JudgedQueries) -> dict[str, JudgedQueries]:
    return {"validation": answers, "calibration": answers, "test": answers}


def test_the_threshold_is_calibrated_and_then_measured_on_the_test_queries() -> None:
    splits = {
        "validation": ladder(101, 0.5),
        "calibration": ladder(301, 0.5),
        "test": judged([0.9] * 6 + [0.1] * 4, [True] * 5 + [False] * 5),
    }

    figures = promised_figures(splits, target_precision=0.9, confidence=0.95)

    everything = figures["groups"]["all"]
    assert 0.4 < everything["threshold"] < 0.5
    assert (everything["accepted"], everything["wrong"], everything["coverage"]) == (6, 1, 0.6)
    assert everything["accepted_precision"] == pytest.approx(5 / 6)
    assert everything["is_violated"] is True
    assert everything["calibrated_coverage"] == pytest.approx(0.5, abs=0.1)
    assert (everything["validation_queries"], everything["calibration_queries"]) == (101, 301)
    assert everything["oracle_coverage"]["0.90"] == 0.0
    assert figures["groups"]["seen"] == everything


def test_a_group_without_queries_has_no_threshold_and_no_coverage() -> None:
    splits = same_for_all(ladder(50, 0.5))

    unseen = promised_figures(splits, target_precision=0.9, confidence=0.95)["groups"]["unseen"]

    assert (unseen["threshold"], unseen["coverage"], unseen["is_violated"]) == (None, None, None)
    assert unseen["queries"] == 0


def test_where_nothing_can_be_promised_the_coverage_is_zero() -> None:
    splits = same_for_all(ladder(20, 0.5))

    figures = promised_figures(splits, target_precision=0.99, confidence=0.95)["groups"]["all"]

    assert (figures["threshold"], figures["coverage"], figures["accepted"]) == (None, 0.0, 0)
    assert figures["accepted_precision"] is None


def test_a_curve_keeps_equal_similarities_together_and_ends_where_answers_do() -> None:
    curve = coverage_precision_curve(judged([0.9, 0.8, 0.8, np.nan], [True, True, False, True]))

    assert curve[:25] == [1.0] * 25
    assert curve[25:75] == [pytest.approx(2 / 3)] * 50
    assert curve[75:] == [None] * 25
    assert coverage_precision_curve(judged([np.nan], [True])) == [None] * 100
