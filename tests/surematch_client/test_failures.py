import json

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from surematch_client import errors
from surematch_client.failures import (
    Answer,
    api_error_of,
    retry_after_seconds,
    transport_error_of,
)

SECRET_URL = "http://user:hunter2@host:81/recommend"


def answer(status: int, body: bytes = b"", **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, httpx.Headers(named), body)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "not_json", errors.InvalidRequestError),
        (401, "no_key", errors.AuthenticationError),
        (403, "not_permitted", errors.PermissionDeniedError),
        (404, "not_found", errors.ApiError),
        (405, "method_not_allowed", errors.ApiError),
        (409, "no_previous", errors.ApiError),
        (413, "body_too_large", errors.InvalidRequestError),
        (422, "invalid_request", errors.InvalidRequestError),
        (422, "bundle_refused", errors.BundleRefusedError),
        (429, "busy", errors.BusyError),
        (429, "rate_limited", errors.BusyError),
        (429, "a_code_of_next_year", errors.BusyError),
        (500, "internal_error", errors.ServerError),
        (502, "http_502", errors.ServerError),
        (503, "not_ready", errors.NotReadyError),
        (504, "deadline_exceeded", errors.DeadlineError),
        (302, "http_302", errors.ApiError),
    ],
)
def test_an_error_is_of_the_class_of_who_must_act(
    status: int, code: str, kind: type[errors.ApiError]
) -> None:
    body = json.dumps({"code": code, "detail": "why", "status": status}).encode()

    error = api_error_of(answer(status, body), now=0.0)

    assert type(error) is kind
    assert (error.code, error.status, error.detail) == (code, status, "why")


def test_an_error_carries_all_that_the_problem_says() -> None:
    problem = {
        "code": "invalid_request",
        "detail": "queries[0].text is missing (and 1 more)",
        "errors": [{"where": "queries[0].text", "what": "is missing"}, {"where": 3}, "x"],
    }
    headers = {"x_request_id": "r-7", "retry_after": "4"}

    error = api_error_of(answer(422, json.dumps(problem).encode(), **headers), now=0.0)

    assert error.errors == (errors.FieldError("queries[0].text", "is missing"),)
    assert (error.request_id, error.retry_after_seconds) == ("r-7", 4.0)
    assert str(error) == (
        "422 invalid_request: queries[0].text is missing (and 1 more) (request r-7)"
    )


@pytest.mark.parametrize("body", [b"<html>\nBad gateway", b"", b"\xff\xfe", b"[1]", b'{"code": 7}'])
def test_a_proxys_own_page_goes_by_its_status(body: bytes) -> None:
    error = api_error_of(answer(502, body, content_type="text/html; charset=utf-8"), now=0.0)

    assert type(error) is errors.ServerError
    assert error.code == "http_502"
    assert error.detail == (
        f"no problem document came with this status, but {len(body)} bytes of text/html"
    )


def test_a_detail_is_one_line_of_a_sane_length() -> None:
    body = json.dumps({"detail": "a\r\n b" + "c" * 1000}).encode()

    detail = api_error_of(answer(500, body), now=0.0).detail

    assert detail.startswith("a bc")
    assert len(detail) == 500


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("Thu, 01 Jan 1970 00:02:00 GMT", 20.0),
        ("Thu, 01 Jan 1970 00:02:00 -0000", 20.0),
        ("Thu, 01 Jan 1970 01:02:00 +0100", 20.0),
        ("Thu, 01 Jan 1970 00:00:10 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("-3", None),
        ("1e9", None),
        ("nan", None),
        ("٣", None),
        ("9" * 5000, None),
        ("Thu, 99 Jan 1970 00:00:10 GMT", None),
    ],
)
def test_the_time_to_come_back_is_seconds_or_a_date(asked: str, seconds: float | None) -> None:
    headers = httpx.Headers({b"Retry-After": asked.encode()})

    assert retry_after_seconds(headers, now=100.0) == seconds


def test_a_date_counts_from_the_senders_clock() -> None:
    headers = httpx.Headers(
        {
            "Date": "Wed, 18 Nov 2026 10:00:00 GMT",
            "Retry-After": "Wed, 18 Nov 2026 10:00:03 GMT",
        }
    )

    assert retry_after_seconds(headers, now=0.0) == 3.0


@given(st.text() | st.from_regex(r"\w{3}, \d+ \w{3} \d+ \d+:\d+:\d+ [A-Z+0-9-]*"))
def test_no_time_to_come_back_breaks_the_client(asked: str) -> None:
    seconds = retry_after_seconds(httpx.Headers({b"retry-after": asked.encode()}), now=0.0)

    assert seconds is None or seconds >= 0.0


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (httpx.ConnectError("refused"), errors.UnreachableError),
        (httpx.ConnectTimeout(""), errors.UnreachableError),
        (httpx.ProxyError("no"), errors.UnreachableError),
        (httpx.ReadTimeout(""), errors.TimedOutError),
        (httpx.WriteTimeout(""), errors.TimedOutError),
        (httpx.PoolTimeout(""), errors.TimedOutError),
        (httpx.ReadError("reset"), errors.ConnectionLostError),
        (httpx.WriteError("reset"), errors.ConnectionLostError),
        (httpx.CloseError("reset"), errors.ConnectionLostError),
        (httpx.RemoteProtocolError("torn"), errors.ConnectionLostError),
        (httpx.DecodingError("not gzip"), errors.InvalidResponseError),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_failure_of_a_connection_has_our_word_without_a_password(
    found: httpx.RequestError, kind: type[errors.SurematchClientError]
) -> None:
    found.request = httpx.Request("POST", SECRET_URL)

    error = transport_error_of(found)

    assert type(error) is kind
    assert "http://host:81/recommend" in str(error)
    assert "hunter2" not in str(error)


def test_every_failure_that_httpx_names_becomes_one_of_ours() -> None:
    pending, found = [httpx.RequestError], list[type[httpx.RequestError]]()
    while pending:
        kind = pending.pop()
        found.append(kind)
        pending += kind.__subclasses__()

    made = [
        transport_error_of(kind("what", request=httpx.Request("GET", "http://host")))
        for kind in found
    ]

    assert len(made) > 15
    assert {type(each) for each in made} == {
        errors.UnreachableError,
        errors.TimedOutError,
        errors.ConnectionLostError,
        errors.InvalidResponseError,
    }
