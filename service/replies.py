"""From a checked request to the bytes of its response; runs in a worker thread."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.catalogue import Catalogue
from service.recommender import Answer, StageClock
from service.schemas import Query, RecommendedProduct, RecommendRequest, RecommendResponse, Result
from service.serving import OpenBundle


@dataclass(frozen=True)
class Reply:
    """The bytes of a response with the answers that they tell."""

    content: bytes
    answers: Sequence[Answer]


def reply_to(asked: RecommendRequest, *, bundle: OpenBundle, clock: StageClock) -> Reply:
    """Return the response to a request whose ``fields`` are all known to the catalogue."""
    texts = [query.text for query in asked.queries]
    answers = bundle.recommender.recommend(texts, k=asked.k, clock=clock)
    fields = tuple(asked.fields or ())
    response = RecommendResponse(
        bundle_id=bundle.manifest.bundle_id,
        results=[
            _result(query, answer, bundle.recommender.catalogue, fields)
            for query, answer in zip(asked.queries, answers, strict=True)
        ],
    )
    return Reply(content=response.model_dump_json().encode(), answers=answers)


def _result(query: Query, answer: Answer, catalogue: Catalogue, fields: Sequence[str]) -> Result:
    return Result(
        id=query.id,
        decision=answer.decision,
        reason=answer.reason,
        truncated=answer.truncated,
        recommendations=[
            RecommendedProduct(
                product_id=found.product_id,
                title=found.title,
                similarity=found.similarity,
                fields=dict(catalogue.values(found.row, fields)) if fields else None,
            )
            for found in answer.recommendations
        ],
    )
