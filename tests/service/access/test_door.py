import contextlib
from datetime import UTC, datetime
from fractions import Fraction

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from starlette.datastructures import Headers

from service.access.bucket import SECOND, RateLimitError
from service.access.door import Caller, Door, NoKeyError, NotPermittedError
from service.access.keys import ApiKey, KeyRing, Scope, digest_of


class Clock:
    """A clock in nanoseconds that a test moves by hand."""

    def __init__(self, now: int = 0) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


def key(name: str, *scopes: Scope, **more: object) -> ApiKey:
    """Return the entry of the key ``sm_NAME``."""
    fields = {"name": name, "sha256": digest_of(f"sm_{name}"), "scopes": scopes, **more}
    return ApiKey.model_validate(fields)


SHOP = key("shop", Scope.RECOMMEND, target_precision=0.98)
DESK = key("desk", Scope.RECOMMEND, Scope.REVIEW)
CHIEF = key("chief", Scope.ADMIN)
PAST = key("past", *Scope, expires=datetime(2020, 1, 1, tzinfo=UTC))
RING = KeyRing((SHOP, DESK, CHIEF, PAST))


def bearing(authorization: str) -> Headers:
    return Headers({"authorization": authorization})


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({"Authorization": "Bearer sm_shop"}, "shop"),
        ({"authorization": "bearer sm_shop"}, "shop"),
        ({"AUTHORIZATION": "BEARER   sm_shop  "}, "shop"),
        ({"X-API-Key": "sm_shop"}, "shop"),
        ({"x-api-key": " sm_desk "}, "desk"),
        ({"Authorization": "Bearer sm_desk", "X-API-Key": "sm_desk"}, "desk"),
        ({"Authorization": "Basic c2hvcDpzaG9w", "X-API-Key": "sm_desk"}, "desk"),
        ({"Authorization": "Bearer sm_desk", "X-API-Key": ""}, "desk"),
        ({"Authorization": "Bearer", "X-API-Key": "sm_desk"}, "desk"),
    ],
)
def test_a_key_comes_in_either_header(headers: dict[str, str], name: str) -> None:
    assert Door(RING).admit(Headers(headers), Scope.RECOMMEND).name == name


def test_a_caller_is_what_its_entry_says() -> None:
    caller = Door(RING).admit(bearing("Bearer sm_shop"), Scope.RECOMMEND)

    assert caller == Caller("shop", frozenset({Scope.RECOMMEND}), 0.98)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "sm_shop"},
        {"Authorization": "Basic sm_shop"},
        {"Authorization": "Bearer sm_unknown"},
        {"Authorization": "Bearer sm_past"},
        {"Authorization": "Bearer sm_shop sm_shop"},
        {"Authorization": f"Bearer {SHOP.sha256}"},
        {"X-API-Key": ""},
        {"X-API-Key": "Bearer sm_shop"},
        {"X-API-Key": "sm_sh\xf6p"},
        {"Authorization": "Bearer sm_shop", "X-API-Key": "sm_desk"},
        {"Authorization": "Bearer sm_shop", "X-API-Key": "sm_unknown"},
    ],
)
@pytest.mark.parametrize("scope", Scope)
def test_whatever_is_wrong_with_a_key_the_answer_is_the_same(
    headers: dict[str, str], scope: Scope
) -> None:
    door = Door(RING, frozenset(Scope))

    with pytest.raises(NoKeyError) as caught:
        door.admit(Headers(headers), scope)

    assert str(caught.value) == str(NoKeyError())


def test_the_refusals_are_one_line_and_hold_no_key() -> None:
    secrets = [f"sm_{one.name}" for one in RING.keys] + [one.sha256 for one in RING.keys]
    errors = [NoKeyError(), NotPermittedError(Scope.ADMIN), RateLimitError(3)]

    for error in errors:
        assert "\n" not in str(error)
        assert not any(secret in str(error) for secret in secrets)


@pytest.mark.parametrize(
    ("name", "may"),
    [
        ("shop", {Scope.RECOMMEND}),
        ("desk", {Scope.RECOMMEND, Scope.REVIEW}),
        ("chief", {Scope.ADMIN}),
    ],
)
@pytest.mark.parametrize("scope", Scope)
def test_a_key_opens_its_scopes_and_no_other(name: str, may: set[Scope], scope: Scope) -> None:
    door = Door(RING, frozenset(Scope))

    if scope in may:
        assert door.admit(bearing(f"Bearer sm_{name}"), scope).name == name
        return
    with pytest.raises(NotPermittedError, match=f"needs the scope `{scope}`") as caught:
        door.admit(bearing(f"Bearer sm_{name}"), scope)
    assert caught.value.scope == scope


@pytest.mark.parametrize("headers", [{}, {"X-API-Key": "sm_shop"}, {"Authorization": "Bearer x"}])
def test_without_a_ring_everybody_is_anonymous_and_keys_are_not_looked_at(
    headers: dict[str, str],
) -> None:
    door = Door(None, frozenset({Scope.RECOMMEND}))

    caller = door.admit(Headers(headers), Scope.RECOMMEND)

    assert caller == Caller("anonymous", frozenset({Scope.RECOMMEND}), None)
    for scope in (Scope.REVIEW, Scope.ADMIN):
        with pytest.raises(NotPermittedError):
            door.admit(Headers(headers), scope)


