import json
from http import HTTPStatus
from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from service.access.bucket import RateLimitError
from service.access.door import NoKeyError, NotPermittedError
from service.access.keys import Scope
from service.batching.admission import BusyError, Refusal
from service.batching.ticket import DeadlineError, StoppedError
from service.live.outcomes import NoPreviousError, RefusedError
from service.problems import (
    MEDIA_TYPE,
    Code,
    FieldError,
    ProblemError,
    not_ready,
    problem_of,
    problem_response,
)
from service.refusals import ANSWERED_ERRORS


def answered(error: Exception) -> tuple[int, dict[str, Any], dict[str, str]]:
    request = Request({"type": "http", "method": "PUT", "headers": []})
    response = problem_response(problem_of(request, error))
    return response.status_code, json.loads(bytes(response.body)), dict(response.headers)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("not_json", 400),
        ("no_key", 401),
        ("not_permitted", 403),
        ("not_found", 404),
        ("model_not_found", 404),
        ("method_not_allowed", 405),
        ("no_previous", 409),
        ("body_too_large", 413),
        ("invalid_request", 422),
        ("bundle_refused", 422),
        ("busy", 429),
        ("rate_limited", 429),
        ("internal_error", 500),
        ("encoder_failed", 500),
        ("not_ready", 503),
        ("deadline_exceeded", 504),
    ],
)
def test_each_code_has_one_status(code: str, status: int) -> None:
    response = problem_response(ProblemError(Code(code), "why"))

    assert response.status_code == status
    assert response.headers["content-type"] == MEDIA_TYPE
    assert json.loads(bytes(response.body)) == {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": "why",
        "code": code,
    }


def test_errors_are_listed_with_place_and_meaning() -> None:
    error = ProblemError(
        Code.INVALID_REQUEST, "k is wrong", errors=[FieldError(where="k", what="is wrong")]
    )

    assert answered(error)[1]["errors"] == [{"where": "k", "what": "is wrong"}]


REFUSALS = [
    (BusyError(Refusal.QUEUE_TOKENS, 7), 429, "busy", {"retry-after": "7"}),
    (RateLimitError(3), 429, "rate_limited", {"retry-after": "3"}),
    (NoKeyError(), 401, "no_key", {"www-authenticate": "Bearer"}),
    (NotPermittedError(Scope.ADMIN), 403, "not_permitted", {}),
    (DeadlineError("queue"), 504, "deadline_exceeded", {}),
    (StoppedError(), 503, "not_ready", {"retry-after": "1"}),
    (RefusedError("torn"), 422, "bundle_refused", {}),
    (NoPreviousError("none"), 409, "no_previous", {}),
]


@pytest.mark.parametrize(("error", "status", "code", "headers"), REFUSALS)
def test_a_refusal_says_why_and_when_to_come_back(
    error: Exception, status: int, code: str, headers: dict[str, str]
) -> None:
    found, problem, sent = answered(error)

    assert (found, problem["code"]) == (status, code)
    assert headers.items() <= sent.items()


def test_every_error_that_is_an_answer_has_a_problem_of_its_own() -> None:
    own = {type(refusal[0]) for refusal in REFUSALS}

    assert own | {ProblemError, HTTPException} == set(ANSWERED_ERRORS)


def test_a_service_that_is_not_ready_says_when_to_come_back() -> None:
    assert answered(not_ready("soon"))[2]["retry-after"] == "1"


def test_a_path_that_is_none_is_not_found() -> None:
    status, problem, _ = answered(HTTPException(404))

    assert (status, problem["code"]) == (404, "not_found")


def test_a_wrong_method_is_told_the_right_ones() -> None:
    status, problem, headers = answered(HTTPException(405, headers={"Allow": "POST"}))

    assert (status, problem["code"], headers["allow"]) == (405, "method_not_allowed", "POST")


@pytest.mark.parametrize("error", [KeyError("secret"), HTTPException(418, "secret")])
def test_any_other_failure_is_a_bug_and_says_nothing_of_itself(error: Exception) -> None:
    status, problem, _ = answered(error)

    assert (status, problem["code"]) == (500, "internal_error")
    assert "secret" not in json.dumps(problem)


@pytest.mark.parametrize(
    ("code", "openai_type"),
    [
        ("invalid_request", "invalid_request_error"),
        ("not_found", "invalid_request_error"),
        ("no_key", "authentication_error"),
        ("busy", "rate_limit_error"),
        ("rate_limited", "rate_limit_error"),
        ("internal_error", "server_error"),
        ("deadline_exceeded", "server_error"),
    ],
)
def test_an_error_can_be_told_in_the_words_of_openai_as_well(code: str, openai_type: str) -> None:
    errors = [FieldError(where="input[3]", what="is wrong"), FieldError(where="x", what="too")]
    error = ProblemError(Code(code), "why", errors=errors)

    own = json.loads(bytes(problem_response(error).body))
    both = json.loads(bytes(problem_response(error, for_openai=True).body))

    told = both.pop("error")
    assert told == {"message": "why", "type": openai_type, "param": "input[3]", "code": code}
    assert both == own
