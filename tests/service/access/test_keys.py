import traceback
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from datetime import time as time_of_day

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from service.access.bucket import RateLimit
from service.access.keys import ApiKey, KeyRing, Scope, digest_of, read_api_key
from service.contract.errors import ConfigError

NOON = datetime(2027, 1, 31, 12, tzinfo=UTC)
ENTRY: dict[str, object] = {
    "name": "shop",
    "sha256": digest_of("sm_shop"),
    "scopes": ["recommend"],
}


def key_for(secret: str, **more: object) -> ApiKey:
    fields = {**ENTRY, "name": f"of {secret[:20]}", "sha256": digest_of(secret), **more}
    return ApiKey.model_validate(fields)


def test_the_digest_is_sha_256_in_hex() -> None:
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

    assert digest_of("abc") == expected


@given(st.text(alphabet=st.characters()))
def test_anything_a_header_may_hold_has_a_digest(presented: str) -> None:
    assert len(digest_of(presented)) == 64


def test_an_entry_needs_a_name_a_hash_and_scopes_only() -> None:
    key = read_api_key(ENTRY, source="keys.toml")

    assert key.name == "shop"
    assert key.sha256 == digest_of("sm_shop")
    assert key.scopes == {Scope.RECOMMEND}
    assert key.target_precision is None
    assert key.rate_limit is None
    assert key.expires is None


def test_a_hash_may_be_written_in_capitals() -> None:
    key = read_api_key({**ENTRY, "sha256": digest_of("sm_shop").upper()}, source="keys.toml")

    assert KeyRing((key,)).find("sm_shop") == key


@pytest.mark.parametrize(
    ("rate", "burst", "expected"),
    [
        (50, None, RateLimit(50.0, 50)),
        (50.9, None, RateLimit(50.9, 50)),
        (0.2, None, RateLimit(0.2, 1)),
        (1, 1, RateLimit(1.0, 1)),
        (0.5, 300, RateLimit(0.5, 300)),
    ],
)
def test_the_burst_is_what_is_said_or_one_seconds_worth(
    rate: float, burst: int | None, expected: RateLimit
) -> None:
    fields = ENTRY | {"queries_per_second": rate} | ({} if burst is None else {"burst": burst})

    assert read_api_key(fields, source="keys.toml").rate_limit == expected


@pytest.mark.parametrize("missing", ["name", "sha256", "scopes"])
def test_a_missing_field_is_an_error_that_says_what_it_must_be(missing: str) -> None:
    fields = {name: value for name, value in ENTRY.items() if name != missing}

    with pytest.raises(ConfigError, match=rf"^keys\.toml: {missing} must be "):
        read_api_key(fields, source="keys.toml")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", ""),
        ("name", "x" * 65),
        ("name", "Käse"),
        ("name", "shop\n"),
        ("name", "a\tb"),
        ("name", 7),
        ("name", "anonymous"),
        ("name", "sm_Uu7gJ0pq"),
        ("name", "Ab" * 32),
        ("sha256", "ab" * 31),
        ("sha256", "ab" * 33),
        ("sha256", "xy" * 32),
        ("sha256", "ab" * 32 + "\n"),
        ("sha256", 7),
        ("scopes", []),
        ("scopes", "recommend"),
        ("scopes", ["recommend", "everything"]),
        ("scopes", ["Admin"]),
        ("scopes", {"admin": True}),
        ("target_precision", 0),
        ("target_precision", 1),
        ("target_precision", 1.5),
        ("target_precision", float("nan")),
        ("target_precision", "0.98"),
        ("target_precision", True),
        ("queries_per_second", 0),
        ("queries_per_second", -1.0),
        ("queries_per_second", float("inf")),
        ("queries_per_second", "50"),
        ("queries_per_second", True),
        ("expires", datetime(2027, 1, 31, 12)),
        ("expires", "2027-01-31"),
        ("expires", 1_800_000_000),
        ("expires", time_of_day(12)),
    ],
)
def test_a_wrong_value_is_an_error_that_says_what_it_must_be(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"^keys\.toml: {name} must be ") as caught:
        read_api_key({**ENTRY, name: value}, source="keys.toml")

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", "sm_" + "k" * 43),
        ("name", digest_of("x")),
        ("sha256", "sm_" + "k" * 43),
        ("sha256", digest_of("x") + "0"),
        ("scopes", [digest_of("x")]),
        ("expires", digest_of("x")),
    ],
)
def test_a_secret_in_the_wrong_place_is_not_repeated(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"^keys\.toml: {name} must be ") as caught:
        read_api_key({**ENTRY, name: value}, source="keys.toml")

    logged = "".join(traceback.format_exception(caught.value))
    assert str(value).strip("[']") not in logged


