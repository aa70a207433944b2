"""``POST /recommend/stream``: one query a line, any number of them, answered while they come."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.access.keys import Scope
from service.batching.work import Lane
from service.bodies import check_shape, refuse_announced, refuse_unknown_fields
from service.calls import admit, begin_call
from service.line_schemas import StreamOptions
from service.openapi import STREAM_BODY, STREAM_ERRORS, STREAM_RESPONSE, documented
from service.serving import serving_of
from service.streaming.chunks import StreamTerms
from service.streaming.response import LinesResponse

router = APIRouter()


@router.post(
    "/recommend/stream",
    response_class=Response,
    openapi_extra=STREAM_BODY,
    responses={200: STREAM_RESPONSE, **documented(*STREAM_ERRORS)},
)
async def recommend_stream(request: Request) -> Response:
    """Match the query on each line while more of them come; a bad line harms no other.

    For what is too large for one body of /recommend. Lines are answered in order, each as soon as
    it can be: a client may send all of them before it reads, or wait for one answer before it
    sends the next. A busy service is waited for, and so is the rate of a key, against which every
    line counts that is not blank. The header `X-Request-Deadline-Ms` says how long a line may take
    once it has come, and how long the client may neither send nor read; the stream as a whole may
    take any time.
    """
    serving = serving_of(request)
    caller = admit(request, serving, Scope.RECOMMEND)
    generation = serving.opened()
    call = begin_call(request, serving)
    parameters = {name: request.query_params.getlist(name) for name in request.query_params}
    options = check_shape(StreamOptions, parameters)
    refuse_unknown_fields(options.fields, generation.bundle.recommender.catalogue.fields)
    refuse_announced(request, max_bytes=serving.settings.max_stream_bytes)
    serving.refuse_if_full(Lane.BULK)
    seconds = call.deadline - call.arrived
    return LinesResponse(StreamTerms(request, serving, caller, generation, options, seconds))
