"""Requests that nobody should send: each has its exact answer, and the next one a normal one."""

import json
from collections.abc import AsyncIterator, Generator
from pathlib import Path
from typing import Any

import pytest

from tests.client import Client, asking

MAX_BODY_BYTES = 400_000
NORMAL = {"queries": [{"id": "normal", "text": "canon eos r5 body"}], "k": 2}

ID = "must be a Unicode string of at most 256 characters or a 64-bit integer"
LONG_TEXT = "must have at most 10000 characters"

REVIEWED: dict[str, tuple[Any, str, bool]] = {
    "empty text": ("", "empty_text", False),
    "blank text": (" \t\n\u00a0\u200b", "empty_text", False),
    "nothing but a mark of direction": ("\u202e", "empty_text", False),
    "a text of 10,000 characters": ("x" * 10_000, "below_threshold", False),
    "a text of 10,000 words' letters": ("ab " * 3_333, "below_threshold", True),
    "a text of 10,000 astral characters": ("\U0001f3a7" * 10_000, "below_threshold", False),
    "punctuation only": ("!?.,;:-_()[]{}", "below_threshold", True),
    "emoji": ("\U0001f3a7\U0001f468\u200d\U0001f469\u200d\U0001f467", "below_threshold", False),
    "right to left": ("سماعات سوني \u202esony\u202c", "below_threshold", False),
    "NUL": ("sony\x00headphones\x00", "below_threshold", False),
    "every control character": ("".join(map(chr, range(32))) + "x\x7f", "below_threshold", False),
    "a lone high surrogate": ("\ud800", "empty_text", False),
    "a lone low surrogate in a word": ("son\udc00y", "below_threshold", False),
    "surrogates in the wrong order": ("\udc00\ud800", "empty_text", False),
    "the model's own words": ("[CLS] [SEP] [PAD] [UNK] [MASK]", "below_threshold", True),
    "an endless combining character": ("e" + "\u0301" * 5_000, "below_threshold", False),
    "a query language": ("'; DROP TABLE products; --", "below_threshold", False),
    "a format string": ("%s%n {0} ${jndi:ldap://x}", "below_threshold", True),
}
"""Text, reason, truncated: hostile texts that are nevertheless queries."""

