"""Errors as clients see them: RFC 9457 problem documents with a stable ``code``."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from http import HTTPStatus

from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from service.worker import BusyError

MEDIA_TYPE = "application/problem+json"

NOT_READY_RETRY_SECONDS = 1


class Code(StrEnum):
    """What went wrong, for programs; a code never changes its meaning."""

    NOT_JSON = "not_json"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    BODY_TOO_LARGE = "body_too_large"
    INVALID_REQUEST = "invalid_request"
    BUSY = "busy"
    INTERNAL_ERROR = "internal_error"
    NOT_READY = "not_ready"

    @property
    def status(self) -> HTTPStatus:
        """Return the HTTP status that goes with this code, and with no other."""
        return _STATUS[self]


_STATUS = {
    Code.NOT_JSON: HTTPStatus.BAD_REQUEST,
    Code.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Code.METHOD_NOT_ALLOWED: HTTPStatus.METHOD_NOT_ALLOWED,
    Code.BODY_TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Code.INVALID_REQUEST: HTTPStatus.UNPROCESSABLE_ENTITY,
    Code.BUSY: HTTPStatus.TOO_MANY_REQUESTS,
    Code.INTERNAL_ERROR: HTTPStatus.INTERNAL_SERVER_ERROR,
    Code.NOT_READY: HTTPStatus.SERVICE_UNAVAILABLE,
}


class FieldError(BaseModel):
    """One thing that is wrong with a body."""

    model_config = ConfigDict(frozen=True)

    where: str = Field(description="path of the value, for example `queries[0].text`")
    what: str = Field(description="what it must be")


class Problem(BaseModel):
    """The body of every answer that is not a success."""

    model_config = ConfigDict(frozen=True)

    type: str = Field(default="about:blank", description="always `about:blank`; see `code`")
    title: str = Field(description="the phrase of the HTTP status")
    status: int = Field(description="the HTTP status")
    detail: str = Field(description="what was found, what was needed, what to do")
    code: Code
    errors: list[FieldError] | None = Field(
        default=None,
        exclude_if=lambda errors: errors is None,
        description="what is wrong with the body, value by value; the first few of many",
    )


class ProblemError(Exception):
    """A request that gets a problem document instead of what it asked for."""

    def __init__(
        self,
        code: Code,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})


def problem_response(error: ProblemError) -> Response:
    """Return the HTTP response of an error."""
    problem = Problem(
        title=error.code.status.phrase,
        status=error.code.status,
        detail=error.detail,
        code=error.code,
        errors=list(error.errors) or None,
    )
    return Response(
        problem.model_dump_json(),
        status_code=problem.status,
        media_type=MEDIA_TYPE,
        headers=error.headers,
    )


def not_ready(detail: str) -> ProblemError:
    """Return the error of a service that cannot answer yet, or no more."""
    return ProblemError(
        Code.NOT_READY, detail, headers={"Retry-After": str(NOT_READY_RETRY_SECONDS)}
    )


async def answer_error(request: Request, error: Exception) -> Response:
    """Return the answer to a request that ended in ``error``; a bug says nothing of itself."""
    return problem_response(_problem_of(request, error))


def _problem_of(request: Request, error: Exception) -> ProblemError:
    match error:
        case ProblemError():
            return error
        case BusyError():
            detail = "too many requests are waiting; come back after the seconds of Retry-After"
            retry_after = {"Retry-After": str(error.retry_after_seconds)}
            return ProblemError(Code.BUSY, detail, headers=retry_after)
        case HTTPException(status_code=HTTPStatus.NOT_FOUND):
            return ProblemError(Code.NOT_FOUND, "there is nothing at this path; see /docs")
        case HTTPException(status_code=HTTPStatus.METHOD_NOT_ALLOWED):
            detail = f"{request.method} is not allowed here; see Allow"
            return ProblemError(Code.METHOD_NOT_ALLOWED, detail, headers=error.headers)
        case _:
            detail = "the service failed on this request; report it with its X-Request-ID"
            return ProblemError(Code.INTERNAL_ERROR, detail)
