"""Who may ask, over real sockets: keys, scopes, rates, promises, and nothing of them in a log."""

from collections.abc import Generator, Mapping, Sequence
from pathlib import Path

import pytest

from service.access.keys import digest_of
from tests.key_files import secret_of, with_key, write_keys
from tests.keyed_service import (
    DEFAULT,
    ENTRIES,
    STRICT,
    arguments,
    ask,
    must_be_a_problem,
    until_complained,
    write_shelf,
)
from tests.process import Process, service_process
from tests.tiny import open_tiny
from tests.wire import recommending, request

BETWEEN = "canon eos r5 sony"
"""Similar enough to be accepted under the default promise, and not under the strict one."""

ASKED: Mapping[str, tuple[bytes, str]] = {
    "recommend": (recommending("sony"), "recommend"),
    "info": (request("GET", "/info"), "recommend"),
    "embed": (request("POST", "/embed", {"texts": ["sony"]}), "recommend"),
    "openai": (
        request("POST", "/v1/embeddings", {"input": "sony", "model": "surematch"}),
        "recommend",
    ),
    "stream": (request("POST", "/recommend/stream", b'"sony"\n'), "recommend"),
    "bundles": (request("GET", "/admin/bundle"), "admin"),
    "swap": (request("POST", "/admin/bundle", {}), "admin"),
    "rollback": (request("POST", "/admin/rollback"), "admin"),
}
"""Requests that need a key, and the scope that each of them needs."""


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shelf(tmp_path_factory.mktemp("bundles"))


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_keys(tmp_path_factory.mktemp("keys") / "keys.toml", *ENTRIES.values())


@pytest.fixture(scope="module")
def process(
    shelf: Path, keys: Path, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Process]:
    log = tmp_path_factory.mktemp("logs") / "log"
    with service_process(log, *arguments(shelf / "two", keys)) as process:
        yield process


@pytest.fixture(scope="module")
def address(process: Process) -> str:
    return process.ready_address()


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("Authorization", "Bearer sm_unknown"),),
        (("Authorization", f"Basic {secret_of('shop')}"),),
        (("Authorization", f"Bearer {digest_of(secret_of('shop'))}"),),
        (*with_key("shop"), ("X-API-Key", secret_of("ops"))),
        (("Authorization", "Bearer \xff\xfe"),),
        (("X-API-Key", "x" * 10_000),),
    ],
)
def test_without_one_valid_key_nothing_is_told(
    address: str, name: str, headers: Sequence[tuple[str, str]]
) -> None:
    answer = ask(address, ASKED[name][0], headers)

    must_be_a_problem(answer, 401, "no_key")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize(("key", "scope"), [("shop", "recommend"), ("ops", "admin"), ("desk", "")])
def test_a_key_opens_what_its_scopes_say_and_nothing_else(
    address: str, name: str, key: str, scope: str
) -> None:
    content, needed = ASKED[name]

    answer = ask(address, content, with_key(key))

    if scope == needed:
        assert answer.status == (409 if name == "rollback" else 200)
    else:
        must_be_a_problem(answer, 403, "not_permitted")


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/docs", "/openapi.json"])
def test_health_metrics_and_description_need_no_key(address: str, path: str) -> None:
    assert ask(address, request("GET", path)).status == 200


def test_both_headers_take_a_key(address: str) -> None:
    both = (*with_key("shop"), ("X-API-Key", secret_of("shop")))
    for headers in (with_key("shop"), both, both[1:]):
        assert ask(address, recommending("sony"), headers).status == 200


def test_a_rate_is_counted_in_queries_and_for_one_key_alone(address: str) -> None:
    over = ask(address, recommending("a", "b", "c"), with_key("slow"))
    refused = [ask(address, recommending("a"), with_key("slow")) for _ in range(3)]
    other = ask(address, recommending("a"), with_key("shop"))

    assert (over.status, other.status) == (200, 200)
    for answer in refused:
        must_be_a_problem(answer, 429, "rate_limited")
        assert 90 <= int(answer.headers["retry-after"]) <= 100  # 1 query in 100 s


def test_the_promise_of_a_key_decides_and_is_told(address: str, shelf: Path) -> None:
    (right,) = open_tiny(shelf / "two").recommend([BETWEEN], k=1)
    assert right.similarity is not None
    assert 0.8 <= right.similarity < 0.99
    told = {
        key: ask(address, request("GET", "/info"), with_key(key)).json for key in ("shop", "picky")
    }
    got = {
        key: ask(address, recommending(BETWEEN), with_key(key)).json["results"][0]
        for key in ("shop", "picky", "shop")  # and the cache keeps them apart
    }

    assert {key: one["target_precision"] for key, one in told.items()} == {
        "shop": DEFAULT,
        "picky": STRICT,
    }
    assert (got["shop"]["decision"], got["shop"]["target_precision"]) == ("auto_accepted", DEFAULT)
    assert (got["picky"]["decision"], got["picky"]["target_precision"]) == ("manual_review", STRICT)


def test_a_bundle_without_the_promise_of_a_key_is_not_swapped_in(address: str, shelf: Path) -> None:
    before = ask(address, request("GET", "/admin/bundle"), with_key("ops")).json["current"]
    refused = ask(address, request("POST", "/admin/bundle", {"bundle": "one"}), with_key("ops"))
    after = ask(address, request("GET", "/admin/bundle"), with_key("ops")).json["current"]

    must_be_a_problem(refused, 422, "bundle_refused")
    assert "key picky needs the operating point 0.98" in refused.json["detail"]
    assert before == after
    assert before["folder"] == str(shelf / "two")


def test_no_key_no_hash_and_no_text_is_in_the_log_or_the_metrics(
    shelf: Path, tmp_path: Path
) -> None:
    secret = "Zyxwv Grommet 7741"
    keys = write_keys(tmp_path / "keys.toml", *ENTRIES.values())
    with service_process(tmp_path / "log", *arguments(shelf / "two", keys)) as process:
        address = process.ready_address()
        for body in (
            {"queries": [secret, {"id": secret, "text": secret}]},
            {"queries": [{"id": "x", "text": secret, secret: 1}]},
            {"queries": [secret], secret: secret},
            {"queries": [secret] * 2000},
            {"queries": [secret], "fields": [secret]},
            [secret],
        ):
            ask(address, request("POST", "/recommend", body), with_key("shop"))
        ask(
            address,
            request("POST", "/recommend", f'{{"queries": ["{secret}"'.encode()),
            with_key("shop"),
        )
        for path in ("/embed", "/v1/embeddings", "/recommend/stream", "/admin/bundle"):
            body = {"texts": [secret], "input": secret, "bundle": secret}
            ask(
                address,
                request("POST", path, body),
                with_key("shop" if "admin" not in path else "ops"),
            )
        ask(address, recommending(secret), with_key("desk"))
        ask(address, recommending(secret), (("Authorization", f"Bearer {secret_of('nobody')}"),))
        ask(address, request("GET", f"/{secret.replace(' ', '-')}?q={secret.replace(' ', '+')}"))
        metrics = ask(address, request("GET", "/metrics")).body.decode()
        write_keys(keys, ENTRIES["shop"] * 2)
        until_complained(process, 1)

    told = (process.said + metrics).lower()
    assert told.count("request answered") >= 14
    for word in secret.lower().split():
        assert word not in told
    for name in (*ENTRIES, "nobody"):
        assert secret_of(name).lower() not in told
        assert digest_of(secret_of(name)) not in told
    assert "secret_of_the_tests" not in told
