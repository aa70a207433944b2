"""Several targets calibrated at once: each as if alone, and how their thresholds stand together."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import comb

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export.operating_point import LabelledSets, calibrate
from service.catalogue import Catalogue
from service.contract.decision import Reason
from service.contract.manifest import Calibration
from service.recommender import Answer, Recommendation
from tests.training.data.labelled import labelled
from training.calibration import thresholds_to_try
from training.data.matches import LabelledQuery

TARGETS = (0.8, 0.9, 0.95, 0.98)

Rows = Sequence[tuple[float, bool]]
"""Similarity and correctness of the answer to each query."""


class KnownAnswers:
    """A served path whose answers are written in the queries: ``text`` is ``NUMBER SIMILARITY``.

    It counts the texts it is asked.
    """

    def __init__(self) -> None:
        self.asked = 0
        self.signals = None
        self.catalogue = Catalogue(
            pa.table(
                {
                    "product_id": ["p"],
                    "title": ["P"],
                    "has_twin": [False],
                    "seen_in_training": [True],
                }
            )
        )

    def recommend(self, texts: Sequence[str], *, k: int) -> list[Answer]:
        assert k >= 1
        self.asked += len(texts)
        return [self._answer(float(text.split()[-1])) for text in texts]

    @staticmethod
    def _answer(similarity: float) -> Answer:
        best = Recommendation(product_id="p", title="P", similarity=similarity, row=0)
        return Answer(Reason.NO_THRESHOLD, False, (best,), value=similarity)


@dataclass(frozen=True)
class Known:
    """Queries whose answers are known beforehand, and what is calibrated on them."""

    sets: LabelledSets

    @classmethod
    def of(cls, validation: Rows, calibration: Rows) -> "Known":
        return cls(LabelledSets(_queries("v", validation), _queries("c", calibration)))

    def calibrate(
        self, target: float, *further: float, confidence: float = 0.95, served: object = None
    ) -> Calibration:
        return calibrate(
            served or KnownAnswers(),  # pyright: ignore[reportArgumentType]  # all that is used
            self.sets,
            target_precision=target,
            confidence=confidence,
            further_targets=further,
        )


def _queries(part: str, rows: Rows) -> list[LabelledQuery]:
    return [
        labelled(f"{part}{n}", f"{part}{n} {similarity!r}", "p" if right else "other")
        for n, (similarity, right) in enumerate(rows)
    ]


def falling(*is_correct: bool) -> Rows:
    """Return answers of falling similarity, from 1 on, right or wrong as said."""
    return [(1 - n / 1000, right) for n, right in enumerate(is_correct)]


MANY = falling(*[True] * 150, *[n % 2 > 0 for n in range(50)])
"""150 right answers; of the 50 below them every second is wrong, the first of them too."""


def test_each_target_gets_the_loosest_threshold_that_its_own_test_passes() -> None:
    """The counts are worked out below from the binomial sum; the grid goes in steps of two.

    Two queries more are one error more, so 150 + 2 n accepted have n wrong.
    """
    calibration = Known.of(MANY, MANY).calibrate(0.95, 0.9, 0.98)

    def p_value(accepted: int, wrong: int, target: float) -> float:
        terms = (
            comb(accepted, k) * (1 - target) ** k * target ** (accepted - k)
            for k in range(wrong + 1)
        )
        return sum(terms)

    points = {p.target_precision: p.operating_point for p in calibration.promises}
    assert {t: (p.accepted, p.wrong) for t, p in points.items() if p} == {
        0.95: (156, 3),
        0.9: (170, 10),
        0.98: (150, 0),
    }
    for target, point in points.items():
        assert point is not None
        assert point.p_value == pytest.approx(p_value(point.accepted, point.wrong, target))
        assert point.p_value <= 0.05 < p_value(point.accepted + 2, point.wrong + 1, target)


def test_every_query_is_answered_once_however_many_targets_there_are() -> None:
    served = KnownAnswers()

    Known.of(MANY, MANY).calibrate(0.95, 0.5, 0.8, 0.9, 0.98, served=served)

    assert served.asked == 2 * len(MANY)


def test_the_default_among_the_further_targets_and_repeats_count_for_nothing() -> None:
    known = Known.of(MANY, MANY)

    assert known.calibrate(0.95, 0.98, 0.95, 0.9, 0.98) == known.calibrate(0.95, 0.9, 0.98)


def test_without_further_targets_nothing_is_said_of_several() -> None:
    calibration = Known.of(MANY, MANY).calibrate(0.95)

    assert calibration.further == ()
    assert "by itself" not in calibration.explanation


def test_each_of_several_promises_says_whose_its_confidence_is() -> None:
    calibration = Known.of(MANY, MANY).calibrate(0.95, 0.9, 0.999)

    alone, none = calibration.further
    for explanation in (calibration.explanation, alone.explanation):
        assert explanation.endswith(
            "; the confidence is that of this promise by itself, not of several at once"
        )
    assert none.operating_point is None
    assert none.explanation.startswith("no threshold can be promised: 200 calibration queries")


answers = st.lists(
    st.tuples(st.floats(-1, 1, width=16), st.booleans() | st.just(True)), min_size=1, max_size=60
)


@settings(max_examples=40)
@given(answers, answers, st.permutations(TARGETS), st.sampled_from([0.5, 0.8, 0.95]))
def test_every_point_is_what_its_target_alone_would_get(
    validation: Rows, calibration: Rows, targets: list[float], confidence: float
) -> None:
    known = Known.of(validation, calibration)

    several = known.calibrate(*targets, confidence=confidence)

    assert several.target_precision == targets[0]
    for promise in several.promises:
        alone = known.calibrate(promise.target_precision, confidence=confidence)
        assert promise.operating_point == alone.operating_point
        assert (several.queries, several.data_sha256) == (alone.queries, alone.data_sha256)


def thresholds_that_exist(calibration: Calibration) -> list[float]:
    """Return the thresholds of the promises that could be made, the strictest target first."""
    promises = sorted(calibration.promises, key=lambda p: p.target_precision, reverse=True)
    return [p.operating_point.threshold for p in promises if p.operating_point]


@given(answers, answers, st.sampled_from([0.5, 0.8, 0.95]))
def test_a_laxer_promise_accepts_at_least_as_much_as_a_stricter_one(
    validation: Rows, calibration: Rows, confidence: float
) -> None:
    thresholds = thresholds_that_exist(
        Known.of(validation, calibration).calibrate(*TARGETS, confidence=confidence)
    )

    assert thresholds == sorted(thresholds, reverse=True)


@pytest.mark.parametrize("seed", range(20))
def test_that_order_holds_on_sets_of_the_usual_size_too(seed: int) -> None:
    """Errors at the top, so that the walks start in the middle and differ."""
    generator = np.random.default_rng(seed)

    def rows(size: int) -> Rows:
        similarity = generator.random(size)
        wrong = np.where(similarity > 0.93, 0.1, 0.4 * (1 - similarity) ** 2)
        is_correct = generator.random(size) >= wrong
        return list(zip(similarity.tolist(), is_correct.tolist(), strict=True))

    thresholds = thresholds_that_exist(Known.of(rows(600), rows(1000)).calibrate(*TARGETS))

    assert len(thresholds) >= 2
    assert thresholds == sorted(thresholds, reverse=True)


@given(answers)
def test_the_walk_of_a_laxer_target_is_an_end_of_the_walk_of_a_stricter_one(
    validation: Rows,
) -> None:
    """Why the order holds: P(at most w of n wrong) as a function of the error rate.

    The chance is P(B > rate) for a B of the law Beta(w + 1, n - w). For a looser threshold
    the quotient of its chance by that of a stricter one is 1 at rate 0 and, as the quotient of
    the two densities does, rises at most once and then falls. So where the looser one's is the
    smaller chance, it is so at every higher rate: at every laxer target.
    """
    similarity = np.array([s for s, _ in validation])
    is_correct = np.array([right for _, right in validation])
    walks = [
        thresholds_to_try(similarity, is_correct, target_precision=target) for target in TARGETS
    ]

    for laxer, stricter in pairwise(walks):
        assert stricter[-len(laxer) :] == laxer


def test_a_laxer_target_is_not_lent_the_threshold_of_a_stricter_one() -> None:
    """For 80 % the validation queries speak for accepting all; of these a third is wrong."""
    validation = falling(*[True] * 201, *[n % 25 > 0 for n in range(99)])
    calibration = falling(*[True] * 201, *[False] * 99)

    promised = Known.of(validation, calibration).calibrate(0.8, 0.98)

    [stricter] = promised.further
    assert stricter.operating_point is not None
    assert stricter.operating_point.accepted == 201
    assert promised.operating_point is None
