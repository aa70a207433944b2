import asyncio
import json
import logging
import math
from collections.abc import AsyncIterator, Coroutine, Generator, Sequence
from contextlib import AbstractAsyncContextManager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.access.keys import ApiKey, Scope, digest_of
from service.access.keys_file import append_key
from service.batching.work import Lane
from service.schemas import MAX_LINE_BYTES
from service.streaming.chunks import CHUNK_LINES
from tests.client import Client, asking
from tests.conversation import Conversation, talking
from tests.gate import Gate, put_gate
from tests.poison import PoisonSession
from tests.tiny import PRODUCTS, write_bundle

PATH = "/recommend/stream"
QUERIES = [{"id": n, "text": PRODUCTS[n % 7][1]} for n in range(100)]
TEXT_LIMIT = "text must have at most 10000 characters"
ID = "id must be a Unicode string of at most 256 characters or a 64-bit integer"


@pytest.fixture(scope="module")
def client(tiny_bundle: Path) -> Generator[Client]:
    with asking(tiny_bundle) as client:
        yield client


def body_of(queries: Sequence[object]) -> bytes:
    return b"".join(json.dumps(query).encode() + b"\n" for query in queries)


def lines_of(client: Client, content: bytes, **what: Any) -> list[dict[str, Any]]:
    """Return what a stream that is sent at once is answered with."""
    response = client.request("POST", PATH, content=content, **what)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in response.text.splitlines()]


def begin(client: Client, **headers: str) -> AbstractAsyncContextManager[Conversation]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return talking(client.app, PATH, named)


def gate_of(client: Client) -> Gate:
    return put_gate(client.serving.opened().bundle.recommender.encoder)


def is_idle(client: Client) -> bool:
    depths = client.serving.answering.batcher.queue.depths()
    return set(depths.values()) == {(0, 0)} and client.serving.streams == 0


async def until_taken(conversation: Conversation, pieces: int) -> None:
    async with asyncio.timeout(20):
        while conversation.taken < pieces:
            await asyncio.sleep(0)


def keys_file(folder: Path, *, queries_per_second: float, burst: int) -> Path:
    path = folder / "keys.toml"
    key = ApiKey(
        name="shop",
        sha256=digest_of("sm_shop"),
        scopes=frozenset({Scope.RECOMMEND}),
        queries_per_second=queries_per_second,
        burst=burst,
    )
    append_key(path, key)
    return path


def test_each_line_gets_what_the_same_query_gets_in_a_body(client: Client) -> None:
    body = {"queries": QUERIES, "k": 3, "fields": ["brand", "category"]}
    expected = client.recommend(body).json()

    lines = lines_of(client, body_of(QUERIES), params={"k": 3, "fields": ["brand", "category"]})

    assert [line.pop("line") for line in lines] == list(range(1, 101))
    assert {line.pop("bundle_id") for line in lines} == {expected["bundle_id"]}
    assert lines == expected["results"]


def test_a_bare_string_is_a_text_and_five_products_come_without_being_asked_for(
    client: Client,
) -> None:
    (line,) = lines_of(client, b'"canon eos r5 body"')

    assert line["id"] is None
    assert len(line["recommendations"]) == 5
    assert line["recommendations"][0]["product_id"] == "p-5"


def test_the_line_comes_first_in_what_a_person_reads(client: Client) -> None:
    response = client.request("POST", PATH, content=b'"sony"\nx')

    assert [text[:9] for text in response.text.splitlines()] == ['{"line":1', '{"line":2']


def test_blank_lines_are_counted_and_not_answered(client: Client) -> None:
    lines = lines_of(client, b'\n \t\r\n"sony"\r\n\n\n"bose"')

    assert [line["line"] for line in lines] == [3, 6]


@pytest.mark.parametrize("content", [b"", b"\n", b" \n\r\n  "])
def test_nothing_is_answered_with_nothing(client: Client, content: bytes) -> None:
    assert lines_of(client, content) == []


