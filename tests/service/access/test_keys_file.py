import fcntl
import os
import resource
import stat
import traceback
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from service.access.keys import ApiKey, Scope, digest_of
from service.access.keys_file import append_key, entry_of, parse_keys
from service.contract.errors import ConfigError

HASH = digest_of("sm_shop")
ENTRY = f'[[key]]\nname = "shop"\nsha256 = "{HASH}"\nscopes = ["recommend"]\n'
WHOLE = """
# Who may use the service
[[key]]
name = "shop-1"
sha256 = "HASH-1"
scopes = ["recommend"]
expires = 2027-01-31

[[key]]
name = "shop-2"
sha256 = "HASH-2"
scopes = ["recommend", "review", "products", "admin"]
target_precision = 0.98
queries_per_second = 50
burst = 100
expires = 2027-06-30T18:00:00+02:00
""".replace("HASH-1", digest_of("sm_1")).replace("HASH-2", digest_of("sm_2"))

names = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=64)
rates = st.floats(min_value=0, exclude_min=True, allow_infinity=False)
moments = st.datetimes(timezones=st.just(UTC)) | st.dates()


def key_named(name: str, **more: object) -> ApiKey:
    fields = {"name": name, "sha256": digest_of(name), "scopes": list(Scope), **more}
    return ApiKey.model_validate(fields)


@st.composite
def keys(draw: st.DrawFn) -> ApiKey:
    fields: dict[str, object] = {
        "name": draw(names),
        "sha256": digest_of(draw(st.text(max_size=3))),
        "scopes": draw(st.sets(st.sampled_from(Scope), min_size=1)),
        "target_precision": draw(st.none() | st.floats(0, 1, exclude_min=True, exclude_max=True)),
        "queries_per_second": (rate := draw(st.none() | rates)),
        "burst": None if rate is None else draw(st.none() | st.integers(min_value=1)),
        "expires": draw(st.none() | moments),
    }
    try:
        return ApiKey.model_validate(fields)
    except ValidationError:  # the few names that are none
        return ApiKey.model_validate({**fields, "name": "shop"})