def test_a_door_without_ring_or_scopes_is_shut() -> None:
    with pytest.raises(NotPermittedError):
        Door(None).admit({}, Scope.RECOMMEND)


def test_a_ring_shuts_a_door_that_stood_open() -> None:
    door = Door(None, frozenset(Scope))

    door.replace(RING)

    with pytest.raises(NoKeyError):
        door.admit({}, Scope.RECOMMEND)


def test_a_ring_without_keys_lets_nobody_in() -> None:
    door = Door(RING)

    door.replace(KeyRing(()))

    with pytest.raises(NoKeyError):
        door.admit(bearing("Bearer sm_shop"), Scope.RECOMMEND)


def test_what_a_name_may_do_is_what_the_newest_ring_says() -> None:
    door = Door(RING)

    door.replace(KeyRing((key("shop", Scope.ADMIN),)))

    assert door.admit(bearing("Bearer sm_shop"), Scope.ADMIN).scopes == {Scope.ADMIN}
    with pytest.raises(NotPermittedError):
        door.admit(bearing("Bearer sm_shop"), Scope.RECOMMEND)


def limited(name: str, rate: float, burst: int, *, word: str = "sm_shop") -> ApiKey:
    sha256 = digest_of(word)
    return key(name, Scope.RECOMMEND, sha256=sha256, queries_per_second=rate, burst=burst)


def enter(door: Door, word: str = "sm_shop") -> Caller:
    return door.admit(bearing(f"Bearer {word}"), Scope.RECOMMEND)


def test_a_limit_belongs_to_one_key_and_spares_the_others() -> None:
    slow, other = limited("slow", 1, 2), limited("other", 1, 2, word="sm_other")
    door = Door(KeyRing((slow, other, DESK)), clock=Clock())
    caller = enter(door)

    door.spend(caller, 2)
    with pytest.raises(RateLimitError) as caught:
        door.spend(caller, 1)
    door.spend(enter(door, "sm_other"), 2)
    for _ in range(100):
        door.spend(enter(door, "sm_desk"), 1000)

    assert caught.value.retry_after_seconds == 1


def test_nobody_counts_what_an_anonymous_caller_asks() -> None:
    door = Door(None, frozenset(Scope))

    for _ in range(100):
        door.spend(door.admit({}, Scope.RECOMMEND), 1000)


def test_a_caller_whose_key_went_meanwhile_is_not_held_up() -> None:
    door = Door(KeyRing((limited("shop", 1, 1),)), clock=Clock())
    caller = enter(door)
    door.spend(caller, 1)

    door.replace(KeyRing(()))

    door.spend(caller, 1)


@pytest.mark.parametrize(
    ("reloaded", "is_kept"),
    [
        (limited("shop", 1, 2), True),
        (limited("shop", 1, 2, word="sm_another"), True),
        (limited("shop", 1, 3), False),
        (limited("shop", 2, 2), False),
        (limited("shop-2", 1, 2), False),
    ],
)
def test_what_was_spent_stays_spent_where_name_rate_and_burst_do(
    reloaded: ApiKey, *, is_kept: bool
) -> None:
    door = Door(KeyRing((limited("shop", 1, 2),)), clock=Clock())
    door.spend(enter(door), 2)

    door.replace(KeyRing((reloaded, DESK)))

    caller = Caller(reloaded.name, reloaded.scopes)
    if is_kept:
        with pytest.raises(RateLimitError):
            door.spend(caller, 1)
    else:
        door.spend(caller, 1)


class LimitedDoor(RuleBasedStateMachine):
    """One key that spends, waits, obeys ``Retry-After``, and whose file is reloaded meanwhile."""

    @initialize(rate=st.sampled_from([0.3, 1.0, 2.5, 7.0, 50.0]), burst=st.integers(1, 20))
    def begin(self, rate: float, burst: int) -> None:
        self.clock = Clock(3 * SECOND)
        self.rate, self.burst = Fraction(rate), burst
        self.key = limited("shop", rate, burst)
        self.door = Door(KeyRing((self.key,)), clock=self.clock)
        self.passed: list[tuple[int, int]] = []

    @rule(queries=st.one_of(st.integers(1, 4), st.integers(1, 60)))
    def ask(self, queries: int) -> None:
        with contextlib.suppress(RateLimitError):
            self.spend(queries)

    @rule(queries=st.integers(1, 60))
    def ask_again_when_told_to(self, queries: int) -> None:
        try:
            self.spend(queries)
        except RateLimitError as error:
            self.clock.now += error.retry_after_seconds * SECOND
            self.spend(queries)

    @rule(nanoseconds=st.integers(0, 30 * SECOND))
    def wait(self, nanoseconds: int) -> None:
        self.clock.now += nanoseconds

    @rule(others=st.booleans())
    def reload(self, *, others: bool) -> None:
        self.door.replace(KeyRing((DESK, self.key) if others else (self.key,)))

    @invariant()
    def no_window_up_to_now_holds_more_than_its_share(self) -> None:
        if not self.passed:
            return
        ends, last_body = self.passed[-1]
        queries = 0
        for begins, body in reversed(self.passed):
            queries += body
            seconds = Fraction(ends - begins, SECOND)
            assert queries <= max(self.burst, last_body) + self.rate * seconds

    def spend(self, queries: int) -> None:
        self.door.spend(enter(self.door), queries)
        self.passed.append((self.clock.now, queries))


TestLimitedDoor = LimitedDoor.TestCase
TestLimitedDoor.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