HOSTILE: dict[str, tuple[bytes, str, str]] = {
    "a word": (b"sony", "not_json", "the line is not JSON: Expecting value at column 1"),
    "JSON cut off": (b'{"text": "sony"', "not_json", "column 16"),
    "two values": (b'"sony" "bose"', "not_json", "Extra data at column 8"),
    "two values parted by a carriage return": (b'"sony"\r"bose"', "not_json", "Extra data"),
    "single quotes": (b"{'text': 'sony'}", "not_json", "column 2"),
    "Latin-1": (b'"caf\xe9"', "not_json", "the line is not UTF-8: byte 4"),
    "UTF-16": ('"sony"'.encode("utf-16-le"), "not_json", "column 2"),
    "surrogates in UTF-8": (b'"\xed\xa0\x80"', "not_json", "not UTF-8: byte 1"),
    "a raw control character": (b'"so\x00ny"', "not_json", "Invalid control character"),
    "NaN": (b'{"text": NaN}', "not_json", "NaN"),
    "a number of 5,000 digits": (b"9" * 5000, "not_json", "far too long"),
    "100,000 brackets": (b"[" * 100_000, "not_json", "the line is nested too deeply"),
    "a number": (b"3", "invalid_request", "line must be a string or an object"),
    "null": (b"null", "invalid_request", "line must be a string or an object"),
    "a list": (b'["sony"]', "invalid_request", "line must be a string or an object"),
    "a whole body": (b'{"queries": ["sony"]}', "invalid_request", "text is missing (and 1 more)"),
    "no text": (b'{"id": 1}', "invalid_request", "text is missing"),
    "null as a text": (b'{"text": null}', "invalid_request", "text must be a string"),
    "a boolean id": (b'{"text": "x", "id": true}', "invalid_request", ID),
    "an unknown key": (b'{"text": "x", "k": 5}', "invalid_request", "k is no key of this object"),
    "17 keys": (
        json.dumps({f"key {n}": n for n in range(17)}).encode(),
        "invalid_request",
        "line has 17 keys",
    ),
    "a text of 10,001 characters": (b'"' + b"x" * 10_001 + b'"', "invalid_request", TEXT_LIMIT),
    "a line that is too long": (
        b'"' + b"x" * MAX_LINE_BYTES + b'"',
        "invalid_request",
        f"line must have at most {MAX_LINE_BYTES} bytes",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_bad_line_is_told_why_and_harms_no_other(client: Client, name: str) -> None:
    content, code, detail = HOSTILE[name]

    before, bad, after = lines_of(client, b'"sony"\n' + content + b'\n"canon eos r5 body"\n')

    assert set(bad) == {"line", "error"}
    assert (bad["line"], bad["error"]["code"]) == (2, code)
    assert detail in bad["error"]["detail"]
    assert (before["line"], after["line"]) == (1, 3)
    assert after["recommendations"][0]["product_id"] == "p-5"


@pytest.mark.parametrize(
    "text",
    ["x" * 10_000, "\U0001f3a7" * 10_000, "\ud800", "\x00", "", "[CLS]", "sony " * 2000],
)
def test_any_text_within_the_limits_is_a_query_however_json_writes_it(
    client: Client, text: str
) -> None:
    query = {"id": "\U0001f3a7" * 256, "text": text}
    (expected,) = client.recommend({"queries": [query]}).json()["results"]

    (line,) = lines_of(client, json.dumps(query, ensure_ascii=True).encode())

    assert line == {"line": 1, "bundle_id": line["bundle_id"], **expected}


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ("k=0", "k"),
        ("k=101", "k"),
        ("k=five", "k"),
        ("k=5&k=6", "k"),
        ("k=", "k"),
        ("k=%2B5", "k"),
        ("k=99999999999999999999", "k"),
        ("top=5", "top"),
        ("fields=colour", "fields[0]"),
        ("fields=brand&fields=", "fields[1]"),
        ("&".join(["fields=brand"] * 101), "fields"),
    ],
)
def test_wrong_parameters_are_refused_before_anything_is_read(
    client: Client, query: str, where: str
) -> None:
    response = client.request("POST", f"{PATH}?{query}", content=b'"sony"')

    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["errors"][0]["where"] == where


def test_another_method_is_told_the_right_one(client: Client) -> None:
    response = client.get(PATH)

    assert (response.status_code, response.headers["allow"]) == (405, "POST")


