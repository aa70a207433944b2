import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.contract.decision import Decision, Reason, decide, reason_for

ACCEPTED, REVIEW = Decision.AUTO_ACCEPTED, Decision.MANUAL_REVIEW
NAN = math.nan

similarities = st.floats(-1, 1) | st.just(NAN)
thresholds = st.none() | st.floats(-1, 1)


@pytest.mark.parametrize(
    ("similarity", "threshold", "expected"),
    [
        (0.9, 0.8, ACCEPTED),
        (0.8, 0.8, ACCEPTED),
        (0.79, 0.8, REVIEW),
        (math.nextafter(0.8, 0), 0.8, REVIEW),
        (1.0, 1.0, ACCEPTED),
        (-1.0, -1.0, ACCEPTED),
        (0.0, -0.0, ACCEPTED),
        (-0.0, 0.0, ACCEPTED),
        (0.9, None, REVIEW),
        (1.0, None, REVIEW),
        (NAN, 0.8, REVIEW),
        (NAN, -1.0, REVIEW),
        (NAN, None, REVIEW),
        (0.9, NAN, REVIEW),
        (-math.inf, -1.0, REVIEW),
    ],
)
def test_a_similarity_meets_a_threshold_with_this_decision(
    similarity: float, threshold: float | None, expected: Decision
) -> None:
    assert decide(similarity, threshold) is expected


@given(st.floats(-1, 1, width=32))
def test_a_similarity_that_became_the_threshold_is_accepted_and_the_next_below_is_not(
    similarity: float,
) -> None:
    below = float(np.nextafter(np.float32(similarity), np.float32(-2)))

    assert decide(similarity, similarity) is ACCEPTED
    assert decide(below, similarity) is REVIEW


@given(st.floats(-1, 1, width=32), st.floats(-1, 1))
def test_a_float32_is_widened_before_it_is_compared(similarity: float, threshold: float) -> None:
    narrow = np.float32(similarity)

    assert decide(narrow, threshold) is decide(similarity, threshold)  # type: ignore[arg-type]


def test_a_threshold_is_never_rounded_to_the_width_of_a_similarity() -> None:
    just_below = np.float32(0.7)

    assert float(just_below) < 0.7
    assert decide(just_below, 0.7) is REVIEW  # type: ignore[arg-type]


@given(st.floats(-1, 1), st.floats(-1, 1), thresholds)
def test_a_higher_similarity_never_loses_an_acceptance(
    one: float, other: float, threshold: float | None
) -> None:
    low, high = sorted([one, other])

    assert (decide(low, threshold), decide(high, threshold)) != (ACCEPTED, REVIEW)


@pytest.mark.parametrize(
    ("similarity", "threshold", "is_ambiguous", "expected"),
    [
        (0.9, 0.8, False, Reason.ABOVE_THRESHOLD),
        (0.8, 0.8, False, Reason.ABOVE_THRESHOLD),
        (0.7, 0.8, False, Reason.BELOW_THRESHOLD),
        (NAN, 0.8, False, Reason.BELOW_THRESHOLD),
        (0.9, None, False, Reason.NO_THRESHOLD),
        (NAN, None, False, Reason.NO_THRESHOLD),
        (0.9, 0.8, True, Reason.AMBIGUOUS_PRODUCT),
        (0.8, 0.8, True, Reason.AMBIGUOUS_PRODUCT),
        (0.7, 0.8, True, Reason.AMBIGUOUS_PRODUCT),
        (0.9, None, True, Reason.AMBIGUOUS_PRODUCT),
    ],
)
def test_a_best_product_gets_this_reason(
    similarity: float, threshold: float | None, is_ambiguous: bool, expected: Reason
) -> None:
    assert reason_for(similarity, threshold, is_ambiguous=is_ambiguous) is expected


@given(similarities, thresholds, st.booleans())
def test_a_reason_accepts_exactly_what_the_rule_accepts_and_nothing_ambiguous(
    similarity: float, threshold: float | None, is_ambiguous: bool
) -> None:
    reason = reason_for(similarity, threshold, is_ambiguous=is_ambiguous)

    accepted = not is_ambiguous and decide(similarity, threshold) is ACCEPTED
    assert (reason.decision is ACCEPTED) == accepted


@pytest.mark.parametrize("reason", Reason)
def test_only_a_threshold_or_an_identifier_accepts(reason: Reason) -> None:
    accepting = (Reason.ABOVE_THRESHOLD, Reason.IDENTIFIER_MATCH)

    assert (reason.decision is ACCEPTED) == (reason in accepting)


def test_the_words_of_the_interface_are_these() -> None:
    assert [decision.value for decision in Decision] == ["auto_accepted", "manual_review"]
    assert [reason.value for reason in Reason] == [
        "above_threshold",
        "below_threshold",
        "no_threshold",
        "ambiguous_product",
        "empty_text",
        "encoder_failed",
        "no_candidate",
        "filter_excludes_best",
        "stale_operating_point",
        "identifier_match",
        "identifier_unproven",
    ]