@contextmanager
def files_of_at_most(size_bytes: int) -> Generator[None]:
    """A full disk, near enough: the kernel lets no file grow beyond this."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_keys_file_gives_its_keys_in_order() -> None:
    old, new = parse_keys(WHOLE.encode(), source="keys.toml").keys

    assert old == ApiKey(
        name="shop-1",
        sha256=digest_of("sm_1"),
        scopes=frozenset({Scope.RECOMMEND}),
        expires=datetime(2027, 1, 31, tzinfo=UTC),
    )
    assert new == ApiKey(
        name="shop-2",
        sha256=digest_of("sm_2"),
        scopes=frozenset(Scope),
        target_precision=0.98,
        queries_per_second=50.0,
        burst=100,
        expires=datetime(2027, 6, 30, 16, tzinfo=UTC),
    )


def test_a_file_can_say_that_nobody_has_a_key() -> None:
    assert parse_keys(b"key = []", source="keys.toml").keys == ()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", r"^keys\.toml has no \[\[key\]\] table; write one for each key"),
        ("# nothing yet\n", r"^keys\.toml has no \[\[key\]\] table"),
        ("key = 3", r"^keys\.toml has no \[\[key\]\] table"),
        ("key = ['shop']", r"^keys\.toml has no \[\[key\]\] table"),
        ("[[keys]]\nname = 'shop'", r"^keys\.toml: keys is unknown; write \[\[key\]\] tables only"),
        (ENTRY + "scope = 1", r"^keys\.toml: \[\[key\]\] number 1: scope is no setting of a key"),
        (
            ENTRY + "[[key]]\nname = 'b'",
            r"^keys\.toml: \[\[key\]\] number 2: sha256 must be the 64",
        ),
        (ENTRY + ENTRY, r"^keys\.toml: two keys are named shop; give each a name of its own"),
        (
            ENTRY + ENTRY.replace('"shop"', '"other"'),
            r"^keys\.toml: shop and other have the same sha256; make a key for each",
        ),
        (
            ENTRY + ENTRY.replace('"shop"', '"other"').replace(HASH, HASH.upper()),
            r"shop and other have the same sha256",
        ),
        (ENTRY + "name = 'b'", r"^keys\.toml is not TOML in UTF-8 \(at end of document\); write"),
        (ENTRY + HASH, r"^keys\.toml is not TOML in UTF-8 \(at end of document\)"),
        (f"a = 1\n{HASH}\n", r"^keys\.toml is not TOML in UTF-8 \(at line 2, column 65\)"),
        (f"{HASH} = []\n[[{HASH}]]\n", r"^keys\.toml is not TOML in UTF-8 \(at line 2, "),
        (f"{HASH} = 1", r"^keys\.toml: what stands there is unknown"),
        ("key = " + "[" * 100_000, r"^keys\.toml is not TOML in UTF-8; write"),
    ],
)
def test_a_wrong_file_is_an_error_that_says_where_and_never_shows_a_hash(
    content: str, complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint) as caught:
        parse_keys(content.encode(), source="keys.toml")

    logged = "".join(traceback.format_exception(caught.value))
    assert HASH not in logged.lower()
    assert "\n" not in str(caught.value)


def test_bytes_that_are_not_utf_8_are_an_error() -> None:
    with pytest.raises(ConfigError, match=r"^keys.toml is not TOML in UTF-8; write"):
        parse_keys(b"# caf\xe9\n" + ENTRY.encode(), source="keys.toml")


@given(keys())
def test_an_entry_reads_as_the_key_it_was_written_from(key: ApiKey) -> None:
    assert parse_keys(entry_of(key).encode(), source="its entry").keys == (key,)


def test_an_entry_says_no_more_than_the_key_does() -> None:
    key = key_named('the "shop"', queries_per_second=2, expires=datetime(2027, 1, 31, tzinfo=UTC))

    assert entry_of(key_named("shop")).splitlines() == [
        "[[key]]",
        'name = "shop"',
        f'sha256 = "{digest_of("shop")}"',
        'scopes = ["recommend", "review", "products", "admin"]',
    ]
    assert entry_of(key).splitlines()[1:2] + entry_of(key).splitlines()[4:] == [
        r'name = "the \"shop\""',
        "queries_per_second = 2.0",
        "expires = 2027-01-31T00:00:00+00:00",
    ]


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_a_new_file_is_its_owners_alone(tmp_path: Path, mask: int) -> None:
    path = tmp_path / "keys.toml"
    before = os.umask(mask)
    try:
        append_key(path, key_named("shop"))
    finally:
        os.umask(before)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert parse_keys(path.read_bytes(), source="it").keys == (key_named("shop"),)


@pytest.mark.parametrize("present", [WHOLE, WHOLE.rstrip(), WHOLE.replace("\n", "\r\n"), "\n", ""])
def test_what_a_file_holds_and_is_stays_when_a_key_is_added(tmp_path: Path, present: str) -> None:
    path = tmp_path / "keys.toml"
    path.write_bytes(present.encode())
    path.chmod(0o640)
    inode = path.stat().st_ino

    append_key(path, key_named("warehouse"))

    content = path.read_bytes()
    assert content.startswith(present.encode() if present.strip() else b"")
    assert content.endswith(entry_of(key_named("warehouse")).encode())
    assert parse_keys(content, source="it").keys[-1] == key_named("warehouse")
    assert (stat.S_IMODE(path.stat().st_mode), path.stat().st_ino) == (0o640, inode)


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real.toml").write_text(ENTRY)
    (tmp_path / "keys.toml").symlink_to("real.toml")

    append_key(tmp_path / "keys.toml", key_named("warehouse"))

    assert (tmp_path / "keys.toml").is_symlink()
    assert len(parse_keys((tmp_path / "real.toml").read_bytes(), source="it").keys) == 2


@pytest.mark.parametrize(
    ("present", "complaint"),
    [
        (ENTRY, r"keys\.toml has a key named shop; choose another name, such as shop-2$"),
        (ENTRY + "name = 1", r"keys\.toml is not TOML"),
        ("key = []\n", r"keys\.toml with the new entry is not TOML.*\[\[key\]\] table"),
        (
            ENTRY.replace("shop", "b").replace(HASH, digest_of("shop")),
            "with the new entry: b and shop have the same sha256",
        ),
    ],
)
def test_a_file_that_would_be_wrong_is_left_as_it_is(
    tmp_path: Path, present: str, complaint: str
) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(present)

    with pytest.raises(ConfigError, match=complaint):
        append_key(path, key_named("shop"))

    assert path.read_text() == present


def test_an_entry_that_has_no_room_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(ENTRY)

    with (
        files_of_at_most(len(ENTRY) + 20),
        pytest.raises(ConfigError, match=r"keys\.toml cannot be written \(File too large\)"),
    ):
        append_key(path, key_named("warehouse"))

    assert path.read_text() == ENTRY


def test_a_place_that_is_no_file_is_an_error(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none" / "keys.toml"):
        with pytest.raises(ConfigError, match="cannot be written"):
            append_key(path, key_named("shop"))


def test_whoever_appends_waits_for_another_who_does(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    path.touch()
    with ThreadPoolExecutor(1) as pool, path.open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        appended = pool.submit(append_key, path, key_named("shop"))
        with pytest.raises(TimeoutError):  # it can't end before the lock is released
            appended.result(timeout=0.3)
        other.write(ENTRY)
        other.flush()
        fcntl.flock(other, fcntl.LOCK_UN)

        with pytest.raises(ConfigError, match="has a key named shop"):
            appended.result(timeout=60)


def test_keys_that_are_added_at_once_are_all_there(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    added = [f"shop-{number}" for number in range(24)]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: append_key(path, key_named(name)), added))

    found = parse_keys(path.read_bytes(), source="it").keys
    assert sorted(key.name for key in found) == sorted(added)