REFUSED: dict[str, tuple[Any, str, str]] = {
    "a text of 10,001 characters": ({"queries": ["x" * 10_001]}, "queries[0].text", LONG_TEXT),
    "a text of 100,000 characters": ({"queries": ["x" * 100_000]}, "queries[0].text", LONG_TEXT),
    "one long text among good ones": (
        {"queries": ["sony", {"text": "x" * 10_001}]},
        "queries[1].text",
        LONG_TEXT,
    ),
    "a surrogate in an id": ({"queries": [{"id": "\ud800", "text": "x"}]}, "queries[0].id", ID),
    "an id of 257 characters": ({"queries": [{"id": "i" * 257, "text": "x"}]}, "queries[0].id", ID),
    "a boolean id": ({"queries": [{"id": True, "text": "x"}]}, "queries[0].id", ID),
    "a fractional id": ({"queries": [{"id": 1.0, "text": "x"}]}, "queries[0].id", ID),
    "a huge id": ({"queries": [{"id": 10**100, "text": "x"}]}, "queries[0].id", ID),
    "a list as id": ({"queries": [{"id": [], "text": "x"}]}, "queries[0].id", ID),
    "k of 0": ({"queries": ["x"], "k": 0}, "k", "must be greater than or equal to 1"),
    "k of 101": ({"queries": ["x"], "k": 101}, "k", "must be less than or equal to 100"),
    "negative k": ({"queries": ["x"], "k": -1}, "k", "must be greater than or equal to 1"),
    "huge k": ({"queries": ["x"], "k": 10**100}, "k", "must be less than or equal to 100"),
    "k as a string": ({"queries": ["x"], "k": "5"}, "k", "must be a valid integer"),
    "k as a boolean": ({"queries": ["x"], "k": True}, "k", "must be a valid integer"),
    "k as a fraction": ({"queries": ["x"], "k": 5.0}, "k", "must be a valid integer"),
    "k as null": ({"queries": ["x"], "k": None}, "k", "must be a valid integer"),
    "no queries": (
        {"queries": []},
        "queries",
        "must have at least 1 item after validation, not 0",
    ),
    "1001 queries": (
        {"queries": ["x"] * 1001},
        "queries",
        "holds 1001 queries, at most 1000 are allowed",
    ),
    "queries left out": ({"k": 5}, "queries", "is missing"),
    "queries as one string": ({"queries": "sony"}, "queries", "must be a list"),
    "queries as an object": ({"queries": {"text": "sony"}}, "queries", "must be a list"),
    "a number as a query": ({"queries": [3]}, "queries[0]", "must be a string or an object"),
    "null as a query": ({"queries": [None]}, "queries[0]", "must be a string or an object"),
    "a query without text": ({"queries": [{"id": 1}]}, "queries[0].text", "is missing"),
    "null as a text": ({"queries": [{"text": None}]}, "queries[0].text", "must be a string"),
    "an unknown key": ({"queries": ["x"], "threshold": 0}, "threshold", "is no key of this object"),
    "an unknown key of a query": (
        {"queries": [{"text": "x", "k": 5}]},
        "queries[0].k",
        "is no key of this object",
    ),
    "17 keys": (
        {f"key {n}": n for n in range(17)},
        "body",
        "has 17 keys, of which most are none of this object",
    ),
    "10,000 keys of a query": (
        {"queries": [{f"key {n}": n for n in range(10_000)}]},
        "queries[0]",
        "has 10000 keys, of which most are none of this object",
    ),
    "half a surrogate pair as a key": (
        {"queries": ["x"], "\ud800": 1},
        "body",
        "has a key that is not valid Unicode",
    ),
    "a list": ([{"queries": ["x"]}], "body", "must be an object"),
    "a string": ("sony", "body", "must be an object"),
    "null": (None, "body", "must be an object"),
    "an unknown field": (
        {"queries": ["x"], "fields": ["price"]},
        "fields[0]",
        "is no field of the catalogue, which has: category, brand",
    ),
    "fields as a string": ({"queries": ["x"], "fields": "brand"}, "fields", "must be a list"),
}
"""Body, place, meaning: JSON that asks for nothing this service does."""

NOT_JSON: dict[str, bytes] = {
    "nothing": b"",
    "a form": b"queries=sony",
    "JSON cut off": b'{"queries": ["sony"]',
    "two values": b'{"queries": ["sony"]}{"queries": ["sony"]}',
    "single quotes": b"{'queries': ['sony']}",
    "100,000 brackets": b"[" * 100_000,
    "100,000 objects": b'{"queries":' * 30_000,
    "closed brackets": b"[" * 100_000 + b"]" * 100_000,
    "NaN": b'{"queries": ["x"], "k": NaN}',
    "Infinity": b'{"queries": ["x"], "k": Infinity}',
    "a number of 5,000 digits": b'{"queries": ["x"], "k": ' + b"9" * 5_000 + b"}",
    "Latin-1": b'{"queries": ["caf\xe9"]}',
    "UTF-16": '{"queries": ["sony"]}'.encode("utf-16"),
    "surrogates in UTF-8": b'{"queries": ["\xed\xa0\x80"]}',
    "NUL bytes": b"\x00" * 1000,
    "a raw control character in a string": b'{"queries": ["so\x00ny"]}',
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
}


@pytest.fixture(scope="module")
def client(tiny_bundle: Path) -> Generator[Client]:
    with asking(tiny_bundle, max_body_bytes=MAX_BODY_BYTES) as client:
        yield client


@pytest.fixture(autouse=True)
def _next_request_is_answered(client: Client) -> Generator[None]:  # pyright: ignore[reportUnusedFunction]
    yield
    assert_normal(client)


