"""Keys as they are set: what keeps a service from starting, changes under way, and no keys."""

import time
from collections.abc import Generator
from pathlib import Path

import pytest

from service.access.keys import digest_of
from tests.key_files import entry, secret_of, with_key, write_keys
from tests.keyed_service import (
    ENTRIES,
    SECONDS,
    arguments,
    ask,
    must_be_a_problem,
    until_complained,
    write_shelf,
)
from tests.process import service_process
from tests.wire import recommending, request


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shelf(tmp_path_factory.mktemp("bundles"))


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_keys(tmp_path_factory.mktemp("keys") / "keys.toml", *ENTRIES.values())


def test_a_bundle_without_the_promise_of_a_key_is_not_started(
    shelf: Path, keys: Path, tmp_path: Path
) -> None:
    with service_process(tmp_path / "log", *arguments(shelf / "one", keys)) as process:
        assert process.exit_code() == 1

    last = process.said.splitlines()[-1]
    assert last.startswith("error: key picky needs the operating point 0.98")
    assert "Traceback" not in process.said


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104  # that it refuses is the point
def test_others_reach_no_service_without_keys(shelf: Path, tmp_path: Path, host: str) -> None:
    where = ("--bundle", str(shelf / "one"), "--port", "0", "--host", host)
    with service_process(tmp_path / "log", *where) as process:
        assert process.exit_code() == 2

    assert process.said.startswith(f"error: {host} can be reached from other machines")
    assert process.said.count("\n") == 1  # so it did not listen either


@pytest.mark.parametrize("content", ["nonsense", "", entry("shop") * 2, None])
def test_a_wrong_keys_file_keeps_the_service_from_starting(
    shelf: Path, tmp_path: Path, content: str | None
) -> None:
    keys = tmp_path / "keys.toml"
    if content is not None:
        keys.write_text(content, encoding="utf-8")
    with service_process(tmp_path / "log", *arguments(shelf / "two", keys)) as process:
        assert process.exit_code() == 2

    assert process.said.startswith("error: ")
    assert str(keys) in process.said
    assert process.said.count("\n") == 1
    assert digest_of(secret_of("shop")) not in process.said


def test_keys_change_without_a_restart_and_a_wrong_file_changes_nothing(
    shelf: Path, tmp_path: Path
) -> None:
    keys = write_keys(tmp_path / "keys.toml", ENTRIES["shop"])
    with service_process(tmp_path / "log", *arguments(shelf / "one", keys)) as process:
        address = process.ready_address()
        before = statuses(address)
        write_keys(keys, ENTRIES["shop"], entry("shop-2"))
        until_status(address, "shop-2", 200)
        both = statuses(address)
        write_keys(keys, entry("shop-2"))
        until_status(address, "shop", 401)
        after = statuses(address)
        for complaints, wrong in enumerate(("[[key]", ENTRIES["shop"] * 2, ENTRIES["picky"]), 1):
            write_keys(keys, wrong)
            until_complained(process, complaints)
            assert statuses(address) == after
        write_keys(keys)
        until_status(address, "shop-2", 401)

    assert before == {"shop": 200, "shop-2": 401}
    assert both == {"shop": 200, "shop-2": 200}
    assert after == {"shop": 401, "shop-2": 200}
    reasons = [line["reason"] for line in process.lines("keys not taken over, the old ones hold")]
    assert "is not TOML" in reasons[0]
    assert "two keys are named shop" in reasons[1]
    assert "key picky needs the operating point 0.98" in reasons[2]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([], 200),
        ([("Sec-Fetch-Site", "same-origin"), ("Origin", "http://127.0.0.1")], 200),
        ([("Sec-Fetch-Site", "none")], 200),
        ([("Sec-Fetch-Site", "cross-site")], 403),
        ([("Sec-Fetch-Site", "same-site")], 403),
        ([("Origin", "http://127.0.0.1:9")], 403),
        ([("Origin", "null")], 403),
    ],
)
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "rebound.example.com"])
def test_without_keys_no_page_of_a_browser_is_an_operator(
    open_address: str, headers: list[tuple[str, str]], status: int, host: str
) -> None:
    content = request("POST", "/admin/bundle", {}, headers=headers)

    answer = ask(open_address, content.replace(b"Host: 127.0.0.1", b"Host: " + host.encode()))

    if host == "rebound.example.com" or status == 403:
        must_be_a_problem(answer, 403, "not_permitted")
    else:
        assert answer.status == 200


@pytest.fixture(scope="module")
def open_address(shelf: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """The address of a service without keys."""
    log = tmp_path_factory.mktemp("logs") / "log"
    with service_process(log, "--bundle", str(shelf / "one"), "--port", "0") as process:
        yield process.ready_address()


def statuses(address: str) -> dict[str, int]:
    return {
        name: ask(address, recommending("sony"), with_key(name)).status
        for name in ("shop", "shop-2")
    }


def until_status(address: str, name: str, status: int) -> None:
    until = time.monotonic() + SECONDS
    while ask(address, recommending("sony"), with_key(name)).status != status:
        assert time.monotonic() < until
        time.sleep(0.01)
