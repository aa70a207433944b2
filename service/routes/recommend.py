"""``POST /recommend``: the best products of each query, and whether the first may go out alone."""

import asyncio

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.access.keys import Scope
from service.answering import Call
from service.batching.engines import RecommendAsk
from service.batching.work import Lane
from service.bodies import (
    parse_recommend_request,
    refuse_unknown_fields,
    refuse_unknown_filter,
)
from service.calls import admit, begin_call, note_size, read_in_time, while_wanted
from service.generation import Generation
from service.openapi import ANSWERING_ERRORS, RECOMMEND_BODY, documented
from service.recommender import Answer
from service.replies import reply_of
from service.schemas import RecommendRequest, RecommendResponse
from service.serving import Serving, serving_of

INLINE_RECOMMENDATIONS = 2000
"""A reply of more recommendations is written in a thread, so that the loop stays free."""

router = APIRouter()


@router.post(
    "/recommend",
    response_model=RecommendResponse,
    openapi_extra=RECOMMEND_BODY,
    responses=documented(*ANSWERING_ERRORS),
)
async def recommend(request: Request) -> Response:
    """Match each query to products and say which matches a person must check.

    The header `X-Request-Deadline-Ms` says after how many milliseconds from its arrival the answer
    is of no more use: work on it stops, and the answer is 504 `deadline_exceeded`.
    """
    serving = serving_of(request)
    caller = admit(request, serving, Scope.RECOMMEND)
    generation = serving.opened()
    call = begin_call(request, serving)
    serving.refuse_if_full(Lane.INTERACTIVE, Lane.BULK)
    body = await read_in_time(request, call, max_bytes=serving.settings.max_body_bytes)
    asked = parse_recommend_request(body, max_queries=serving.settings.max_queries)
    refuse_unknown_fields(asked.fields or (), generation.bundle.recommender.catalogue.fields)
    refuse_unknown_filter(asked.wanted, generation.bundle.recommender.catalogue.fields)
    note_size(request, call, serving, queries=len(asked.queries))
    serving.refuse_if_full(call.lane)
    serving.door.spend(caller, len(asked.queries))
    target = generation.target_of(caller.target_precision)
    with while_wanted(request, call):
        answers = await _answers(asked, serving, generation, call, target)
    call.check("decide")
    content = await _written(asked, answers, generation, target)
    serving.metrics.count_answers(answers, target_precision=target)
    serving.metrics.time_stages(call.clock.seconds)
    return Response(content, media_type="application/json")


async def _answers(
    asked: RecommendRequest, serving: Serving, generation: Generation, call: Call, target: float
) -> list[Answer]:
    return await serving.answering.recommend(
        [query.text for query in asked.queries],
        generation=generation,
        ask=RecommendAsk(
            asked.k, generation.thresholds[target], asked.wanted, generation.rules[target]
        ),
        call=call,
        target_precision=target,
        given=[query.given for query in asked.queries],
    )


async def _written(
    asked: RecommendRequest, answers: list[Answer], generation: Generation, target: float
) -> bytes:
    """Return the bytes of the response."""
    if sum(len(answer.recommendations) for answer in answers) <= INLINE_RECOMMENDATIONS:
        return reply_of(asked, answers, generation.bundle, target)
    return await asyncio.to_thread(reply_of, asked, answers, generation.bundle, target)