def assert_normal(client: Client) -> None:
    (result,) = client.recommend(NORMAL).json()["results"]
    assert (result["id"], result["reason"]) == ("normal", "above_threshold")
    assert [one["product_id"] for one in result["recommendations"]] == ["p-5", "p-4"]
    assert client.sample("surematch_requests_in_flight") == 0
    depths = client.serving.answering.batcher.queue.depths()
    assert set(depths.values()) == {(0, 0)}


def assert_problem(response: Any, status: int, code: str) -> dict[str, Any]:
    problem = response.json()
    assert (response.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["x-request-id"]
    return problem


@pytest.mark.parametrize("name", REVIEWED)
def test_a_strange_text_is_a_query_for_a_person(client: Client, name: str) -> None:
    text, reason, truncated = REVIEWED[name]
    body = {"queries": [{"id": 1, "text": text}, text, {"id": 3, "text": "nikon z6 ii body"}]}

    response = client.recommend(body)

    assert response.status_code == 200
    assert "NaN" not in response.text
    strange, bare, normal = response.json()["results"]
    for result in (strange, bare):
        assert (result["decision"], result["reason"]) == ("manual_review", reason)
        assert result["truncated"] is truncated
        assert len(result["recommendations"]) == (0 if reason == "empty_text" else 5)
    assert normal["recommendations"][0]["product_id"] == "p-6"


@pytest.mark.parametrize("name", REFUSED)
def test_a_wrong_shape_is_refused_with_the_place(client: Client, name: str) -> None:
    body, where, what = REFUSED[name]

    problem = assert_problem(client.recommend(body), 422, "invalid_request")

    assert problem["errors"] == [{"where": where, "what": what}]
    assert problem["detail"] == f"{where} {what}"


@pytest.mark.parametrize("name", NOT_JSON)
def test_what_is_not_json_is_refused_as_such(client: Client, name: str) -> None:
    assert_problem(client.send(NOT_JSON[name]), 400, "not_json")


def test_a_body_that_is_too_large_is_refused_with_and_without_its_length(client: Client) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b" " * 100_000

    announced = client.send(b" " * (MAX_BODY_BYTES + 1))
    unannounced = client.request("POST", "/recommend", content=chunks())

    assert "content-length" in announced.request.headers
    assert "content-length" not in unannounced.request.headers
    assert_problem(announced, 413, "body_too_large")
    assert_problem(unannounced, 413, "body_too_large")


def test_a_body_of_exactly_the_limit_is_taken(client: Client) -> None:
    body = json.dumps(NORMAL).encode()

    response = client.send(body + b" " * (MAX_BODY_BYTES - len(body)))

    assert response.status_code == 200


def test_equal_ids_and_equal_keys_are_answered_in_order(client: Client) -> None:
    content = b'{"queries": ["sony"], "queries": [{"id": 1, "text": ""}, {"id": 1, "text": "x"}]}'

    results = client.send(content).json()["results"]

    assert [(one["id"], one["reason"]) for one in results] == [
        (1, "empty_text"),
        (1, "below_threshold"),
    ]


def test_many_wrong_queries_get_a_short_answer(client: Client) -> None:
    response = client.recommend({"queries": [{"secret text": 1}] * 1000})

    problem = assert_problem(response, 422, "invalid_request")
    assert len(problem["errors"]) == 10
    assert "and 1999 more" in problem["detail"]
    assert len(response.content) < 2_000


def test_a_thousand_queries_of_every_kind_are_each_answered(client: Client) -> None:
    short = [text for text, _, _ in REVIEWED.values() if len(text) < 100]
    queries = [{"id": n, "text": short[n % len(short)]} for n in range(1000)]

    results = client.recommend({"queries": queries, "k": 100}).json()["results"]

    assert [result["id"] for result in results] == list(range(1000))
    assert {result["decision"] for result in results} == {"manual_review"}
