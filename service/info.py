"""Body of ``GET /info``: which bundle answers, what it promises, what may be asked of it."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from service.contract.manifest import EncoderRecord, Manifest
from service.contract.text import MAX_TEXT_CHARACTERS
from service.recommender import MAX_K
from service.schemas import MAX_FIELDS, MAX_ID_CHARACTERS
from service.serving import OpenBundle
from service.settings import Settings


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class CatalogueInfo(_Record):
    """The catalogue that answers come from."""

    products: int
    fields: Annotated[Sequence[str], Field(description="names that `fields` of a request may hold")]
    product_text: Annotated[
        Sequence[str], Field(description="columns that make the text of a product")
    ]
    index: str


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


class Limits(_Record):
    """The most that one request may hold."""

    body_bytes: int
    queries: int
    k: int
    text_characters: int
    id_characters: int
    fields: int
    tokens: Annotated[int, Field(description="a longer text is cut, and `truncated` says so")]


class Info(_Record):
    """What answers now."""

    bundle_id: str
    created_at: str
    release: str
    encoder: EncoderRecord
    catalogue: CatalogueInfo
    operating_point: Annotated[
        OperatingPointInfo | None,
        Field(description="null where nothing could be promised: every answer goes to review"),
    ]
    explanation: Annotated[
        str, Field(description="the promise in one sentence, or why there is none")
    ]
    limits: Limits


def info_of(bundle: OpenBundle, settings: Settings) -> Info:
    """Return what ``GET /info`` says of the open bundle."""
    manifest = bundle.manifest
    return Info(
        bundle_id=manifest.bundle_id,
        created_at=manifest.created_at,
        release=manifest.release,
        encoder=manifest.encoder,
        catalogue=CatalogueInfo(
            products=manifest.catalogue.products,
            fields=bundle.recommender.catalogue.fields,
            product_text=manifest.catalogue.product_text,
            index=manifest.catalogue.index,
        ),
        operating_point=_operating_point(manifest),
        explanation=manifest.calibration.explanation,
        limits=_limits(manifest, settings),
    )


def _operating_point(manifest: Manifest) -> OperatingPointInfo | None:
    point = manifest.operating_point
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


def _limits(manifest: Manifest, settings: Settings) -> Limits:
    return Limits(
        body_bytes=settings.max_body_bytes,
        queries=settings.max_queries,
        k=MAX_K,
        text_characters=MAX_TEXT_CHARACTERS,
        id_characters=MAX_ID_CHARACTERS,
        fields=MAX_FIELDS,
        tokens=manifest.encoder.max_tokens,
    )