@given(
    st.lists(st.integers(0, 400), max_size=8),
    st.lists(st.sampled_from([b'"sony"', b'{"text": "bose", "id": 7}', b"", b"bad", b'"caf\xc3']))
    .map(b"\n".join)
    .filter(lambda data: len(data) < 400),
)
def test_the_answer_does_not_depend_on_how_the_network_cuts_the_body(
    client: Client, places: list[int], data: bytes
) -> None:
    ends = [0, *sorted(min(place, len(data)) for place in places), len(data)]

    async def pieces() -> AsyncIterator[bytes]:
        for start, end in pairwise(ends):
            yield data[start:end]
            await asyncio.sleep(0)

    in_pieces = client.request("POST", PATH, content=pieces())

    assert in_pieces.text == client.request("POST", PATH, content=data).text


def test_a_client_that_waits_for_each_answer_gets_it_before_it_sends_on(client: Client) -> None:
    async def ask_and_wait() -> list[object]:
        found: list[object] = []
        async with begin(client) as stream:
            for title in ("canon eos r5 body", "nikon z6 ii body"):
                stream.say(b'"' + title.encode() + b'"\n')
                line = await stream.hear()
                assert line is not None
                found.append((line["line"], line["recommendations"][0]["product_id"]))
            stream.finish()
            found.append(await stream.hear())
        return found

    assert client.run(ask_and_wait()) == [(1, "p-5"), (2, "p-6"), None]


def test_a_client_may_send_everything_before_it_reads(tiny_bundle: Path) -> None:
    async def send_then_read(client: Client) -> list[dict[str, Any]]:
        async with begin(client) as stream:
            stream.reads.clear()
            for query in QUERIES * 10:
                stream.say(body_of([query]))
            stream.finish()
            await until_taken(stream, len(QUERIES) * 10 + 1)
            stream.reads.set()
            return await stream.hear_all()

    with asking(tiny_bundle) as client:
        lines = client.run(send_then_read(client))

    assert [line["line"] for line in lines] == list(range(1, 1001))
    assert [line["id"] for line in lines] == [query["id"] for query in QUERIES * 10]


def test_lines_come_in_order_though_later_ones_are_ready_first(tiny_bundle: Path) -> None:
    async def hold_the_first(client: Client) -> list[dict[str, Any]]:
        gate = gate_of(client)
        gate.open.clear()
        async with begin(client) as stream:
            stream.say(b'"sony"\n')
            await asyncio.to_thread(gate.begun.wait, 20)
            stream.say(b'"\xe2\x80\x8b"\n""\n')  # blank texts need no encoder
            stream.finish()
            await until_taken(stream, 3)
            gate.open.set()
            return await stream.hear_all()

    with asking(tiny_bundle) as client:
        lines = client.run(hold_the_first(client))

    assert [(line["line"], line["reason"]) for line in lines] == [
        (1, "below_threshold"),
        (2, "empty_text"),
        (3, "empty_text"),
    ]


def test_one_bundle_answers_a_stream_from_first_to_last(tmp_path: Path) -> None:
    old = write_bundle(tmp_path / "old").folder
    new = write_bundle(tmp_path / "new", threshold=0.5, seed=1).folder

    async def swap_midway(client: Client) -> tuple[list[dict[str, Any]], str]:
        async with begin(client) as stream:
            stream.say(b'"canon eos r5 body"\n')
            first = await stream.hear()
            await client.serving.keeper.swap(new)
            stream.say(b'"canon eos r5 body"\n')
            stream.finish()
            assert first is not None
            return [first, *await stream.hear_all()], client.serving.opened().manifest.bundle_id

    with asking(old) as client:
        own = client.serving.opened().manifest.bundle_id
        (first, second), other = client.run(swap_midway(client))

    assert first.pop("line") != second.pop("line")
    assert first == second
    assert own == first["bundle_id"] != other


def test_a_poison_text_fails_on_its_own_line(tiny_bundle: Path) -> None:
    with asking(tiny_bundle, cache_bytes=0) as client:
        encoder = client.serving.opened().bundle.recommender.encoder
        token = encoder.tokeniser(["cable"])[0].ids[1]
        session = PoisonSession(tiny_bundle / "encoder.onnx", token=token, harm="raises")
        vars(encoder)["_session"] = session
        lines = lines_of(client, body_of(["sony", "generic cable", "canon eos r5 body"] * 40))

    assert [line["reason"] == "encoder_failed" for line in lines] == [False, True, False] * 40


