"""Every error the client raises on purpose; the branch says who must act.

SurematchClientError
├── ApiError                    the service, or a proxy before it, answered with an error
│   ├── InvalidRequestError     correct the request, or send less at a time (400, 413, 422)
│   ├── AuthenticationError     bring a key that the service knows (401)
│   ├── PermissionDeniedError   bring a key that may do this (403)
│   ├── BundleRefusedError      build another bundle; the old one still answers (422)
│   ├── BusyError               send less, or come back later (429)
│   ├── NotReadyError           come back in a moment (503)
│   ├── DeadlineError           grant more time (504)
│   └── ServerError             report it to who runs the service (any other 5xx)
├── TransportError              no answer came
│   ├── UnreachableError        check the address; the request was not sent
│   ├── ConnectionLostError     the request was sent, and may have been carried out
│   └── TimedOutError           grant more time; the request may have been carried out
└── InvalidResponseError        check what answers at the address, or update the client

A programmer's mistake stays ``ValueError`` or ``TypeError``. No message repeats a query or a key.
"""

from collections.abc import Sequence
from dataclasses import dataclass


class SurematchClientError(Exception):
    """Root of all errors a person outside the code can act on."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing that is wrong with a request: the path of a value, and what it must be."""

    where: str
    what: str


class ApiError(SurematchClientError):
    """An answer that is an error, of a status that has no class of its own.

    Attributes:
        code: what went wrong, for programs; ``http_502`` and the like where no code came.
        status: the HTTP status.
        detail: what was found, what was needed, what to do.
        errors: what is wrong with the request, value by value.
        request_id: name of the request in the service's log; None where none came.
        retry_after_seconds: when to come back; None where the answer does not say.
    """

    def __init__(  # positional, so that an error survives pickling
        self,
        code: str,
        status: int,
        detail: str,
        errors: Sequence[FieldError] = (),
        request_id: str | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(code, status, detail, tuple(errors), request_id, retry_after_seconds)
        self.code = code
        self.status = status
        self.detail = detail
        self.errors = tuple(errors)
        self.request_id = request_id
        self.retry_after_seconds = retry_after_seconds

    def __str__(self) -> str:
        named = f" (request {self.request_id})" if self.request_id else ""
        return f"{self.status} {self.code}: {self.detail}{named}"


class InvalidRequestError(ApiError):
    """The request is malformed, holds an invalid value or is over a limit of ``info()``."""


class AuthenticationError(ApiError):
    """No key was given, or one that the service does not know."""


class PermissionDeniedError(ApiError):
    """The key is known, and may not do this."""


class BundleRefusedError(ApiError):
    """The bundle did not pass its checks; the service goes on with the one it has."""


class BusyError(ApiError):
    """The service has too much to do, or this key asks too often."""


class NotReadyError(ApiError):
    """The service cannot answer yet, or no more."""


class DeadlineError(ApiError):
    """The time granted passed before the service, or a proxy, had an answer."""


class ServerError(ApiError):
    """The service, or a proxy before it, failed."""


class TransportError(SurematchClientError):
    """No answer came."""


class UnreachableError(TransportError):
    """No connection could be made; nothing was sent."""


class ConnectionLostError(TransportError):
    """The connection broke before the answer was complete."""


class TimedOutError(TransportError):
    """The answer was not complete within the time granted."""


class InvalidResponseError(SurematchClientError):
    """The answer says success and is not what the interface says."""


NOT_NOW = (NotReadyError, DeadlineError, ServerError, TransportError)
"""What a service may answer, or not, that is not ready yet."""
