"""The bundle's table of contents: what is inside, who made it, what it promises."""

import hashlib
import json
from typing import Annotated, Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from service.contract.calibration import Calibration, FurtherPoint, OperatingPoint
from service.contract.cpu import CpuKind
from service.contract.record import Count, Record, Sha256
from service.contract.retriever_record import RetrieverRecord
from service.contract.signals import DecidesOn, IdentifierKind, IdentifierRule, SignalsRecord
from service.contract.variants import EncoderRecord

SCHEMA_VERSION = 1
"""Raised whenever an older release could misread a manifest."""


class FileDigest(Record):
    """What one file of the bundle must be, byte for byte."""

    sha256: Sha256
    size_bytes: Count


class CatalogueRecord(Record):
    """The catalogue inside the bundle.

    Attributes:
        products: number of products.
        product_text: columns whose values make the encoded text of a product.
        attributes: further columns, returned on request.
        index: family of the FAISS index, for example ``Flat``.
        trained_vectors: how many products are served by a vector that training gave them, in
            place of the embedding of their text.
        retriever: how the index is searched, and what was measured of it; None in bundles of
            older releases, whose index is exact.
    """

    products: Annotated[int, Field(ge=1)]
    product_text: tuple[str, ...]
    attributes: tuple[str, ...]
    index: str
    trained_vectors: Count = 0
    retriever: RetrieverRecord | None = None

    @model_serializer(mode="wrap")
    def _as_older_bundles_wrote_it(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what is not there, so that older bundles keep their bytes."""
        fields = dump(self)
        if self.retriever is None:
            del fields["retriever"]
        if not self.trained_vectors:
            del fields["trained_vectors"]
        return fields


class TrainingRecord(Record):
    """Where the weights come from."""

    config_sha256: Sha256
    data_sha256: Sha256
    seed: int
    epochs: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    commit: str | None


class GoldenTolerance(Record):
    """How far a replayed golden example may be from the recorded one."""

    embedding: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    similarity: Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Manifest(Record):
    """Everything a service must know before it opens the other files of a bundle.

    Attributes:
        golden_tolerance: on every kind of CPU that ``golden_tolerance_by_cpu`` does not name.
    """

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
    golden_tolerance_by_cpu: dict[CpuKind, GoldenTolerance] = Field(default_factory=dict)
    digest: str = ""
    signals: SignalsRecord | None = None

    def golden_tolerance_on(self, cpu: CpuKind) -> GoldenTolerance:
        """Return how far answers may be from the recorded ones on this kind of CPU."""
        return self.golden_tolerance_by_cpu.get(cpu, self.golden_tolerance)

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

    @property
    def decides_on(self) -> DecidesOn:
        """Return what orders the answers and is held against the threshold."""
        return DecidesOn.SIMILARITY if self.signals is None else self.signals.decides_on

    @property
    def has_lexical_index(self) -> bool:
        """Return whether a lexical index is part of the bundle."""
        return self.signals is not None and self.signals.lexical is not None

    def rules_at(self, target_precision: float | None) -> dict[IdentifierKind, IdentifierRule]:
        """Return what happens to answers found by an identifier under `promise_at`."""
        if self.signals is None:
            return {}
        return self.signals.rules_at(self.promise_at(target_precision).target_precision)

    def coverage_at(self, target_precision: float | None) -> float:
        """Return what `promise_at` accepts of the calibration queries, in [0, 1]."""
        promise = self.promise_at(target_precision)
        points = () if self.signals is None else self.signals.points_at(promise.target_precision)
        named = sum(point.matches for point in points if point.is_accepted)
        accepted = 0 if promise.operating_point is None else promise.operating_point.accepted
        return (accepted + named) / max(self.calibration.queries, 1)

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

    @model_serializer(mode="wrap")
    def _as_older_bundles_wrote_it(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what is empty and came later, so that older bundles keep their bytes."""
        fields = dump(self)
        if not self.golden_tolerance_by_cpu:
            del fields["golden_tolerance_by_cpu"]
        if self.signals is None:
            del fields["signals"]
        return fields
