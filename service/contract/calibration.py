"""What a bundle promises: its operating points, and the calibration that they come from."""

from typing import Annotated, Any, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from service.contract.record import Cosine, Count, Ratio, Record, Sha256, Share
from service.contract.similarities import SimilarityHistogram


class OperatingPoint(Record):
    """A threshold with the evidence that it keeps its promise.

    Attributes:
        threshold: least similarity that is accepted without a person.
        target_precision: the precision promised among accepted answers.
        confidence: probability, over calibration sets, that the promise holds.
        queries: calibration queries asked, one row per normalised text.
        accepted: of these, how many reach the threshold.
        wrong: of the accepted, how many best products were not a positive.
        p_value: P(at most ``wrong`` errors) if precision were only ``target_precision``.
        precision_lower_bound: Clopper-Pearson lower bound at ``confidence``.
    """

    threshold: Cosine
    target_precision: Share
    confidence: Share
    queries: Annotated[int, Field(ge=1)]
    accepted: Annotated[int, Field(ge=1)]
    wrong: Count
    p_value: Ratio
    precision_lower_bound: Ratio

    @property
    def coverage(self) -> float:
        """Return the accepted share of the calibration queries, in [0, 1]."""
        return self.accepted / self.queries

    @property
    def precision(self) -> float:
        """Return the right share of the accepted calibration queries, in [0, 1]."""
        return 1 - self.wrong / self.accepted

    @model_validator(mode="after")
    def _counts_are_nested(self) -> Self:
        if not self.wrong <= self.accepted <= self.queries:
            message = "need wrong <= accepted <= queries"
            raise ValueError(message)
        return self


class FurtherPoint(Record):
    """A promise beside the bundle's default one, fixed on the same calibration queries.

    Each promise stands alone: it holds with the confidence of its bundle, and nothing is promised
    of several at once.

    Attributes:
        target_precision: the precision asked for.
        operating_point: the promise, or None where none could be made.
        explanation: one sentence for people: the promise, or why there is none.
    """

    target_precision: Share
    operating_point: OperatingPoint | None
    explanation: str


class Calibration(Record):
    """How the operating points were fixed, or why there are none.

    Attributes:
        target_precision: the precision asked for by default.
        confidence: the confidence asked for, of each promise by itself.
        queries: calibration queries used, one per normalised text.
        validation_queries: queries that gave the grid of thresholds and its order.
        data_sha256: digest of the texts and positives of both sets.
        operating_point: the default promise, or None where none could be made.
        explanation: one sentence for people: the default promise, or why there is none.
        further: promises of other precisions that a caller may ask for, the laxest first.
        top_similarity: the similarities of the best products of the calibration queries, whether
            they could be accepted or not; None in bundles of earlier releases.
    """

    target_precision: Share
    confidence: Share
    queries: Count
    validation_queries: Count
    data_sha256: Sha256
    operating_point: OperatingPoint | None
    explanation: str
    further: tuple[FurtherPoint, ...] = ()
    top_similarity: SimilarityHistogram | None = None

    @property
    def promises(self) -> tuple[FurtherPoint, ...]:
        """Return every promise that was asked for, the default first."""
        default = FurtherPoint(
            target_precision=self.target_precision,
            operating_point=self.operating_point,
            explanation=self.explanation,
        )
        return (default, *self.further)

    @model_validator(mode="after")
    def _further_targets_rise(self) -> Self:
        targets = [further.target_precision for further in self.further]
        if targets != sorted({*targets} - {self.target_precision}):
            message = "need further targets that rise, each once and none of them the default"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _further_points_come_from_this_calibration(self) -> Self:
        for further in self.further:
            point = further.operating_point
            needed = (further.target_precision, self.confidence, self.queries)
            if point and (point.target_precision, point.confidence, point.queries) != needed:
                message = (
                    f"need target_precision, confidence and queries {needed} in the further "
                    f"operating point of {further.target_precision}"
                )
                raise ValueError(message)
        return self

    @model_serializer(mode="wrap")
    def _as_older_bundles_wrote_it(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what is empty and came later, so that older bundles keep their bytes."""
        fields = dump(self)
        if not self.further:
            del fields["further"]
        if self.top_similarity is None:
            del fields["top_similarity"]
        return fields
