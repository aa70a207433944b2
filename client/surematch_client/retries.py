"""Whether a call that failed is made again, and after how long."""

from dataclasses import dataclass
from enum import Enum, auto
from math import isfinite

from surematch_client.errors import (
    ApiError,
    BusyError,
    ConnectionLostError,
    NotReadyError,
    SurematchClientError,
    UnreachableError,
)

NOT_READY = "not_ready"
"""The service's own word that it did nothing; a proxy's 503 may come after the fact."""
MOST_DOUBLINGS = 60


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a call is made, and how long to wait in between.

    Attributes:
        attempts: most times one call is sent; 1 never retries.
        first_wait_seconds: where the service names no time, the first wait is drawn from
            0 to this, and each further one from twice that range.
        max_wait_seconds: no wait is longer; if the service asks for more, its error is raised
            at once and says when to come back.
    """

    attempts: int = 5
    first_wait_seconds: float = 0.25
    max_wait_seconds: float = 30.0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            message = f"attempts is {self.attempts}, needed is 1 or more"
            raise ValueError(message)
        for name in ("first_wait_seconds", "max_wait_seconds"):
            seconds: float = getattr(self, name)
            if not (isfinite(seconds) and seconds >= 0):
                message = f"{name} is {seconds}, needed is a number from 0"
                raise ValueError(message)


DEFAULT_RETRIES = Retries()


class Repeat(Enum):
    """When a call may be made a second time."""

    ALWAYS = auto()  # it changes nothing
    UNLESS_TAKEN = auto()  # only where the first one surely did nothing
    NEVER = auto()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One sending of a call that came to nothing.

    Attributes:
        number: 1 for the first.
        repeat: when the call may be made again.
        left_seconds: to the deadline of the call; None if it has none.
        chance: drawn from [0, 1), so that clients refused together do not return together.
    """

    number: int
    repeat: Repeat
    left_seconds: float | None
    chance: float


def next_step(retries: Retries, attempt: Attempt, failure: SurematchClientError) -> float | None:
    """Return how many seconds to wait before the next attempt, or None to give up."""
    if attempt.number >= retries.attempts or not _may_repeat(attempt.repeat, failure):
        return None
    wait = _wait_seconds(retries, attempt, failure)
    left = attempt.left_seconds
    is_too_late = wait is not None and left is not None and wait >= left
    return None if is_too_late else wait


def _may_repeat(repeat: Repeat, failure: SurematchClientError) -> bool:
    if repeat is Repeat.NEVER:
        return False
    match failure:
        case BusyError() | UnreachableError():
            return True
        case NotReadyError(code=code):
            return repeat is Repeat.ALWAYS or code == NOT_READY
        case ConnectionLostError():
            return repeat is Repeat.ALWAYS
        case _:  # the same call would fail again, or the time granted is spent
            return False


def _wait_seconds(
    retries: Retries, attempt: Attempt, failure: SurematchClientError
) -> float | None:
    asked = failure.retry_after_seconds if isinstance(failure, ApiError) else None
    if asked is None:
        doubled = retries.first_wait_seconds * 2.0 ** min(attempt.number - 1, MOST_DOUBLINGS)
        return attempt.chance * min(doubled, retries.max_wait_seconds)
    if asked > retries.max_wait_seconds:
        return None
    jitter = attempt.chance * retries.first_wait_seconds
    return min(asked + jitter, retries.max_wait_seconds)
