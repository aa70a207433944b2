"""What is asked and what is answered, as values; each is frozen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Decision(StrEnum):
    """What happens to a query's best answer."""

    AUTO_ACCEPTED = "auto_accepted"
    MANUAL_REVIEW = "manual_review"


class Reason(StrEnum):
    """Why a query got its decision; a reason added later stays a plain string."""

    ABOVE_THRESHOLD = "above_threshold"
    BELOW_THRESHOLD = "below_threshold"
    NO_THRESHOLD = "no_threshold"
    AMBIGUOUS_PRODUCT = "ambiguous_product"
    EMPTY_TEXT = "empty_text"
    ENCODER_FAILED = "encoder_failed"
    IDENTIFIER_MATCH = "identifier_match"
    IDENTIFIER_UNPROVEN = "identifier_unproven"
    NO_CANDIDATE = "no_candidate"
    FILTER_EXCLUDES_BEST = "filter_excludes_best"
    STALE_OPERATING_POINT = "stale_operating_point"
    DRIFT = "drift"
    AUDIT = "audit"


class SwapStatus(StrEnum):
    """What became of a wish for another bundle."""

    SWAPPED = "swapped"
    UNCHANGED = "unchanged"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class Identifiers:
    """What is known of a product besides a text; one of them may name it exactly.

    Attributes:
        gtin: GTIN, EAN or UPC with its check digit; a wrong one is no error, see
            ``Result.identifier``.
        mpn: the manufacturer's part number.
    """

    gtin: str | None = None
    mpn: str | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """One text to be matched.

    Attributes:
        text: blank text is answered with ``Reason.EMPTY_TEXT``.
        id: any name for the query; its result carries it.
        identifiers: looked up beside those that stand in the text.
    """

    text: str
    id: str | int | None = None
    identifiers: Identifiers | None = None


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One product with its cosine similarity to the query.

    Attributes:
        similarity: in [-1, 1].
        fields: the fields asked for, None where the product has no value; None if none were.
        score: what order and decision follow, where that is not the similarity.
        matched_by: the kind of identifier that names this very product; None where none does.
    """

    product_id: str
    title: str
    similarity: float
    fields: Mapping[str, str | None] | None = field(default=None, hash=False)
    score: float | None = None
    matched_by: str | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to one query; the decision speaks of its first recommendation.

    Attributes:
        id: the id of the query, None where it had none.
        reason: a `Reason`, or a plain string where this client does not know it yet.
        truncated: true where the text was cut at the model's longest input.
        recommendations: best first.
        bundle_id: name of the bundle that answered.
        target_precision: the precision promised for accepted answers; None where none is named.
        identifier: what came of the query's identifiers; None where it has none.
    """

    id: str | int | None
    decision: Decision
    reason: Reason | str
    truncated: bool
    recommendations: Sequence[Recommendation]
    bundle_id: str
    target_precision: float | None = None
    identifier: str | None = None

    @property
    def is_auto_accepted(self) -> bool:
        """Whether the first recommendation may go out without a person."""
        return self.decision is Decision.AUTO_ACCEPTED


@dataclass(frozen=True, slots=True)
class RecommendResponse:
    """One result a query, in the order of the queries."""

    bundle_id: str
    results: Sequence[Result]


@dataclass(frozen=True, slots=True)
class Embedding:
    """The vector of one text; ``values`` is None where ``reason`` says why there is none."""

    values: Sequence[float] | None
    truncated: bool
    reason: Reason | str | None


@dataclass(frozen=True, slots=True)
class EmbedResponse:
    """One embedding a text, in the order of the texts; each has ``dim`` values."""

    bundle_id: str
    dim: int
    results: Sequence[Embedding]


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """The threshold, and the promise that holds for what it accepts.

    Attributes:
        threshold: least similarity that is accepted.
        target_precision: share of accepted answers that is promised to be right, in (0, 1).
        confidence: probability, over calibration sets, that the promise holds, in (0, 1).
        coverage: accepted share of the calibration queries, in [0, 1].
    """

    threshold: float
    target_precision: float
    confidence: float
    coverage: float


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that one request may hold; ``tokens`` is where a longer text is cut."""

    body_bytes: int
    queries: int
    k: int
    text_characters: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Info:
    """What answers now.

    Attributes:
        operating_point: None where nothing could be promised: every answer goes to review.
        explanation: the promise in one sentence, or why there is none.
        raw: all that the service said, also what this client has no name for.
    """

    bundle_id: str
    operating_point: OperatingPoint | None
    explanation: str
    limits: Limits
    raw: Mapping[str, object] = field(repr=False, hash=False)


@dataclass(frozen=True, slots=True)
class SwapResponse:
    """The bundle that answers after a swap or a roll-back, and how long that took."""

    status: SwapStatus | str
    bundle_id: str
    seconds: float
