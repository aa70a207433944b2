import numpy as np
import pytest

from export.explanation import explain
from service.contract.manifest import OperatingPoint
from training.evaluation import JudgedQueries


def judged(right: int, wrong: int = 0, *, wrong_on_top: bool = False) -> JudgedQueries:
    """Right answers above the wrong ones, or below them."""
    queries = right + wrong
    is_correct = np.arange(queries) < right
    return JudgedQueries(
        similarity=np.linspace(0.9, 0.5, queries),
        is_correct=is_correct[::-1] if wrong_on_top else is_correct,
        recall=np.ones(queries),
        has_product=np.ones(queries, dtype=bool),
        is_seen=np.ones(queries, dtype=bool),
    )


def said(validation: JudgedQueries, calibration: JudgedQueries, target: float = 0.95) -> str:
    return explain(None, validation, calibration, target_precision=target, confidence=0.95)


@pytest.mark.parametrize(
    ("target", "confidence", "words"),
    [
        (0.95, 0.95, "at least 95% are right, with 95% confidence"),
        (0.995, 0.999, "at least 99.5% are right, with 99.9% confidence"),
    ],
)
def test_a_promise_is_never_rounded_up(target: float, confidence: float, words: str) -> None:
    point = OperatingPoint(
        threshold=0.5,
        target_precision=target,
        confidence=confidence,
        queries=1000,
        accepted=900,
        wrong=0,
        p_value=0.0,
        precision_lower_bound=0.99,
    )

    sentence = explain(point, judged(1), judged(1), target_precision=target, confidence=confidence)

    assert words in sentence
    assert "like the 1000 calibration queries; of these 900 were accepted (90.0%)" in sentence


def test_without_a_validation_query_that_is_the_reason_and_not_the_calibration_queries() -> None:
    never = JudgedQueries(
        np.full(3, np.nan), np.ones(3, bool), np.ones(3), np.ones(3, bool), np.ones(3, bool)
    )

    for validation in (judged(0), never):
        assert "there is no validation query" in said(validation, judged(500))


def test_a_few_right_answers_are_too_few_and_no_sign_of_a_bad_encoder() -> None:
    """Five of five are right: more labels are what is lacking."""
    sentence = said(judged(2), judged(3))

    assert "at least 59 accepted queries are needed even if none is wrong" in sentence
    assert "train a better encoder" not in sentence


def test_many_wrong_answers_are_a_sign_of_a_bad_encoder() -> None:
    bad = judged(30, 200, wrong_on_top=True)

    assert "train a better encoder or promise less" in said(bad, bad)


def test_it_says_how_many_labels_would_be_enough() -> None:
    sentence = said(judged(10), judged(30))

    assert "about 124 labelled calibration queries would probably (80%) be enough" in sentence


def test_it_never_asks_for_fewer_labels_than_were_given() -> None:
    """The validation queries are perfect, the calibration queries fail: chance, or a mistake."""
    sentence = said(judged(4000), judged(100, 20, wrong_on_top=True))

    assert "too uncertain: bring more labelled queries, for example 240" in sentence


def test_a_target_that_no_plan_reaches_is_said() -> None:
    assert "more than 100000 accepted queries" in said(judged(5), judged(5), target=0.99999)
