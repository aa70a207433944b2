"""What a bundle knows of a query besides its embedding: identifiers, words, a learnt score."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from service.contract.record import Count, Ratio, Record, Sha256, Share

Finite = Annotated[float, Field(allow_inf_nan=False)]


class IdentifierKind(StrEnum):
    """What identifies a product exactly; the first kind that names one decides."""

    GTIN = "gtin"
    MPN = "mpn"


class IdentifierRule(StrEnum):
    """What happens to an answer whose best product was found by its identifier."""

    ACCEPTED = "accepted"
    REVIEW = "review"
    BY_THRESHOLD = "by_threshold"  # accepted as if there were no identifier, or not at all


class DecidesOn(StrEnum):
    """The number that orders the answers and is held against the threshold."""

    SIMILARITY = "similarity"
    SCORE = "score"


class IdentifierColumn(Record):
    """One column of the catalogue that holds identifiers, and what was found in it.

    Attributes:
        kind: what it holds.
        column: its name.
        products: how many products have a usable identifier in it.
        unusable: entries that are no identifier of this kind, wrong check digits included.
        shared: identifiers that several products have; they name none of them.
    """

    kind: IdentifierKind
    column: str
    products: Count
    unusable: Count
    shared: Count


class IdentifierPoint(Record):
    """What the calibration queries say of answers found by one kind of identifier.

    Attributes:
        kind: of the identifier.
        target_precision: the precision promised among accepted answers.
        matches: calibration queries whose text names exactly one product.
        wrong: of these, how many of the products were not a positive.
        p_value: P(at most ``wrong`` errors) if precision were only ``target_precision``.
        precision_lower_bound: Clopper-Pearson lower bound at the confidence of the bundle.
        is_accepted: whether that was enough to accept such answers.
    """

    kind: IdentifierKind
    target_precision: Share
    matches: Count
    wrong: Count
    p_value: Ratio
    precision_lower_bound: Ratio
    is_accepted: bool


class LexicalRecord(Record):
    """The BM25 index inside the bundle.

    Attributes:
        products: how many are indexed.
        words: distinct words.
        mean_length: mean words of a product.
    """

    products: Annotated[int, Field(ge=1)]
    words: Count
    mean_length: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class ScoreModel(Record):
    """A logistic model of a candidate's features; what comes out is the score, in [0, 1].

    Attributes:
        features: names, in the order of ``weights``.
        weights: of the features as they are.
        intercept: what is added.
        queries: labelled queries that it was fitted on; none of them is a calibration query.
        data_sha256: digest of their texts and positives.
    """

    features: tuple[str, ...]
    weights: tuple[Finite, ...]
    intercept: Finite
    queries: Count
    data_sha256: Sha256

    @model_validator(mode="after")
    def _one_weight_a_feature(self) -> Self:
        if len(self.features) != len(self.weights):
            message = f"need {len(self.features)} weights, one a feature; found {len(self.weights)}"
            raise ValueError(message)
        return self


class SignalsRecord(Record):
    """Everything beside the embedding that this bundle's answers rest on.

    Attributes:
        decides_on: what orders the answers and is held against the threshold.
        identifiers: the columns of identifiers.
        identifier_points: what calibration says of each kind, by target precision; a kind that no
            validation query held has none.
        lexical: the BM25 index, if there is one.
        score: the learnt score, if it decides.
    """

    decides_on: DecidesOn = DecidesOn.SIMILARITY
    identifiers: tuple[IdentifierColumn, ...] = ()
    identifier_points: tuple[IdentifierPoint, ...] = ()
    lexical: LexicalRecord | None = None
    score: ScoreModel | None = None

    @model_validator(mode="after")
    def _a_score_decides_where_there_is_one(self) -> Self:
        if (self.decides_on is DecidesOn.SCORE) != (self.score is not None):
            message = "need a score where decides_on is score, and nowhere else"
            raise ValueError(message)
        return self

    def points_at(self, target_precision: float) -> tuple[IdentifierPoint, ...]:
        """Return what calibration says of identifiers under one promise."""
        return tuple(p for p in self.identifier_points if p.target_precision == target_precision)

    def rules_at(self, target_precision: float) -> dict[IdentifierKind, IdentifierRule]:
        """Return what happens to answers found by each kind of identifier under one promise."""
        return {
            point.kind: IdentifierRule.ACCEPTED if point.is_accepted else IdentifierRule.REVIEW
            for point in self.points_at(target_precision)
        }
