"""Errors as clients see them: RFC 9457 problem documents with a stable ``code``."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from http import HTTPStatus

from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from service.access.bucket import RateLimitError
from service.access.door import NoKeyError, NotPermittedError
from service.batching.admission import BusyError
from service.batching.ticket import DeadlineError, StoppedError
from service.live.keeper import NoPreviousError, RefusedError

MEDIA_TYPE = "application/problem+json"

NOT_READY_RETRY_SECONDS = 1


class Code(StrEnum):
    """What went wrong, for programs; a code never changes its meaning."""

    NOT_JSON = "not_json"
    NO_KEY = "no_key"
    NOT_PERMITTED = "not_permitted"
    NOT_FOUND = "not_found"
    MODEL_NOT_FOUND = "model_not_found"
    UNKNOWN_PRODUCT = "unknown_product"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    NO_PREVIOUS = "no_previous"
    CHANGES_OFF = "changes_off"
    BODY_TOO_LARGE = "body_too_large"
    INVALID_REQUEST = "invalid_request"
    BUNDLE_REFUSED = "bundle_refused"
    BUSY = "busy"
    RATE_LIMITED = "rate_limited"
    INTERNAL_ERROR = "internal_error"
    ENCODER_FAILED = "encoder_failed"
    NOT_READY = "not_ready"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    CHANGES_NOT_KEPT = "changes_not_kept"

    @property
    def status(self) -> HTTPStatus:
        """Return the HTTP status that goes with this code, and with no other."""
        return _STATUS[self]


_STATUS = {
    Code.NOT_JSON: HTTPStatus.BAD_REQUEST,
    Code.NO_KEY: HTTPStatus.UNAUTHORIZED,
    Code.NOT_PERMITTED: HTTPStatus.FORBIDDEN,
    Code.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Code.MODEL_NOT_FOUND: HTTPStatus.NOT_FOUND,
    Code.METHOD_NOT_ALLOWED: HTTPStatus.METHOD_NOT_ALLOWED,
    Code.UNKNOWN_PRODUCT: HTTPStatus.NOT_FOUND,
    Code.NO_PREVIOUS: HTTPStatus.CONFLICT,
    Code.CHANGES_OFF: HTTPStatus.CONFLICT,
    Code.BODY_TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Code.INVALID_REQUEST: HTTPStatus.UNPROCESSABLE_ENTITY,
    Code.BUNDLE_REFUSED: HTTPStatus.UNPROCESSABLE_ENTITY,
    Code.BUSY: HTTPStatus.TOO_MANY_REQUESTS,
    Code.RATE_LIMITED: HTTPStatus.TOO_MANY_REQUESTS,
    Code.INTERNAL_ERROR: HTTPStatus.INTERNAL_SERVER_ERROR,
    Code.ENCODER_FAILED: HTTPStatus.INTERNAL_SERVER_ERROR,
    Code.NOT_READY: HTTPStatus.SERVICE_UNAVAILABLE,
    Code.DEADLINE_EXCEEDED: HTTPStatus.GATEWAY_TIMEOUT,
    Code.CHANGES_NOT_KEPT: HTTPStatus.INSUFFICIENT_STORAGE,
}


_OPENAI_TYPES = {
    HTTPStatus.UNAUTHORIZED: "authentication_error",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_error",
}
"""What OpenAI calls an error, by its status; others go by whose fault they are."""


_REFUSALS: Mapping[type[Exception], Code] = {
    NoKeyError: Code.NO_KEY,
    NotPermittedError: Code.NOT_PERMITTED,
    NoPreviousError: Code.NO_PREVIOUS,
    RefusedError: Code.BUNDLE_REFUSED,
    BusyError: Code.BUSY,
    RateLimitError: Code.RATE_LIMITED,
    StoppedError: Code.NOT_READY,
    DeadlineError: Code.DEADLINE_EXCEEDED,
}
"""Errors that say themselves what their client should know."""


class FieldError(BaseModel):
    """One thing that is wrong with a body."""

    model_config = ConfigDict(frozen=True)

    where: str = Field(description="path of the value, for example `queries[0].text`")
    what: str = Field(description="what it must be")


class OpenAiError(BaseModel):
    """The same error in the words that clients of OpenAI look for."""

    model_config = ConfigDict(frozen=True)

    message: str
    type: str = Field(
        description="invalid_request_error, authentication_error, rate_limit_error or server_error"
    )
    param: str | None = Field(description="the first value of the body that is wrong")
    code: str = Field(description="the code of the problem")


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
    error: OpenAiError | None = Field(
        default=None,
        exclude_if=lambda error: error is None,
        description="only of the routes below /v1, whose clients are those of OpenAI",
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


def problem_response(error: ProblemError, *, for_openai: bool = False) -> Response:
    """Return the HTTP response of an error, which clients of OpenAI can read as well."""
    problem = Problem(
        title=error.code.status.phrase,
        status=error.code.status,
        detail=error.detail,
        code=error.code,
        errors=list(error.errors) or None,
        error=_openai_error(error) if for_openai else None,
    )
    return Response(
        problem.model_dump_json(),
        status_code=problem.status,
        media_type=MEDIA_TYPE,
        headers=error.headers,
    )


def not_ready(detail: str) -> ProblemError:
    """Return the error of a service that cannot answer yet, or no more."""
    return ProblemError(Code.NOT_READY, detail, headers=_come_back(NOT_READY_RETRY_SECONDS))


def problem_of(request: Request, error: Exception) -> ProblemError:
    """Return the problem document that an error becomes; a bug says nothing of itself."""
    match error:
        case ProblemError():
            return error
        case HTTPException(status_code=HTTPStatus.NOT_FOUND):
            return ProblemError(Code.NOT_FOUND, "there is nothing at this path; see /docs")
        case HTTPException(status_code=HTTPStatus.METHOD_NOT_ALLOWED):
            detail = f"{request.method} is not allowed here; see Allow"
            return ProblemError(Code.METHOD_NOT_ALLOWED, detail, headers=error.headers)
        case _:
            return _refusal_of(error) or _bug()


def _refusal_of(error: Exception) -> ProblemError | None:
    """Return the problem of a request that was understood and is not answered."""
    code = _REFUSALS.get(type(error))
    if code is None:
        return None
    headers: dict[str, str] = {}
    if isinstance(error, BusyError | RateLimitError):
        headers = _come_back(error.retry_after_seconds)
    elif isinstance(error, StoppedError):
        headers = _come_back(NOT_READY_RETRY_SECONDS)
    elif isinstance(error, NoKeyError):
        headers = {"WWW-Authenticate": "Bearer"}
    return ProblemError(code, str(error), headers=headers)


def _openai_error(error: ProblemError) -> OpenAiError:
    return OpenAiError(
        message=error.detail,
        type=_OPENAI_TYPES.get(error.code.status, _other_openai_type(error.code.status)),
        param=error.errors[0].where if error.errors else None,
        code=error.code,
    )


def _other_openai_type(status: HTTPStatus) -> str:
    return "server_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"


def _bug() -> ProblemError:
    detail = "the service failed on this request; report it with its X-Request-ID"
    return ProblemError(Code.INTERNAL_ERROR, detail)


def _come_back(seconds: int) -> dict[str, str]:
    return {"Retry-After": str(seconds)}
