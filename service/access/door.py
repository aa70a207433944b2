"""The door of the service: which caller a request comes from, what it may do and how much."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from service.access.bucket import TokenBucket
from service.access.keys import ANONYMOUS, KeyRing, Scope


class NoKeyError(Exception):
    """No valid key came with the request; which way it was invalid is never told."""

    def __init__(self) -> None:
        message = (
            "one valid API key is needed and was not found; "
            "send `Authorization: Bearer KEY` or `X-API-Key: KEY`"
        )
        super().__init__(message)


class NotPermittedError(Exception):
    """The caller is known, or need not be, but lacks a scope."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(f"this needs the scope `{scope}`; use an API key that has it")
        self.scope = scope


@dataclass(frozen=True)
class Caller:
    """Who sent a request.

    Attributes:
        name: the name of the key, never the key; ``anonymous`` where there is none.
        scopes: what the caller may do.
        target_precision: the operating point that decides for the caller; None for the default.
    """

    name: str
    scopes: frozenset[Scope]
    target_precision: float | None = None


@dataclass(frozen=True)
class _Locked:
    """The keys, and the bucket of each that has a rate limit, by name; swapped together."""

    ring: KeyRing
    buckets: Mapping[str, TokenBucket]


class Door:
    """Lets callers in. Used from one thread, the event loop's.

    With a ring every request needs a key, whatever ``anonymous_scopes`` says. Without one, every
    caller is anonymous, and a key that is presented all the same is not looked at.
    """

    def __init__(
        self,
        ring: KeyRing | None,
        anonymous_scopes: frozenset[Scope] = frozenset(),
        *,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._clock = clock
        self._anonymous = Caller(ANONYMOUS, anonymous_scopes)
        self._locked: _Locked | None = None
        if ring is not None:
            self.replace(ring)

    def admit(self, headers: Mapping[str, str], scope: Scope) -> Caller:
        """Return the caller of a request that needs ``scope``.

        Args:
            headers: of the request; names are looked up as ``Authorization`` and ``X-API-Key``.
            scope: what the request is about to do.

        Raises:
            NoKeyError: if a key is needed and none, an unknown or an expired one is given, or two.
            NotPermittedError: if the caller may not do this.
        """
        caller = self._anonymous
        if self._locked is not None:
            caller = _caller_of(self._locked.ring, headers)
        if scope not in caller.scopes:
            raise NotPermittedError(scope)
        return caller

    def spend(self, caller: Caller, queries: int) -> None:
        """Count so many queries against the rate limit of the caller's key, if it has one.

        Raises:
            RateLimitError: if it has asked as much as it may for now; then nothing is counted.
        """
        bucket = self._locked.buckets.get(caller.name) if self._locked else None
        if bucket is not None:  # none as well where the key was taken out since it was admitted
            bucket.spend(queries)

    def replace(self, ring: KeyRing) -> None:
        """Let the keys of ``ring`` in from now on, and no others.

        What a key has spent stays spent where its name, rate and burst are as before.
        """
        old = self._locked.buckets if self._locked else {}
        buckets: dict[str, TokenBucket] = {}
        for key in ring.keys:
            if (limit := key.rate_limit) is None:
                continue
            bucket = old.get(key.name)
            if bucket is None or bucket.limit != limit:
                bucket = TokenBucket(limit, clock=self._clock)
            buckets[key.name] = bucket
        self._locked = _Locked(ring, buckets)


def _caller_of(ring: KeyRing, headers: Mapping[str, str]) -> Caller:
    presented = {_bearer_of(headers), headers.get("X-API-Key", "").strip()} - {""}
    key = ring.find(presented.pop()) if len(presented) == 1 else None
    if key is None:
        raise NoKeyError
    return Caller(key.name, key.scopes, key.target_precision)


def _bearer_of(headers: Mapping[str, str]) -> str:
    """Return what ``Authorization`` bears; another scheme is some proxy's business, not ours."""
    scheme, _, presented = headers.get("Authorization", "").strip().partition(" ")
    return presented.strip() if scheme.lower() == "bearer" else ""
