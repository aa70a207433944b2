"""What went wrong in an exchange, as an error."""

import re
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import cast

import httpx

from surematch_client import errors
from surematch_client.json_object import ADVICE, JsonObject, parse_json

MAX_DETAIL_CHARACTERS = 500
BUNDLE_REFUSED = "bundle_refused"

_CLASSES: dict[int, type[errors.ApiError]] = {
    400: errors.InvalidRequestError,
    401: errors.AuthenticationError,
    403: errors.PermissionDeniedError,
    413: errors.InvalidRequestError,
    422: errors.InvalidRequestError,
    429: errors.BusyError,
    503: errors.NotReadyError,
    504: errors.DeadlineError,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A response that has come in whole."""

    status: int
    headers: httpx.Headers
    body: bytes

    @property
    def is_success(self) -> bool:
        """Whether the service did what it was asked."""
        return httpx.codes.is_success(self.status)


def api_error_of(answer: Answer, *, now: float) -> errors.ApiError:
    """Return the error that an answer tells; one that is no problem document goes by its status.

    Args:
        answer: whatever came back, from the service or from a proxy.
        now: seconds since the epoch, for a ``Retry-After`` that names a date.
    """
    problem = _problem_in(answer)
    code = _text(problem, "code") or f"http_{answer.status}"
    kind = _class_of(answer.status)
    if code == BUNDLE_REFUSED:
        kind = errors.BundleRefusedError
    return kind(
        code,
        answer.status,
        _detail(problem, answer),
        _field_errors(problem),
        answer.headers.get("x-request-id"),
        retry_after_seconds(answer.headers, now=now),
    )


def retry_after_seconds(headers: httpx.Headers, *, now: float) -> float | None:
    """Return how long the sender asks to wait, from 0; None where it does not say, or not clearly.

    A date counts from the answer's own ``Date``, so that our clock need not be right.
    """
    asked = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", asked):
        return float(asked)
    until = _seconds_of(asked)
    sent = _seconds_of(headers.get("date", ""))
    return None if until is None else max(0.0, until - (now if sent is None else sent))


def transport_error_of(error: httpx.RequestError) -> errors.SurematchClientError:
    """Return our word for an exchange that httpx could not bring to its end."""
    where = _where(error.request.url)
    what = str(error) or type(error).__name__
    match error:
        case httpx.ConnectError() | httpx.ConnectTimeout() | httpx.ProxyError():
            message = f"{where} cannot be reached ({what}); check the address, or try again later"
            return errors.UnreachableError(message)
        case httpx.TimeoutException():
            message = f"{where} did not answer in the time granted ({what}); grant more"
            return errors.TimedOutError(message)
        case httpx.TransportError():
            message = f"the connection to {where} broke ({what}); try again"
            return errors.ConnectionLostError(message)
        case _:  # it came, and could not be decompressed
            message = f"the answer of {where} cannot be read ({what}); {ADVICE}"
            return errors.InvalidResponseError(message)


def _class_of(status: int) -> type[errors.ApiError]:
    is_server_error = httpx.codes.is_server_error(status)
    return _CLASSES.get(status, errors.ServerError if is_server_error else errors.ApiError)


def _problem_in(answer: Answer) -> JsonObject:
    try:
        return JsonObject(parse_json(answer.body), "problem")
    except errors.InvalidResponseError:  # a proxy's page; the status must do
        return JsonObject({}, "problem")


def _detail(problem: JsonObject, answer: Answer) -> str:
    detail = " ".join((_text(problem, "detail") or "").split())
    if detail:
        return detail[:MAX_DETAIL_CHARACTERS]
    kind = answer.headers.get("content-type", "no content type").partition(";")[0]
    return f"no problem document came with this status, but {len(answer.body)} bytes of {kind}"


def _field_errors(problem: JsonObject) -> list[errors.FieldError]:
    values = problem.values.get("errors")
    if not isinstance(values, list):
        return []
    found = [JsonObject(one, "error") for one in cast("list[object]", values) if _is_object(one)]
    told = [(_text(one, "where"), _text(one, "what")) for one in found]
    return [errors.FieldError(where, what) for where, what in told if where and what]


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _text(value: JsonObject, key: str) -> str | None:
    found = value.values.get(key)
    return found if isinstance(found, str) else None


def _seconds_of(date: str) -> float | None:
    try:
        found = parsedate_to_datetime(date)
        return found.replace(tzinfo=found.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError):
        return None


def _where(url: httpx.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode('ascii')}{url.path}"  # without user and password
