"""The one rule that says which answers may go out without a person."""

from enum import StrEnum


class Decision(StrEnum):
    """What happens to a query's best answer."""

    AUTO_ACCEPTED = "auto_accepted"
    MANUAL_REVIEW = "manual_review"


class Reason(StrEnum):
    """Why a query got its decision; a closed list, named in the REST interface."""

    ABOVE_THRESHOLD = "above_threshold"
    BELOW_THRESHOLD = "below_threshold"
    NO_THRESHOLD = "no_threshold"
    AMBIGUOUS_PRODUCT = "ambiguous_product"
    EMPTY_TEXT = "empty_text"
    ENCODER_FAILED = "encoder_failed"
    NO_CANDIDATE = "no_candidate"
    FILTER_EXCLUDES_BEST = "filter_excludes_best"
    STALE_OPERATING_POINT = "stale_operating_point"
    IDENTIFIER_MATCH = "identifier_match"
    IDENTIFIER_UNPROVEN = "identifier_unproven"

    @property
    def decision(self) -> Decision:
        """Return the decision that this reason stands for; only two of them accept."""
        accepted = self in (Reason.ABOVE_THRESHOLD, Reason.IDENTIFIER_MATCH)
        return Decision.AUTO_ACCEPTED if accepted else Decision.MANUAL_REVIEW


NEVER_ACCEPTED = frozenset(
    {
        Reason.AMBIGUOUS_PRODUCT,
        Reason.EMPTY_TEXT,
        Reason.ENCODER_FAILED,
        Reason.NO_CANDIDATE,
        Reason.IDENTIFIER_UNPROVEN,
    }
)
"""The reasons of answers that no threshold could accept."""


def decide(similarity: float, threshold: float | None) -> Decision:
    """Return whether an answer of this similarity goes out without a person.

    A similarity equal to the threshold is accepted; one that is not a number never is.

    Args:
        similarity: cosine of query and best product, in [-1, 1], or NaN; the score in its place
            where the bundle decides on one.
        threshold: least similarity that is accepted; None accepts nothing.
    """
    # as a float, since NumPy would round the threshold to the width of its own scalar
    accepted = threshold is not None and float(similarity) >= threshold
    return Decision.AUTO_ACCEPTED if accepted else Decision.MANUAL_REVIEW


def reason_for(similarity: float, threshold: float | None, *, is_ambiguous: bool) -> Reason:
    """Return why a query that has a best product is accepted or sent to review.

    Args:
        similarity: cosine of query and best product, in [-1, 1], or NaN.
        threshold: least similarity that is accepted; None where none could be promised.
        is_ambiguous: true if another product has the very tokens of the best one.
    """
    if is_ambiguous:
        return Reason.AMBIGUOUS_PRODUCT
    if threshold is None:
        return Reason.NO_THRESHOLD
    if decide(similarity, threshold) is Decision.AUTO_ACCEPTED:
        return Reason.ABOVE_THRESHOLD
    return Reason.BELOW_THRESHOLD
