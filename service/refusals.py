"""The answer to a request that ends in an error, counted by its reason."""

from collections.abc import Mapping
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from service.access.bucket import RateLimitError
from service.access.door import NoKeyError, NotPermittedError
from service.batching.admission import BusyError
from service.batching.ticket import DeadlineError, StoppedError
from service.live.outcomes import NoPreviousError, RefusedError
from service.metrics import ROUTES, Metrics
from service.problems import Code, ProblemError, problem_of, problem_response
from service.serving import serving_of

OPENAI_PATHS = "/v1/"
"""How the paths begin whose errors clients of OpenAI must be able to read."""
ANSWERED_ERRORS = (
    *(ProblemError, HTTPException, BusyError, DeadlineError, StoppedError),
    *(NoKeyError, NotPermittedError, RateLimitError, RefusedError, NoPreviousError),
)
"""Errors that are an answer; every other one is a bug."""

_REASONS: Mapping[Code, str] = {
    Code.NO_KEY: "auth",
    Code.NOT_PERMITTED: "scope",
    Code.BODY_TOO_LARGE: "payload",
    Code.RATE_LIMITED: "rate",
    Code.NOT_READY: "not_ready",
}
"""Refusals before any work on a request, as the metrics name them."""


async def answer_error(request: Request, error: Exception) -> Response:
    """Return the answer to a request of an app that ended in ``error``."""
    response = refuse(request, error, serving_of(request).metrics)
    if response.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        response.headers["Allow"] = _allowed(request)
    return response


def refuse(request: Request, error: Exception, metrics: Metrics) -> Response:
    """Return the answer to a request that ended in ``error``, and count it."""
    problem = problem_of(request, error)
    count_error(metrics, error, problem.code)
    return problem_response(problem, for_openai=request.url.path.startswith(OPENAI_PATHS))


def count_error(metrics: Metrics, error: Exception, code: Code) -> None:
    """Count an error by why nothing was answered; bugs and wrong bodies have no series."""
    match error:
        case BusyError():
            metrics.count_rejection(error.reason)
        case DeadlineError():
            metrics.count_deadline(error.stage)
        case _ if code in _REASONS:
            metrics.count_rejection(_REASONS[code])
        case _:
            pass


def _allowed(request: Request) -> str:
    """Return the methods of a path; Starlette names those of its first route alone."""
    template = getattr(request.scope.get("route"), "path_format", None)
    return ", ".join(sorted(method for method, path in ROUTES if path == template))
