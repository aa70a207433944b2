"""The part of a run's settings that says what is minimised."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from training.config_fields import (
    Cosine,
    Count,
    NotNegative,
    Percentile,
    Positive,
    Ratio,
    Section,
    StartRatio,
)

Base = Literal["dexml", "ngame", "dexa", "prime"]
AUTO: Literal["auto"] = "auto"


class TripletSection(Section):
    """The triplet loss of ngame, dexa and prime; ``least_margin`` is prime's alone."""

    margin: Positive
    least_margin: Positive
    hardest: Count
    temperature: Positive

    @model_validator(mode="after")
    def _margins_in_order(self) -> Self:
        if self.least_margin > self.margin:
            message = f"least_margin {self.least_margin} must not exceed margin {self.margin}"
            raise ValueError(message)
        return self


class ProductSection(Section):
    """Vectors that products get beside their texts, in the bases dexa and prime."""

    clusters: Count
    frequent: Annotated[int, Field(ge=0)]
    start_ratio: StartRatio
    learning_rate: Positive
    regulariser_weight: NotNegative
    regulariser_margin: NotNegative


class FalseNegativeSection(Section):
    """Leave out negatives that beat a query's own positive by more than ``margin``."""

    drop: bool
    margin: Annotated[float, Field(ge=-2, le=2, allow_inf_nan=False)]


class TcmSection(Section):
    """The threshold-consistent margin beside the base objective; weight 0 turns it off."""

    weight: NotNegative
    positive_margin: Cosine | Literal["auto"]
    negative_margin: Cosine | Literal["auto"]
    positive_percentile: Percentile
    negative_percentile: Percentile
    without_gap: Literal["stop", "leave_out"]
    start_ratio: StartRatio
    warmup_ratio: Ratio

    @model_validator(mode="after")
    def _margins_leave_a_gap(self) -> Self:
        positive, negative = self.positive_margin, self.negative_margin
        if isinstance(positive, float) and isinstance(negative, float) and negative >= positive:
            message = f"negative_margin {negative} must be below positive_margin {positive}"
            raise ValueError(message)
        if self.weight > 0 and AUTO in (positive, negative) and self.start_ratio == 0:
            message = "an auto margin is taken from the steps before start_ratio, which is 0"
            raise ValueError(message)
        return self


class QueryLabelSection(Section):
    """ALC's query-label objective; weight 0 turns it off."""

    weight: NotNegative
    hardest: Count


class QueryBatchSection(Section):
    """ALC's query-batch objective; weight 0 turns it off."""

    weight: NotNegative
    form: Literal["listwise", "batch_aware", "attention"]
    hardest: Count


class HeadSection(Section):
    """The heads of both ALC objectives; they exist in training only.

    For the first ``warmup_ratio`` of the run a head learns from the embeddings as they are, and
    its gradient does not reach the encoder.
    """

    hidden: Count
    scaling: Literal["layer_norm", "root_dim", "none"]
    learning_rate: Positive
    warmup_ratio: Ratio


class ObjectiveSection(Section):
    """What is minimised: a base, and what is added to it."""

    base: Base
    temperature: Positive
    triplet: TripletSection
    products: ProductSection
    false_negatives: FalseNegativeSection
    tcm: TcmSection
    query_label: QueryLabelSection
    query_batch: QueryBatchSection
    heads: HeadSection
