"""The routes: recommendations, health, what is served, and metrics."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from pydantic import BaseModel
from starlette.responses import PlainTextResponse, Response

from service.bodies import invalid_request, read_recommend_request, unknown_fields
from service.info import Info, info_of
from service.openapi import RECOMMEND_BODY, documented
from service.problems import Code, not_ready
from service.recommender import StageClock
from service.replies import reply_to
from service.schemas import RecommendResponse
from service.serving import Serving, serving_of

ServingDep = Annotated[Serving, Depends(serving_of)]

router = APIRouter()


class Alive(BaseModel):
    """The process answers."""

    status: str = "alive"


class Ready(BaseModel):
    """The bundle is open and gives its recorded answers."""

    status: str = "ready"
    bundle_id: str


@router.post(
    "/recommend",
    response_model=RecommendResponse,
    openapi_extra=RECOMMEND_BODY,
    responses=documented(
        Code.NOT_JSON,
        Code.BODY_TOO_LARGE,
        Code.INVALID_REQUEST,
        Code.BUSY,
        Code.INTERNAL_ERROR,
        Code.NOT_READY,
    ),
)
async def recommend(request: Request, serving: ServingDep) -> Response:
    """Match each query to products and say which matches a person must check."""
    bundle = serving.opened()
    asked = await read_recommend_request(
        request,
        max_bytes=serving.settings.max_body_bytes,
        max_queries=serving.settings.max_queries,
    )
    if unknown := unknown_fields(asked.fields or (), bundle.recommender.catalogue.fields):
        raise invalid_request(unknown)
    request.state.queries = len(asked.queries)
    clock = StageClock()
    call = partial(reply_to, asked, bundle=bundle, clock=clock)
    reply = await serving.workers.run(call, queries=len(asked.queries), clock=clock)
    serving.metrics.count_answers(reply.answers)
    serving.metrics.time_stages(clock.seconds)
    return Response(reply.content, media_type="application/json")


@router.get("/livez")
async def livez() -> Alive:
    """Say that the process answers; a failure here means it must be started again."""
    return Alive()


@router.get("/readyz", responses=documented(Code.NOT_READY))
async def readyz(serving: ServingDep) -> Ready:
    """Say that requests may be sent here; a failure means to send them elsewhere."""
    if serving.is_draining:
        detail = "the service is about to stop; send requests elsewhere"
        raise not_ready(detail)
    return Ready(bundle_id=serving.opened().manifest.bundle_id)


@router.get("/info", responses=documented(Code.NOT_READY))
async def info(serving: ServingDep) -> Info:
    """Say which bundle answers, what it promises and what may be asked of it."""
    return info_of(serving.opened(), serving.settings)


@router.get(
    "/metrics",
    response_class=PlainTextResponse,
    responses={200: {"description": "Every metric in the text format of Prometheus."}},
)
async def metrics(serving: ServingDep) -> Response:
    """Return the metrics for Prometheus."""
    return Response(serving.metrics.render(), media_type=CONTENT_TYPE_PLAIN_0_0_4)