def test_what_a_client_leaves_behind_is_let_go(tiny_bundle: Path) -> None:
    async def leave_midway(client: Client) -> None:
        gate = gate_of(client)
        gate.open.clear()
        async with begin(client) as stream:
            stream.say(body_of(QUERIES))
            await asyncio.to_thread(gate.begun.wait, 20)
            assert client.serving.answering.batcher.queue.depths()[Lane.BULK][0] > 0
        assert is_idle(client)  # while the encoder still works on some of it
        gate.open.set()

    with asking(tiny_bundle) as client:
        client.run(leave_midway(client))
        client.wait_until(lambda: is_idle(client))
        cancelled = client.sample("surematch_request_cancelled_total", stage="queue")
        coverage = client.sample("surematch_coverage_ratio", window="1d")
        again = lines_of(client, b'"sony"')

    assert cancelled == 1
    assert math.isnan(coverage)  # what nobody got was not answered
    assert again[0]["reason"] == "below_threshold"


def test_a_client_that_leaves_while_nothing_is_under_way_left_while_reading(
    tiny_bundle: Path,
) -> None:
    async def leave(client: Client) -> None:
        async with begin(client) as stream:
            stream.say(b'"so')
            await until_taken(stream, 1)

    with asking(tiny_bundle) as client:
        client.run(leave(client))

        assert client.sample("surematch_request_cancelled_total", stage="read") == 1
        assert is_idle(client)


def test_more_streams_than_may_be_under_way_are_refused(tiny_bundle: Path) -> None:
    async def two(client: Client) -> tuple[int | None, float]:
        async with begin(client) as first:
            first.say(b'"sony"\n')
            await first.hear()
            under_way = client.sample("surematch_streams_in_flight")
            async with begin(client) as second:
                await second.hear_all()
                assert second.headers["retry-after"] == "5"
                status = second.status
            first.say(b'"bose"\n')
            assert (await first.hear() or {})["line"] == 2
        return status, under_way

    with asking(tiny_bundle, max_streams=1) as client:
        status, under_way = client.run(two(client))
        refused = client.sample("surematch_admission_rejected_total", reason="streams")
        later = lines_of(client, b'"sony"')

    assert (status, under_way, refused) == (429, 1, 1)
    assert [line["line"] for line in later] == [1]


def test_a_stream_waits_where_others_fill_the_queue(tiny_bundle: Path) -> None:
    async def crowd(client: Client) -> list[dict[str, Any]]:
        gate = gate_of(client)
        gate.open.clear()
        async with begin(client) as first, begin(client) as second:
            first.say(b'"sony"\n')
            await asyncio.to_thread(gate.begun.wait, 20)
            second.say(b'"bose"\n')
            second.finish()
            await until_taken(second, 2)
            for _ in range(20):
                await asyncio.sleep(0)
            gate.open.set()
            return await second.hear_all()

    with asking(tiny_bundle, max_waiting=1) as client:
        lines = client.run(crowd(client))
        refused = client.sample("surematch_admission_rejected_total", reason="queue_requests")

    assert [line["reason"] for line in lines] == ["below_threshold"]
    assert refused == 0


def test_a_stream_is_refused_at_its_begin_where_the_queue_is_full(tiny_bundle: Path) -> None:
    async def crowd(client: Client) -> int | None:
        gate = gate_of(client)
        gate.open.clear()
        async with begin(client) as first:
            first.say(b'"sony"\n')
            await asyncio.to_thread(gate.begun.wait, 20)
            async with begin(client) as second:
                await second.hear_all()
                gate.open.set()
                return second.status

    with asking(tiny_bundle, max_waiting=1) as client:
        assert client.run(crowd(client)) == 429


def test_lines_that_take_too_long_say_so_and_later_ones_are_answered(tiny_bundle: Path) -> None:
    async def stall(client: Client) -> list[dict[str, Any] | None]:
        gate = gate_of(client)
        gate.open.clear()
        async with begin(client, X_Request_Deadline_Ms="1500") as stream:
            stream.say(b'"sony"\n')
            late = await stream.hear()
            gate.open.set()
            stream.say(b'"bose"\n')
            return [late, await stream.hear()]

    with asking(tiny_bundle) as client:
        late, answered = client.run(stall(client))
        counted = client.sample("surematch_deadline_exceeded_total", stage="encode")

    assert late is not None
    assert answered is not None
    assert (late["line"], late["error"]["code"]) == (1, "deadline_exceeded")
    assert (answered["line"], answered["reason"]) == (2, "below_threshold")
    assert counted == 1


