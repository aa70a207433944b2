"""One call from its first attempt to its end, without a word on how bytes travel.

Both clients drive it: they send what `Exchange.next_request` returns and hand what came back to
`Exchange.judge`. All that is decided is decided here and in `retries`.
"""

import asyncio
import random
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import httpx

from surematch_client.calls import Call
from surematch_client.errors import SurematchClientError
from surematch_client.failures import Answer, api_error_of, transport_error_of
from surematch_client.retries import Attempt, Retries, next_step

T = TypeVar("T")

DEADLINE = "X-Request-Deadline-Ms"
MAX_DEADLINE_SECONDS = 3600.0
MAX_TIMEOUT_SECONDS = 86400.0
GRACE_SECONDS = 0.5
"""How long after the deadline to listen on, since the service's own 504 takes a moment."""
CONNECT_SECONDS = 5.0
"""A service that is there accepts a connection long before that."""


@dataclass(frozen=True, slots=True)
class Timing:
    """The clocks, the pauses and the dice of a client; a test brings its own.

    Attributes:
        now: seconds of a clock that never goes back.
        date: seconds since the epoch.
        wait: lets seconds pass, or less if the event is set; returns whether it is.
        sleep: the same for the asynchronous client, which is cancelled instead.
        chance: a number from [0, 1).
    """

    now: Callable[[], float] = time.monotonic
    date: Callable[[], float] = time.time
    wait: Callable[[threading.Event, float], bool] = threading.Event.wait
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    chance: Callable[[], float] = random.random


DEFAULT_TIMING = Timing()


@dataclass(frozen=True, slots=True)
class Terms:
    """What a client grants a call: seconds for one attempt, and retries."""

    timeout_seconds: float
    retries: Retries
    timing: Timing

    def __post_init__(self) -> None:
        _check_seconds("timeout_seconds", self.timeout_seconds, most=MAX_TIMEOUT_SECONDS)


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """The call has its answer."""

    value: T


@dataclass(frozen=True, slots=True)
class Wait:
    """The call is to be made again after so many seconds."""

    seconds: float


class Exchange(Generic[T]):
    """The state of one call.

    Raises:
        ValueError: if the deadline is not from 0 to an hour.
    """

    def __init__(self, call: Call[T], terms: Terms, *, deadline_seconds: float | None) -> None:
        self._call = call
        self._terms = terms
        self._attempts = 0
        self._deadline: float | None = None
        self._attempt_ends = 0.0
        self._request: httpx.Request | None = None
        if deadline_seconds is not None:
            _check_seconds("deadline_seconds", deadline_seconds, most=MAX_DEADLINE_SECONDS)
            self._deadline = terms.timing.now() + deadline_seconds

    def next_request(self, http: httpx.Client | httpx.AsyncClient) -> httpx.Request:
        """Return the request to send now; its time begins."""
        self._attempts += 1
        seconds = max(self._terms.timeout_seconds, self._call.least_seconds)
        headers = dict(self._call.headers)
        if (left := self._left_seconds()) is not None:
            headers[DEADLINE] = str(max(1, int(left * 1000)))
            seconds = min(seconds, max(0.0, left) + GRACE_SECONDS)
        self._attempt_ends = self._terms.timing.now() + seconds
        self._request = http.build_request(
            self._call.method,
            self._call.path,
            content=self._call.content,
            headers=headers,
            timeout=httpx.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS)),
        )
        return self._request

    def in_time(self, chunk: bytes) -> bytes:
        """Return a part of the answer; httpx itself would wait for ever on one that trickles.

        Raises:
            httpx.ReadTimeout: if the time of the attempt is over.
        """
        if self._terms.timing.now() > self._attempt_ends:
            message = "the answer is still coming in"
            raise httpx.ReadTimeout(message, request=self._request)
        return chunk

    def judge(self, outcome: Answer | httpx.RequestError) -> Done[T] | Wait:
        """Return the value of the call, or how long to wait before its next attempt.

        Raises:
            SurematchClientError: if it failed and is not to be made again.
        """
        if isinstance(outcome, Answer) and outcome.is_success:
            return Done(self._call.read(self._call.parse(outcome.body)))
        failure = self._failure(outcome)
        timing = self._terms.timing
        left = self._left_seconds()
        attempt = Attempt(self._attempts, self._call.repeat, left, timing.chance())
        wait = next_step(self._terms.retries, attempt, failure)
        if wait is None:
            raise failure from (outcome if isinstance(outcome, Exception) else None)
        return Wait(wait)

    def _failure(self, outcome: Answer | httpx.RequestError) -> SurematchClientError:
        if isinstance(outcome, Answer):
            return api_error_of(outcome, now=self._terms.timing.date())
        return transport_error_of(outcome)

    def _left_seconds(self) -> float | None:
        return None if self._deadline is None else self._deadline - self._terms.timing.now()


def _check_seconds(name: str, seconds: float, *, most: float) -> None:
    if not 0 < seconds <= most:
        message = f"{name} is {seconds}, needed is a number above 0, at most {most:g}"
        raise ValueError(message)
