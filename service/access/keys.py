"""API keys as the service knows them: a name, a hash, and what it opens.

Only the SHA-256 of a key is kept. A fast hash without salt is right here, unlike for passwords:
a key is 256 random bits, so reading its hash leaves nobody closer to guessing it, however many
guesses a second they make; a slow hash would only spend a core's time on every request.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from service.access.bucket import RateLimit
from service.contract.errors import ConfigError
from service.contract.record import Share

KEY_PREFIX = "sm_"
"""What every key begins with, so that people and secret scanners know one when they see it."""

ANONYMOUS = "anonymous"
"""The name of a caller without a key."""

LONGEST_SETTING = 32
"""Characters; what stands longer where the name of a setting belongs may be a key or a hash."""


class Scope(StrEnum):
    """What a caller may do; none includes another."""

    RECOMMEND = "recommend"
    REVIEW = "review"
    PRODUCTS = "products"
    ADMIN = "admin"


def _refuse_secret(name: str) -> str:
    """Return the name unless it is taken, or is a key or a hash: names go into logs."""
    is_hash = re.fullmatch("[0-9a-fA-F]{64}", name) is not None
    if name == ANONYMOUS or name.startswith(KEY_PREFIX) or is_hash:
        message = "not a name"
        raise ValueError(message)
    return name


def _first_moment(value: object) -> object:
    """Return a date as its first moment in UTC; anything else as it is."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime.combine(value, time.min, UTC)
    return value


class ApiKey(BaseModel):
    """One entry of a keys file; what a field's description says is what its value must be.

    Attributes:
        burst: defaults to what one second allows, at least 1.
        expires: the first moment at which the key opens nothing; a date begins at 00:00 UTC.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: Annotated[
        str,
        Field(
            min_length=1,
            max_length=64,
            pattern="^[ -~]+$",
            description=f"1 to 64 printable ASCII characters, neither a key nor a hash nor "
            f"`{ANONYMOUS}`",
        ),
        AfterValidator(_refuse_secret),
    ]
    sha256: Annotated[
        str,
        Field(
            pattern="^[0-9a-fA-F]{64}$",
            repr=False,
            description="the 64 hex digits of the SHA-256 of the key, never the key itself",
        ),
        AfterValidator(str.lower),
    ]
    scopes: Annotated[
        frozenset[Scope], Field(min_length=1, description=f"one or more of {', '.join(Scope)}")
    ]
    target_precision: Annotated[
        Share | None,
        Field(
            strict=True,
            description="a number above 0 and below 1: the operating point of the bundle that "
            "decides for this key",
        ),
    ] = None
    queries_per_second: Annotated[
        float | None,
        Field(gt=0, allow_inf_nan=False, strict=True, description="a number above 0"),
    ] = None
    burst: Annotated[
        int | None,
        Field(
            ge=1,
            strict=True,
            description="a whole number of queries, at least 1, and only beside queries_per_second",
        ),
    ] = None
    expires: Annotated[
        AwareDatetime | None,
        Field(
            strict=True,
            description="a date such as 2027-01-31, or a date and time with their offset such as "
            "2027-01-31T18:00:00Z, without quotes",
        ),
        BeforeValidator(_first_moment),
    ] = None

    @property
    def rate_limit(self) -> RateLimit | None:
        """Return how much the key may ask, or None where nothing limits it."""
        if self.queries_per_second is None:
            return None
        burst = self.burst or max(1, int(self.queries_per_second))
        return RateLimit(queries_per_second=self.queries_per_second, burst=burst)

    def is_expired(self, now: datetime) -> bool:
        """Return whether the key opens nothing any more."""
        return self.expires is not None and self.expires <= now

    @model_validator(mode="after")
    def _burst_has_a_rate(self) -> Self:
        if self.burst is not None and self.queries_per_second is None:
            message = "a burst without a rate"
            raise ValueError(message)
        return self


def read_api_key(fields: Mapping[str, object], *, source: str) -> ApiKey:
    """Return the key that ``fields`` describe.

    Raises:
        ConfigError: if one is missing, unknown or wrong; no value is repeated in the message.
    """
    try:
        return ApiKey.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        # The one rule about two fields has no place of its own.
        name = str(first["loc"][0]) if first["loc"] else "burst"
        message = f"{source}: {_what_is_wrong(name)}"
        raise ConfigError(message) from None


def digest_of(key: str) -> str:
    """Return the SHA-256 of a key as 64 lower-case hex digits."""
    # A header can hold anything; a lone surrogate is no key, and no reason to fail either.
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class KeyRing:
    """The keys that open the service now.

    Several may be meant for one caller: to change a key, put the new one beside the old one under
    another name (``shop-1``, ``shop-2``), and take the old one out when nobody uses it any more.
    """

    keys: tuple[ApiKey, ...]
    clock: Callable[[], datetime] = field(default=_now, compare=False, repr=False)

    def find(self, presented: str) -> ApiKey | None:
        """Return the key that was presented, or None if it is unknown or expired."""
        digest = digest_of(presented)
        found: ApiKey | None = None
        for key in self.keys:  # all of them: the time taken tells nothing of where a key stands
            if hmac.compare_digest(key.sha256, digest):
                found = key
        return None if found is None or found.is_expired(self.clock()) else found


def shown_setting(name: str) -> str:
    """Return the name of an unknown setting, or something vaguer where it may be a secret."""
    is_harmless = name.isidentifier() and len(name) <= LONGEST_SETTING
    return name if is_harmless else "what stands there"


def _what_is_wrong(name: str) -> str:
    known = ApiKey.model_fields
    if name in known:
        return f"{name} must be {known[name].description}"
    return f"{shown_setting(name)} is no setting of a key; there are {', '.join(known)}"