@pytest.mark.parametrize(
    "fields",
    [
        {"queries_per_second": 5, "burst": 0},
        {"queries_per_second": 5, "burst": 2.0},
        {"queries_per_second": 5, "burst": True},
        {"burst": 10},
    ],
)
def test_a_burst_is_a_whole_number_beside_a_rate(fields: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"^keys\.toml: burst must be a whole number"):
        read_api_key({**ENTRY, **fields}, source="keys.toml")


def test_an_unknown_field_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"scope is no setting of a key; there are name, sha256"):
        read_api_key({**ENTRY, "scope": "admin"}, source="keys.toml")


def test_a_secret_in_place_of_a_fields_name_is_not_repeated() -> None:
    for secret in (digest_of("x"), "sm_" + "k" * 43, "two\nlines"):
        with pytest.raises(ConfigError, match="what stands there is no setting") as caught:
            read_api_key({**ENTRY, secret: 1}, source="keys.toml")

        assert secret not in str(caught.value)


def test_a_key_does_not_show_its_hash_and_never_changes() -> None:
    key = key_for("sm_shop")

    assert key.sha256 not in repr(KeyRing((key,)))
    with pytest.raises(ValidationError):
        key.scopes = frozenset(Scope)  # pyright: ignore[reportAttributeAccessIssue]  # must fail


def test_a_ring_finds_the_key_that_was_presented_and_no_other() -> None:
    ring = KeyRing((key_for("sm_old"), key_for("sm_new")))

    assert ring.find("sm_old") == ring.keys[0]
    assert ring.find("sm_new") == ring.keys[1]
    for presented in ("", "sm_ol", "sm_old ", "SM_OLD", ring.keys[0].sha256, "\udcff"):
        assert ring.find(presented) is None


@pytest.mark.parametrize("place", [0, 31, 63])
def test_a_hash_that_is_nearly_right_opens_nothing(place: int) -> None:
    right = digest_of("sm_shop")
    other = "0" if right[place] != "0" else "1"
    nearly = right[:place] + other + right[place + 1 :]

    assert KeyRing((key_for("sm_shop", sha256=nearly),)).find("sm_shop") is None


def test_an_empty_ring_opens_nothing() -> None:
    assert KeyRing(()).find("") is None


@pytest.mark.parametrize(
    ("expires", "opens"),
    [
        (NOON + timedelta(microseconds=1), True),
        (NOON, False),
        (NOON - timedelta(days=1), False),
        (datetime(2027, 1, 31, 13, tzinfo=timezone(timedelta(hours=2))), False),
        (datetime(2027, 1, 31, 11, tzinfo=timezone(timedelta(hours=-2))), True),
        (date(2027, 1, 31), False),
        (date(2027, 2, 1), True),
        (date.min, False),
        (date.max, True),
        (datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))), False),
    ],
)
def test_a_key_is_found_until_it_expires(expires: date, opens: bool) -> None:
    ring = KeyRing((key_for("sm_shop", expires=expires),), clock=lambda: NOON)

    assert (ring.find("sm_shop") is not None) == opens


def test_expiry_is_measured_on_the_clock_of_the_world_unless_told_otherwise() -> None:
    now = datetime.now(UTC)
    past = key_for("sm_past", expires=now - timedelta(days=1))
    future = key_for("sm_future", expires=now + timedelta(days=1))

    assert KeyRing((past, future)).find("sm_past") is None
    assert KeyRing((past, future)).find("sm_future") == future


class CountedKeys(tuple[ApiKey, ...]):
    """A tuple that remembers how many of its entries were handed out."""

    handed_out = 0

    def __iter__(self) -> Iterator[ApiKey]:
        for key in super().__iter__():
            CountedKeys.handed_out += 1
            yield key


@pytest.mark.parametrize("presented", ["sm_0", "sm_4", "sm_9", "sm_unknown"])
def test_the_search_does_not_end_early_wherever_the_key_stands(presented: str) -> None:
    # That one comparison takes the same time for every digest is hmac's promise, not tested here.
    CountedKeys.handed_out = 0
    keys = CountedKeys(key_for(f"sm_{number}") for number in range(10))

    KeyRing(keys).find(presented)

    assert CountedKeys.handed_out == 10
