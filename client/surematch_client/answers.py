"""From the JSON of an answer to its value; each raises `InvalidResponseError` if it is another."""

from collections.abc import Sequence
from enum import StrEnum
from typing import TypeVar

from surematch_client.errors import InvalidResponseError
from surematch_client.json_object import ADVICE, JsonObject
from surematch_client.models import (
    Decision,
    Embedding,
    EmbedResponse,
    Info,
    Limits,
    OperatingPoint,
    Query,
    Reason,
    Recommendation,
    RecommendResponse,
    Result,
    SwapResponse,
    SwapStatus,
)

E = TypeVar("E", bound=StrEnum)


def recommend_response_of(value: object, asked: Sequence[Query]) -> RecommendResponse:
    """Return the results of ``asked``; they must be as many, with the same ids."""
    body = JsonObject(value, "body")
    bundle_id = body.text("bundle_id")
    results = tuple(_result_of(each, bundle_id) for each in body.objects("results"))
    _check_number(len(results), len(asked))
    if [each.id for each in results] != [each.id for each in asked]:
        message = f"the ids of the results are not those of the queries, in their order; {ADVICE}"
        raise InvalidResponseError(message)
    return RecommendResponse(bundle_id=bundle_id, results=results)


def embed_response_of(value: object, texts: int) -> EmbedResponse:
    """Return the embeddings of so many texts."""
    body = JsonObject(value, "body")
    dim = body.count("dim")
    results = tuple(_embedding_of(each, dim) for each in body.objects("results"))
    _check_number(len(results), texts)
    return EmbedResponse(bundle_id=body.text("bundle_id"), dim=dim, results=results)


def info_of(value: object) -> Info:
    """Return what ``GET /info`` says."""
    body = JsonObject(value, "body")
    point = body.part_or_none("operating_point")
    return Info(
        bundle_id=body.text("bundle_id"),
        operating_point=None if point is None else _operating_point_of(point),
        explanation=body.text("explanation"),
        limits=_limits_of(body.part("limits")),
        raw=body.values,
    )


def swap_response_of(value: object) -> SwapResponse:
    """Return what became of a swap or a roll-back."""
    body = JsonObject(value, "body")
    return SwapResponse(
        status=_known(SwapStatus, body.text("status")),
        bundle_id=body.text("bundle_id"),
        seconds=body.number("seconds"),
    )


def ready_of(value: object) -> str:
    """Return the id of the bundle that is ready to answer."""
    return JsonObject(value, "body").text("bundle_id")


def _result_of(one: JsonObject, bundle_id: str) -> Result:
    result = Result(
        id=one.name("id"),
        decision=_decision_of(one),
        reason=_known(Reason, one.text("reason")),
        truncated=one.flag("truncated"),
        recommendations=tuple(map(_recommendation_of, one.objects("recommendations"))),
        bundle_id=bundle_id,
        target_precision=one.number_or_none("target_precision"),
        identifier=one.text_or_none("identifier"),
    )
    if result.is_auto_accepted and not result.recommendations:
        message = f"a result is auto_accepted and recommends nothing; {ADVICE}"
        raise InvalidResponseError(message)
    return result


def _recommendation_of(one: JsonObject) -> Recommendation:
    fields = one.part_or_none("fields")
    return Recommendation(
        product_id=one.text("product_id"),
        title=one.text("title"),
        similarity=one.number("similarity"),
        fields=None if fields is None else {key: fields.text_or_none(key) for key in fields.values},
        score=one.number_or_none("score"),
        matched_by=one.text_or_none("matched_by"),
    )


def _embedding_of(one: JsonObject, dim: int) -> Embedding:
    values = one.numbers_or_none("embedding")
    reason = one.text_or_none("reason")
    if values is not None and len(values) != dim:
        message = f"an embedding has {len(values)} values, needed are {dim}; {ADVICE}"
        raise InvalidResponseError(message)
    return Embedding(
        values=values,
        truncated=one.flag("truncated"),
        reason=None if reason is None else _known(Reason, reason),
    )


def _operating_point_of(one: JsonObject) -> OperatingPoint:
    return OperatingPoint(
        threshold=one.number("threshold"),
        target_precision=one.number("target_precision"),
        confidence=one.number("confidence"),
        coverage=one.number("coverage"),
    )


def _limits_of(one: JsonObject) -> Limits:
    return Limits(
        body_bytes=one.count("body_bytes"),
        queries=one.count("queries"),
        k=one.count("k"),
        text_characters=one.count("text_characters"),
        tokens=one.count("tokens"),
    )


def _decision_of(one: JsonObject) -> Decision:
    text = one.text("decision")
    try:
        return Decision(text)
    except ValueError:  # what it means for the first recommendation cannot be guessed
        message = f"decision of the answer is none that this client knows; {ADVICE}"
        raise InvalidResponseError(message) from None


def _known(kind: type[E], text: str) -> E | str:
    return next((each for each in kind if each == text), text)


def _check_number(found: int, needed: int) -> None:
    if found != needed:
        message = f"the answer holds {found} results, needed are {needed}; {ADVICE}"
        raise InvalidResponseError(message)
