"""Body of ``GET /info``: which bundle answers, what it promises, what may be asked of it."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from service.contract.cpu import CpuKind
from service.contract.manifest import FurtherPoint, Manifest, OperatingPoint
from service.contract.retriever_record import RetrieverRecord
from service.contract.signals import DecidesOn, IdentifierColumn
from service.contract.text import MAX_TEXT_CHARACTERS
from service.contract.variants import VariantRecord
from service.encoder import Encoder
from service.generation import Generation
from service.onnx_session import Device
from service.recommender import MAX_K
from service.schemas import MAX_FIELDS, MAX_ID_CHARACTERS, MAX_LINE_BYTES
from service.settings import Settings


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class EncoderInfo(_Record):
    """The encoder that answers, and what was measured of every form of it that was tried."""

    base: str
    dim: int
    max_tokens: int
    precision: Annotated[str, Field(description="fp32, fp16 or int8")]
    parity_max_error: Annotated[
        float, Field(description="of an entry of an fp32 embedding, against PyTorch's")
    ]
    method: Annotated[str, Field(description="how it was made from fp32; empty for fp32 itself")]
    cpu: Annotated[
        CpuKind | None, Field(description="of the build; null where no other form was tried")
    ]
    variants: Annotated[
        Sequence[VariantRecord], Field(description="each measured against fp32, without labels")
    ]


class CatalogueInfo(_Record):
    """The catalogue that answers come from."""

    products: Annotated[int, Field(description="that can be recommended now")]
    newer_products: Annotated[
        int, Field(description="of these, put since the calibration; see /products")
    ]
    newer_ratio: Annotated[float, Field(description="newer_products / products")]
    removed_products: Annotated[
        int, Field(description="in the index and never recommended: replaced, or deleted")
    ]
    pending_products: Annotated[
        int, Field(description="put, and waiting for the encoder of a new bundle")
    ]
    fields: Annotated[Sequence[str], Field(description="names that `fields` of a request may hold")]
    product_text: Annotated[
        Sequence[str], Field(description="columns that make the text of a product")
    ]
    index: str
    retriever: Annotated[
        RetrieverRecord | None,
        Field(description="how the index is searched and what was measured at its build"),
    ]


class OperatingPointInfo(_Record):
    """The threshold, and the evidence that accepted answers are as precise as promised."""

    threshold: Annotated[float, Field(description="least similarity that is auto-accepted")]
    target_precision: Annotated[
        float, Field(description="share of auto-accepted answers that is promised to be right")
    ]
    confidence: Annotated[
        float, Field(description="probability, over calibration sets, that the promise holds")
    ]
    queries: Annotated[int, Field(description="calibration queries asked")]
    accepted: Annotated[int, Field(description="of these, how many reach the threshold")]
    wrong: Annotated[int, Field(description="of the accepted, how many were wrong")]
    coverage: Annotated[float, Field(description="accepted / queries")]
    precision: Annotated[float, Field(description="1 - wrong / accepted")]
    precision_lower_bound: Annotated[
        float, Field(description="Clopper-Pearson lower bound of the precision at `confidence`")
    ]


class PromiseInfo(_Record):
    """One precision that the bundle was asked to promise."""

    target_precision: float
    operating_point: Annotated[
        OperatingPointInfo | None, Field(description="null where it could not be promised")
    ]
    explanation: str


class BatchInfo(_Record):
    """How texts share the encoder; measured when it warmed up."""

    max_tokens: Annotated[int, Field(description="padding included; a longer text goes alone")]
    max_texts: Annotated[
        int, Field(description="1 where the encoder's numbers depend on a text's neighbours")
    ]
    tokens_per_second: Annotated[
        float | None, Field(description="of one worker at that size; null before it was measured")
    ]
    device: Device


class Limits(_Record):
    """The most that one request may hold."""

    body_bytes: int
    queries: int
    k: int
    text_characters: int
    id_characters: int
    fields: int
    tokens: Annotated[int, Field(description="a longer text is cut, and `truncated` says so")]
    interactive_queries: Annotated[
        int, Field(description="bodies of more queries wait in a lane of their own")
    ]
    stream_bytes: int
    stream_line_bytes: int
    streams: Annotated[int, Field(description="streams of lines under way at a time")]
    deadline_seconds: Annotated[
        float, Field(description="time of a request that sends no X-Request-Deadline-Ms")
    ]


class Info(_Record):
    """What answers now."""

    bundle_id: str
    created_at: str
    release: str
    encoder: EncoderInfo
    catalogue: CatalogueInfo
    operating_point: Annotated[
        OperatingPointInfo | None,
        Field(description="null where nothing could be promised: every answer goes to review"),
    ]
    decides_on: Annotated[
        DecidesOn, Field(description="what orders the answers and is held against the threshold")
    ]
    identifiers: Annotated[
        Sequence[IdentifierColumn],
        Field(description="columns whose identifiers are looked up; none where it is empty"),
    ]
    explanation: Annotated[
        str, Field(description="the promise in one sentence, or why there is none")
    ]
    target_precision: Annotated[
        float, Field(description="the promise under which this caller's answers are decided")
    ]
    promises: Annotated[
        Sequence[PromiseInfo],
        Field(description="every promise of the bundle, each by itself; the default first"),
    ]
    batch: BatchInfo
    limits: Limits


def info_of(generation: Generation, settings: Settings, *, target_precision: float) -> Info:
    """Return what ``GET /info`` says of the open bundle to a caller with this promise."""
    bundle, counts = generation.bundle, generation.counts
    manifest = bundle.manifest
    promise = manifest.promise_at(target_precision)
    return Info(
        bundle_id=manifest.bundle_id,
        created_at=manifest.created_at,
        release=manifest.release,
        encoder=EncoderInfo(**dict(manifest.encoder)),
        catalogue=CatalogueInfo(
            products=counts.products,
            newer_products=counts.newer,
            newer_ratio=counts.newer_ratio,
            removed_products=counts.removed,
            pending_products=counts.pending,
            fields=bundle.recommender.catalogue.fields,
            product_text=manifest.catalogue.product_text,
            index=manifest.catalogue.index,
            retriever=manifest.catalogue.retriever,
        ),
        operating_point=_operating_point(promise.operating_point),
        decides_on=manifest.decides_on,
        identifiers=manifest.signals.identifiers if manifest.signals else (),
        explanation=promise.explanation,
        target_precision=target_precision,
        promises=[_promise(promise) for promise in manifest.calibration.promises],
        batch=_batch(bundle.recommender.encoder),
        limits=_limits(manifest, settings),
    )


def _promise(promise: FurtherPoint) -> PromiseInfo:
    return PromiseInfo(
        target_precision=promise.target_precision,
        operating_point=_operating_point(promise.operating_point),
        explanation=promise.explanation,
    )


def _operating_point(point: OperatingPoint | None) -> OperatingPointInfo | None:
    if point is None:
        return None
    return OperatingPointInfo(
        threshold=point.threshold,
        target_precision=point.target_precision,
        confidence=point.confidence,
        queries=point.queries,
        accepted=point.accepted,
        wrong=point.wrong,
        coverage=point.coverage,
        precision=point.precision,
        precision_lower_bound=point.precision_lower_bound,
    )


def _batch(encoder: Encoder) -> BatchInfo:
    return BatchInfo(
        max_tokens=encoder.budget.tokens,
        max_texts=encoder.max_texts,
        tokens_per_second=encoder.budget.tokens_per_second,
        device=encoder.device,
    )


def _limits(manifest: Manifest, settings: Settings) -> Limits:
    return Limits(
        body_bytes=settings.max_body_bytes,
        queries=settings.max_queries,
        k=MAX_K,
        text_characters=MAX_TEXT_CHARACTERS,
        id_characters=MAX_ID_CHARACTERS,
        fields=MAX_FIELDS,
        tokens=manifest.encoder.max_tokens,
        interactive_queries=settings.interactive_queries,
        stream_bytes=settings.max_stream_bytes,
        stream_line_bytes=MAX_LINE_BYTES,
        streams=settings.max_streams,
        deadline_seconds=settings.deadline_seconds,
    )
