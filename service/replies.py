"""From the answers of a request to the bytes of its response."""

from collections.abc import Sequence

from service.catalogue import ServedProducts
from service.opening import OpenBundle
from service.recommender import Answer
from service.schemas import Query, RecommendedProduct, RecommendRequest, RecommendResponse, Result


def reply_of(
    asked: RecommendRequest, answers: Sequence[Answer], bundle: OpenBundle, target_precision: float
) -> bytes:
    """Return the response to a request whose ``fields`` are all known to the catalogue."""
    response = RecommendResponse(
        bundle_id=bundle.manifest.bundle_id,
        results=[
            result_of(
                query,
                answer,
                bundle.recommender.catalogue,
                target_precision=target_precision,
                fields=asked.fields or (),
            )
            for query, answer in zip(asked.queries, answers, strict=True)
        ],
    )
    return response.model_dump_json().encode()


def result_of(
    query: Query,
    answer: Answer,
    catalogue: ServedProducts,
    *,
    target_precision: float,
    fields: Sequence[str],
) -> Result:
    """Return what one query gets."""
    return Result(
        id=query.id,
        decision=answer.decision,
        reason=answer.reason,
        target_precision=target_precision,
        truncated=answer.truncated,
        identifier=answer.identifier,
        recommendations=[
            RecommendedProduct(
                product_id=found.product_id,
                title=found.title,
                similarity=found.similarity,
                score=found.score,
                matched_by=found.matched_by,
                fields=dict(catalogue.values(found.row, fields)) if fields else None,
            )
            for found in answer.recommendations
        ],
    )
