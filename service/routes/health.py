"""Routes for operators: health, what is served, and metrics."""

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from pydantic import BaseModel
from starlette.responses import PlainTextResponse, Response

from service.access.keys import Scope
from service.calls import admit
from service.info import Info, info_of
from service.openapi import documented
from service.problems import Code, ProblemError, not_ready
from service.serving import serving_of

router = APIRouter()


class Alive(BaseModel):
    """The process answers."""

    status: str = "alive"


class Ready(BaseModel):
    """The bundle is open and gives its recorded answers."""

    status: str = "ready"
    bundle_id: str


@router.get("/livez", responses=documented(Code.INTERNAL_ERROR))
async def livez(request: Request) -> Alive:
    """Say that the process answers; a failure here means it must be started again."""
    if serving_of(request).is_beyond_help:
        detail = "every worker that took work got stuck; start the process again"
        raise ProblemError(Code.INTERNAL_ERROR, detail)
    return Alive()


@router.get("/readyz", responses=documented(Code.NOT_READY))
async def readyz(request: Request) -> Ready:
    """Say that requests may be sent here, after work that was done; else send them elsewhere."""
    serving = serving_of(request)
    if serving.is_draining:
        detail = "the service is about to stop; send requests elsewhere"
        raise not_ready(detail)
    if serving.generation is None and (reason := serving.why_no_bundle()):
        detail = f"no bundle can be served yet: {reason}"
        raise not_ready(detail)
    generation = serving.opened()
    if not await serving.is_working(generation):
        detail = "no work comes to an end here; send requests elsewhere"
        raise not_ready(detail)
    return Ready(bundle_id=generation.manifest.bundle_id)


@router.get("/info", responses=documented(Code.NO_KEY, Code.NOT_PERMITTED, Code.NOT_READY))
async def info(request: Request) -> Info:
    """Say which bundle answers, what it promises this caller and what may be asked of it."""
    serving = serving_of(request)
    caller = admit(request, serving, Scope.RECOMMEND)
    generation = serving.opened()
    target = generation.target_of(caller.target_precision)
    return info_of(generation, serving.settings, target_precision=target)


@router.get(
    "/metrics",
    response_class=PlainTextResponse,
    responses={200: {"description": "Every metric in the text format of Prometheus."}},
)
async def metrics(request: Request) -> Response:
    """Return the metrics for Prometheus."""
    content = serving_of(request).metrics.render()
    return Response(content, media_type=CONTENT_TYPE_PLAIN_0_0_4)
