import numpy as np
import pytest
from scipy.stats import binom

from export.identifier_strata import SHARE, Strata
from service.contract.manifest import OperatingPoint
from service.contract.signals import IdentifierKind
from training.evaluation import JudgedQueries

GTIN, MPN = IdentifierKind.GTIN, IdentifierKind.MPN


def judged(named: list[str], *, wrong: int = 0) -> JudgedQueries:
    """Return queries of which the first ones are wrong, each named by this kind or by none."""
    size = len(named)
    is_correct = np.arange(size) >= wrong
    return JudgedQueries(
        similarity=np.full(size, 0.9),
        is_correct=is_correct,
        recall=is_correct.astype(float),
        has_product=np.ones(size, dtype=bool),
        is_seen=np.ones(size, dtype=bool),
        named_by=np.array(named) if any(named) else None,
    )


def test_without_an_identifier_in_the_validation_queries_nothing_changes() -> None:
    validation, calibration = judged([""] * 3), judged(["gtin"] * 200)

    strata = Strata.of(validation, calibration)

    assert strata.kinds == ()
    assert strata.confidence(0.95) == 0.95
    assert strata.points(0.95, 0.95) == []
    np.testing.assert_array_equal(strata.calibration.similarity, calibration.similarity)


def test_answers_of_a_tested_kind_cannot_pass_a_threshold_and_others_can() -> None:
    strata = Strata.of(judged(["gtin", ""]), judged(["gtin", "mpn", ""]))

    assert strata.kinds == (GTIN,)
    assert np.isnan(strata.validation.similarity).tolist() == [True, False]
    assert np.isnan(strata.calibration.similarity).tolist() == [True, False, False]


@pytest.mark.parametrize("kinds", [["gtin"], ["gtin", "mpn"]])
def test_identifiers_and_threshold_together_keep_the_stated_error(kinds: list[str]) -> None:
    strata = Strata.of(judged(kinds), judged(kinds))

    spent = len(kinds) * SHARE * 0.05 + (1 - strata.confidence(0.95))
    assert spent == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("matches", "wrong", "is_accepted"),
    [(104, 0, True), (103, 0, False), (200, 2, True), (200, 3, False), (0, 0, False)],
)
def test_a_kind_is_accepted_only_where_its_own_matches_show_the_promise(
    matches: int, wrong: int, *, is_accepted: bool
) -> None:
    strata = Strata.of(judged(["gtin"]), judged(["gtin"] * matches + [""], wrong=wrong))

    [point] = strata.points(0.95, 0.95)

    assert (point.matches, point.wrong) == (matches, wrong if matches else 0)
    assert point.is_accepted == is_accepted
    expected = float(binom.cdf(wrong, matches, 0.05)) if matches else 1.0
    assert point.p_value == pytest.approx(expected)


def test_a_point_keeps_its_threshold_and_shows_the_bound_of_the_stated_confidence() -> None:
    strata = Strata.of(judged(["gtin"]), judged(["gtin"]))
    point = OperatingPoint(
        threshold=0.7,
        target_precision=0.9,
        confidence=strata.confidence(0.95),
        queries=200,
        accepted=100,
        wrong=2,
        p_value=0.002,
        precision_lower_bound=0.92,
    )

    shown = strata.as_stated(point, 0.95)

    assert shown is not None
    assert (shown.threshold, shown.confidence) == (0.7, 0.95)
    assert shown.precision_lower_bound > 0.92
    assert strata.as_stated(None, 0.95) is None


def test_the_promise_of_accepted_identifiers_breaks_no_more_often_than_stated() -> None:
    """Identifiers that are right in 94 of 100 cases must hardly ever be promised 95."""
    chance = np.random.default_rng(0)
    broken = 0
    for _ in range(2000):
        wrong = int(chance.binomial(150, 0.06))
        [point] = Strata.of(judged(["gtin"]), judged(["gtin"] * 150, wrong=wrong)).points(
            0.95, 0.95
        )
        broken += point.is_accepted
    assert broken / 2000 <= SHARE * 0.05
