"""What a bundle says of its encoder, and of each form of it that was tried when it was built."""

from typing import Annotated, Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from service.contract.cpu import CpuKind
from service.contract.record import Count, Ratio, Record

_Error = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class VariantRecord(Record):
    """One form of the encoder, measured against fp32 on queries whose labels were not looked at.

    A figure is None where it was not measured; ``reason`` then says why.

    Attributes:
        precision: number format, as in `EncoderRecord`.
        method: how it was made.
        size_bytes: of its file.
        median_similarity_error: of the best product's similarity, over queries.
        max_similarity_error: likewise, the largest.
        recall_at_10: share of fp32's best ten products that are among its own best ten.
        changed_decisions: queries whose decision, or accepted product, is not fp32's.
        queries: how many were asked.
        speed_ratio: fp32's time for one text / its own, on the machine of the build.
        passed: whether it may stand in for fp32.
        reason: why, or why not, in words.
    """

    precision: str
    method: str
    size_bytes: Count
    median_similarity_error: _Error | None = None
    max_similarity_error: _Error | None = None
    recall_at_10: Ratio | None = None
    changed_decisions: Count | None = None
    queries: Count = 0
    speed_ratio: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    passed: bool
    reason: str

    @property
    def changed_share(self) -> float | None:
        """Return the share of the queries whose decision changed; None where not measured."""
        if self.changed_decisions is None or not self.queries:
            return None
        return self.changed_decisions / self.queries


class EncoderRecord(Record):
    """The encoder inside the bundle.

    Attributes:
        base: name of the weights that training started from.
        dim: length of an embedding.
        max_tokens: longest text in tokens, special tokens included.
        precision: number format of the weights: ``fp32``, ``fp16`` or ``int8``.
        parity_max_error: largest difference of any embedding entry of the fp32 export from
            PyTorch's.
        method: how another format than fp32 was made; empty for fp32.
        cpu: kind of the CPU that the bundle was built on; None where no other format was tried.
        variants: every form that was tried, the served one included; none where fp32 was asked.
    """

    base: str
    dim: Annotated[int, Field(ge=1)]
    max_tokens: Annotated[int, Field(ge=3)]
    precision: str
    parity_max_error: _Error
    method: str = ""
    cpu: CpuKind | None = None
    variants: tuple[VariantRecord, ...] = ()

    @model_serializer(mode="wrap")
    def _as_older_bundles_wrote_it(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what is empty, so that older bundles keep their bytes."""
        fields = dump(self)
        return {
            name: value
            for name, value in fields.items()
            if value or name not in ("method", "cpu", "variants")
        }
