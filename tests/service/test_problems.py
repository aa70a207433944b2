import asyncio
import json
from http import HTTPStatus
from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from service.problems import (
    MEDIA_TYPE,
    Code,
    FieldError,
    ProblemError,
    answer_error,
    not_ready,
    problem_response,
)
from service.worker import BusyError


def answered(error: Exception) -> tuple[int, dict[str, Any], dict[str, str]]:
    request = Request({"type": "http", "method": "PUT", "headers": []})
    response = asyncio.run(answer_error(request, error))
    return response.status_code, json.loads(bytes(response.body)), dict(response.headers)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("not_json", 400),
        ("not_found", 404),
        ("method_not_allowed", 405),
        ("body_too_large", 413),
        ("invalid_request", 422),
        ("busy", 429),
        ("internal_error", 500),
        ("not_ready", 503),
    ],
)
def test_each_code_has_its_own_status(code: str, status: int) -> None:
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


def test_no_code_is_left_out_above() -> None:
    assert len({code.status for code in Code}) == len(Code) == 8


def test_errors_are_listed_with_place_and_meaning() -> None:
    error = ProblemError(
        Code.INVALID_REQUEST, "k is wrong", errors=[FieldError(where="k", what="is wrong")]
    )

    assert answered(error)[1]["errors"] == [{"where": "k", "what": "is wrong"}]


def test_a_busy_service_says_when_to_come_back() -> None:
    status, problem, headers = answered(BusyError(7))

    assert (status, problem["code"], headers["retry-after"]) == (429, "busy", "7")


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