def test_a_client_that_sends_nothing_more_is_told_and_let_go(tiny_bundle: Path) -> None:
    async def fall_silent(client: Client) -> list[dict[str, Any]]:
        async with begin(client, X_Request_Deadline_Ms="800") as stream:
            stream.say(b'"sony"\n\n"half a li')
            return await stream.hear_all()

    with asking(tiny_bundle) as client:
        answered, last = client.run(fall_silent(client))

    assert answered["line"] == 1
    assert last == {
        "line": 3,
        "error": {
            "code": "deadline_exceeded",
            "detail": "nothing came for 0.8 s; send the rest in another stream",
        },
    }


def test_a_client_whose_lines_are_worked_on_is_not_taken_for_silent(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    keys = keys_file(tmp_path, queries_per_second=2.0, burst=CHUNK_LINES)

    async def wait_long(client: Client) -> list[dict[str, Any]]:
        gate = gate_of(client)
        async with begin(client, X_API_Key="sm_shop", X_Request_Deadline_Ms="1200") as stream:
            stream.say(body_of(QUERIES[:CHUNK_LINES]))
            first = [await stream.hear() for _ in range(CHUNK_LINES)]
            gate.open.clear()
            gate.begun.clear()
            stream.say(b'"something new"\n')  # a second for the rate, then the gate
            await asyncio.to_thread(gate.begun.wait, 20)
            await asyncio.sleep(0.4)
            gate.open.set()
            return [line for line in [*first, await stream.hear()] if line is not None]

    with asking(tiny_bundle, keys_file=keys) as client:
        lines = client.run(wait_long(client))

    assert [line["line"] for line in lines] == list(range(1, CHUNK_LINES + 2))
    assert all("reason" in line for line in lines)


def test_a_client_that_does_not_read_is_let_go(tiny_bundle: Path) -> None:
    async def stop_reading(client: Client) -> bool:
        async with begin(client, X_Request_Deadline_Ms="300") as stream:
            stream.say(b"")
            await until_taken(stream, 1)
            stream.reads.clear()
            stream.say(b'"sony"\n')
            async with asyncio.timeout(20):
                while client.serving.streams:
                    await asyncio.sleep(0.01)
            return stream.ended

    with asking(tiny_bundle) as client:
        assert client.run(stop_reading(client)) is False
        assert client.sample("surematch_request_cancelled_total", stage="read") == 1
        assert is_idle(client)


@pytest.mark.parametrize("deadline", ["0", "-1", "x", "3600001"])
def test_a_wrong_deadline_is_refused(client: Client, deadline: str) -> None:
    headers = {"X-Request-Deadline-Ms": deadline}

    assert client.request("POST", PATH, content=b"", headers=headers).status_code == 422


def test_what_comes_beyond_the_largest_stream_is_told_on_a_last_line(tiny_bundle: Path) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield b'"sony"\n'

    with asking(tiny_bundle, max_stream_bytes=30, max_body_bytes=10) as client:
        lines = lines_of(client, pieces())  # pyright: ignore[reportArgumentType]
        counted = {
            result: client.sample("surematch_stream_lines_total", result=result)
            for result in ("answered", "error")
        }

    assert [line["line"] for line in lines] == [1, 2, 3, 4, 5]
    assert lines[-1]["error"] == {
        "code": "body_too_large",
        "detail": "the stream has more than 30 bytes; send the rest in another",
    }
    assert counted == {"answered": 4, "error": 1}


def test_a_stream_announced_as_too_large_is_refused_unread(tiny_bundle: Path) -> None:
    with asking(tiny_bundle, max_stream_bytes=30) as client:
        response = client.request("POST", PATH, content=b'"sony"\n' * 5)

    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")


def test_a_stream_may_be_larger_than_a_body(tiny_bundle: Path) -> None:
    with asking(tiny_bundle, max_body_bytes=100, max_queries=2) as client:
        assert len(lines_of(client, body_of(QUERIES))) == 100


def test_a_key_over_its_rate_is_waited_for(tiny_bundle: Path, tmp_path: Path) -> None:
    keys = keys_file(tmp_path, queries_per_second=2.0, burst=CHUNK_LINES)
    with asking(tiny_bundle, keys_file=keys) as client:
        headers = {"X-API-Key": "sm_shop"}
        lines = lines_of(client, body_of(QUERIES[: CHUNK_LINES + 1]), headers=headers)

    assert all("reason" in line for line in lines)
    assert len(lines) == CHUNK_LINES + 1


def test_lines_that_a_rate_would_hold_back_too_long_are_refused_one_by_one(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    keys = keys_file(tmp_path, queries_per_second=0.001, burst=CHUNK_LINES)
    with asking(tiny_bundle, keys_file=keys) as client:
        headers = {"X-API-Key": "sm_shop"}
        content = body_of(QUERIES[:CHUNK_LINES]) + b"bad\n" + body_of(["sony", "bose"])
        lines = lines_of(client, content, headers=headers)
        counted = client.sample("surematch_admission_rejected_total", reason="rate")

    assert all("reason" in line for line in lines[:CHUNK_LINES])
    codes = [line["error"]["code"] for line in lines[CHUNK_LINES:]]
    assert codes == ["not_json", "rate_limited", "rate_limited"]
    assert counted == 1


def test_a_stream_needs_a_key_where_others_do(tiny_bundle: Path, tmp_path: Path) -> None:
    keys = keys_file(tmp_path, queries_per_second=10.0, burst=10)
    with asking(tiny_bundle, keys_file=keys) as client:
        assert client.request("POST", PATH, content=b'"sony"').status_code == 401


def test_queries_of_a_stream_are_counted_like_all_others(
    tiny_bundle: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="service")
    with asking(tiny_bundle) as client:
        lines_of(client, b'"canon eos r5 body"\n"a secret text"\n""\nbad\n')
        reasons = {
            reason: client.sample(
                "surematch_recommendations_total", decision=decision, reason=reason
            )
            for decision, reason in (
                ("auto_accepted", "above_threshold"),
                ("manual_review", "below_threshold"),
                ("manual_review", "empty_text"),
            )
        }
        coverage = client.sample("surematch_coverage_ratio", window="5m")
        requests = client.sample(
            "surematch_http_requests_total", route=PATH, method="POST", code="200"
        )

    assert reasons == {"above_threshold": 1, "below_threshold": 1, "empty_text": 1}
    assert coverage == pytest.approx(1 / 3)
    assert requests == 1
    assert [vars(record)["queries"] for record in caplog.records if "queries" in vars(record)] == [
        3
    ]
    assert "secret" not in str([vars(record) for record in caplog.records])


def test_a_bug_fails_its_lines_and_the_stream_goes_on(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with asking(tiny_bundle) as client:
        right = client.serving.answering.recommend

        def wrong(texts: Sequence[str], **rest: Any) -> Coroutine[Any, Any, Any]:
            if "bug" in texts:
                message = "a secret text"
                raise LookupError(message)
            return right(texts, **rest)

        async def ask() -> list[Any]:
            monkeypatch.setattr(client.serving.answering, "recommend", wrong)
            async with begin(client) as stream:
                stream.say(b'"bug"\n')
                failed = await stream.hear()
                stream.say(b'"sony"\n')
                return [failed, await stream.hear()]

        failed, answered = client.run(ask())

    assert failed["error"]["code"] == "internal_error"
    assert "secret" not in failed["error"]["detail"]
    assert answered["reason"] == "below_threshold"
    assert [record.message for record in caplog.records] == ["lines of a stream failed"]


def test_a_service_that_stops_says_so_on_the_lines_it_leaves(tiny_bundle: Path) -> None:
    async def stop(client: Client) -> dict[str, Any] | None:
        gate = gate_of(client)
        gate.open.clear()
        async with begin(client) as stream:
            stream.say(b'"sony"\n')
            await asyncio.to_thread(gate.begun.wait, 20)
            client.serving.answering.close()
            left = await stream.hear()
            gate.open.set()
            return left

    with asking(tiny_bundle) as client:
        left = client.run(stop(client))

    assert left is not None
    assert left["error"]["code"] == "not_ready"
