"""The bundle's table of contents: what is inside, who made it, what it promises."""

import hashlib
import json
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

SCHEMA_VERSION = 1
"""Raised whenever an older release could misread a manifest."""

Ratio = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
Cosine = Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileDigest(_Frozen):
    """What one file of the bundle must be, byte for byte."""

    sha256: Sha256
    size_bytes: Count


class OperatingPoint(_Frozen):
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


class FurtherPoint(_Frozen):
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


class Calibration(_Frozen):
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
    """

    target_precision: Share
    confidence: Share
    queries: Count
    validation_queries: Count
    data_sha256: Sha256
    operating_point: OperatingPoint | None
    explanation: str
    further: tuple[FurtherPoint, ...] = ()

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
        """Leave ``further`` out where it is empty, so that older bundles keep their bytes."""
        fields = dump(self)
        if not self.further:
            del fields["further"]
        return fields


class EncoderRecord(_Frozen):
    """The encoder inside the bundle.

    Attributes:
        base: name of the weights that training started from.
        dim: length of an embedding.
        max_tokens: longest text in tokens, special tokens included.
        precision: number format of the weights, for example ``fp32``.
        parity_max_error: largest difference of any embedding entry from PyTorch's.
    """

    base: str
    dim: Annotated[int, Field(ge=1)]
    max_tokens: Annotated[int, Field(ge=3)]
    precision: str
    parity_max_error: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class CatalogueRecord(_Frozen):
    """The catalogue inside the bundle.

    Attributes:
        products: number of products.
        product_text: columns whose values make the encoded text of a product.
        attributes: further columns, returned on request.
        index: family of the FAISS index, for example ``Flat``.
        trained_vectors: how many products are served by a vector that training gave them, in
            place of the embedding of their text.
    """

    products: Annotated[int, Field(ge=1)]
    product_text: tuple[str, ...]
    attributes: tuple[str, ...]
    index: str
    trained_vectors: Count = 0

    @model_serializer(mode="wrap")
    def _as_older_bundles_wrote_it(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave ``trained_vectors`` out where it is 0, so that older bundles keep their bytes."""
        fields = dump(self)
        if not self.trained_vectors:
            del fields["trained_vectors"]
        return fields


class TrainingRecord(_Frozen):
    """Where the weights come from."""

    config_sha256: Sha256
    data_sha256: Sha256
    seed: int
    epochs: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    commit: str | None


class GoldenTolerance(_Frozen):
    """How far a replayed golden example may be from the recorded one."""

    embedding: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    similarity: Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Manifest(_Frozen):
    """Everything a service must know before it opens the other files of a bundle."""

    schema_version: int
    normaliser_version: int
    release: str
    created_at: str
    encoder: EncoderRecord
    catalogue: CatalogueRecord
    training: TrainingRecord
    calibration: Calibration
    golden_tolerance: GoldenTolerance
    files: dict[str, FileDigest]
    digest: str = ""

    @property
    def bundle_id(self) -> str:
        """Return the short name of this very content: ``b-`` and twelve hex digits."""
        return f"b-{self.digest[:12]}"

    @property
    def operating_point(self) -> OperatingPoint | None:
        """Return the default promise of this bundle, or None where none could be made."""
        return self.calibration.operating_point

    @property
    def threshold(self) -> float | None:
        """Return the least similarity accepted by default, or None where nothing is."""
        return None if self.operating_point is None else self.operating_point.threshold

    @property
    def target_precisions(self) -> tuple[float, ...]:
        """Return the precisions that a caller may ask for, the default first."""
        return tuple(promise.target_precision for promise in self.calibration.promises)

    def promise_at(self, target_precision: float | None) -> FurtherPoint:
        """Return the promise of this precision, with its evidence or the reason for none.

        Args:
            target_precision: one of `target_precisions`; None is the default.

        Raises:
            KeyError: if the bundle was not built for this precision.
        """
        promises = {promise.target_precision: promise for promise in self.calibration.promises}
        if target_precision is None:
            return promises[self.calibration.target_precision]
        if target_precision not in promises:
            there = ", ".join(map(str, promises))
            message = (
                f"bundle {self.bundle_id} has no operating point for a precision of "
                f"{target_precision}, only for {there}; ask for one of these, or build the bundle "
                f"with --further-targets {target_precision}"
            )
            raise KeyError(message)
        return promises[target_precision]

    def point_at(self, target_precision: float | None) -> OperatingPoint | None:
        """Return the operating point of `promise_at`, or None where none could be made."""
        return self.promise_at(target_precision).operating_point

    def threshold_at(self, target_precision: float | None) -> float | None:
        """Return the least similarity accepted under `promise_at`, or None where nothing is."""
        point = self.point_at(target_precision)
        return None if point is None else point.threshold

    def sealed(self) -> "Manifest":
        """Return this manifest with its own digest filled in."""
        return self.model_copy(update={"digest": self.content_digest()})

    def content_digest(self) -> str:
        """Return the SHA-256 of everything in the manifest but the digest itself."""
        return hashlib.sha256(self.model_copy(update={"digest": ""}).to_bytes()).hexdigest()

    def to_bytes(self) -> bytes:
        """Return the one way this manifest is written: sorted, indented JSON in UTF-8."""
        fields = self.model_dump(mode="json")
        return (json.dumps(fields, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()
