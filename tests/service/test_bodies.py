import asyncio
from collections.abc import Sequence

import pytest
from starlette.requests import Request
from starlette.types import Message

from service.bodies import (
    MAX_ERRORS,
    invalid_request,
    parse_json,
    parse_recommend_request,
    parse_swap_request,
    read_body,
    refuse_unknown_fields,
)
from service.problems import Code, FieldError, ProblemError


class Upload:
    """A client that sends a body in chunks, and knows how many were taken."""

    def __init__(self, chunks: Sequence[bytes], *, announced: str | None = None) -> None:
        self.chunks = list(chunks)
        self.taken = 0
        self.announced = announced

    async def receive(self) -> Message:
        chunk = self.chunks[self.taken]
        self.taken += 1
        more = self.taken < len(self.chunks)
        return {"type": "http.request", "body": chunk, "more_body": more}

    def request(self) -> Request:
        headers = [] if self.announced is None else [(b"content-length", self.announced.encode())]
        return Request({"type": "http", "headers": headers}, self.receive)


def read(upload: Upload, *, max_bytes: int = 10) -> bytes:
    return asyncio.run(read_body(upload.request(), max_bytes=max_bytes))


def refusal(body: bytes) -> ProblemError:
    with pytest.raises(ProblemError) as refused:
        parse_recommend_request(body, max_queries=3)
    return refused.value


@pytest.mark.parametrize("chunks", [[b"0123456789"], [b"01234", b"56789"], [b""] * 5, [b"0"] * 10])
def test_a_body_up_to_the_limit_is_read_whole(chunks: list[bytes]) -> None:
    assert read(Upload(chunks)) == b"".join(chunks)
    assert read(Upload(chunks, announced="10")) == b"".join(chunks)


@pytest.mark.parametrize("announced", ["11", "99999999999999999999", "0000011"])
def test_a_body_announced_as_too_large_is_refused_unread(announced: str) -> None:
    upload = Upload([b"x"], announced=announced)
    with pytest.raises(ProblemError) as refused:
        read(upload)

    assert refused.value.code is Code.BODY_TOO_LARGE
    assert upload.taken == 0


@pytest.mark.parametrize("announced", [None, "3", "nonsense", "²", "-1", ""])
def test_a_body_that_turns_out_too_large_is_refused_at_the_chunk_that_is_too_much(
    announced: str | None,
) -> None:
    upload = Upload([b"01234", b"56789", b"x", b"never", b"read"], announced=announced)
    with pytest.raises(ProblemError) as refused:
        read(upload)

    assert refused.value.code is Code.BODY_TOO_LARGE
    assert upload.taken == 3


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a": [1, "x", null, true]}', {"a": [1, "x", None, True]}),
        (b"\xef\xbb\xbf[]", []),
        (b' "\\ud800" ', "\ud800"),
        (b"1e400", float("inf")),
    ],
)
def test_json_is_read_as_it_is(body: bytes, value: object) -> None:
    assert parse_json(body) == value


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "Expecting value at line 1 column 1"),
        (b"sony headphones", "Expecting value"),
        (b'{"queries": ["x"]', "line 1 column 18"),
        (b"[1] [2]", "Extra data"),
        (b"\xff\xfe[\x00]\x00", "not UTF-8: byte 0"),
        (b'["\xed\xa0\x80"]', "not UTF-8: byte 2"),
        (b"[NaN]", "NaN"),
        (b"[-Infinity]", "NaN, infinite"),
        (b"9" * 5000, "too long"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
    ],
)
def test_what_is_not_json_is_refused_with_the_reason(body: bytes, detail: str) -> None:
    with pytest.raises(ProblemError) as refused:
        parse_json(body)

    assert refused.value.code is Code.NOT_JSON
    assert detail in refused.value.detail


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        (b"[]", [("body", "must be an object")]),
        (b"null", [("body", "must be an object")]),
        (b"{}", [("queries", "is missing")]),
        (b'{"queries": []}', [("queries", "must have at least 1 item after validation, not 0")]),
        (b'{"queries": [1,2,3,4]}', [("queries", "holds 4 queries, at most 3 are allowed")]),
        (b'{"queries": [3]}', [("queries[0]", "must be a string or an object")]),
        (b'{"queries": ["x", {"text": 3}]}', [("queries[1].text", "must be a string")]),
        (b'{"queries": ["x"], "k": 0}', [("k", "must be greater than or equal to 1")]),
        (b'{"queries": ["x"], "k": "5"}', [("k", "must be a valid integer")]),
        (b'{"queries": ["x"], "top": 5}', [("top", "is no key of this object")]),
        (b'{"queries": ["x"], "\\u00e9": 5}', [("(unnamed)", "is no key of this object")]),
        (b'{"queries": ["x"], "\\ud800": 5}', [("body", "has a key that is not valid Unicode")]),
        (
            b'{"queries": [{"id": true}]}',
            [
                (
                    "queries[0].id",
                    "must be a Unicode string of at most 256 characters or a 64-bit integer",
                ),
                ("queries[0].text", "is missing"),
            ],
        ),
    ],
)
def test_a_wrong_shape_is_told_value_by_value(body: bytes, errors: list[tuple[str, str]]) -> None:
    refused = refusal(body)

    assert refused.code is Code.INVALID_REQUEST
    assert [(error.where, error.what) for error in refused.errors] == errors
    assert refused.detail.startswith(f"{errors[0][0]} {errors[0][1]}")


def test_of_many_errors_the_first_are_named_and_all_are_counted() -> None:
    errors = [FieldError(where=f"queries[{n}]", what="is wrong") for n in range(50)]

    refused = invalid_request(errors)

    assert refused.errors == tuple(errors[:MAX_ERRORS])
    assert refused.detail == "queries[0] is wrong (and 49 more)"


def test_the_key_of_a_client_is_not_repeated_when_it_is_long() -> None:
    assert "secret" not in refusal(b'{"%s": 1}' % (b"secret" * 100)).detail


def test_an_unknown_field_is_told_by_its_place_with_what_there_is() -> None:
    with pytest.raises(ProblemError) as refused:
        refuse_unknown_fields(["brand", "colour"], ["category", "brand"])
    with pytest.raises(ProblemError, match="which has: none"):
        refuse_unknown_fields(["x"], [])
    refuse_unknown_fields(["brand"], ["brand"])

    (error,) = refused.value.errors
    assert error.where == "fields[1]"
    assert error.what == "is no field of the catalogue, which has: category, brand"


@pytest.mark.parametrize(
    ("body", "bundle"), [(b"", None), (b" \n", None), (b"{}", None), (b'{"bundle": "b-1"}', "b-1")]
)
def test_a_swap_may_name_a_bundle_or_none(body: bytes, bundle: str | None) -> None:
    assert parse_swap_request(body).bundle == bundle


@pytest.mark.parametrize("body", [b'{"bundle": 3}', b'{"bundle": ""}', b'{"path": "x"}', b"[]"])
def test_a_swap_of_another_shape_is_refused(body: bytes) -> None:
    with pytest.raises(ProblemError) as refused:
        parse_swap_request(body)

    assert refused.value.code is Code.INVALID_REQUEST
