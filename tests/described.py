"""Requests that schemathesis makes from the description, within what it cannot say."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import schemathesis
from fastapi import FastAPI
from schemathesis.core import NotSet
from schemathesis.specs.openapi.checks import negative_data_rejection
from starlette.types import Receive, Scope, Send

from service.contract.text import MAX_TEXT_CHARACTERS
from service.line_schemas import LINES_MEDIA_TYPE
from service.schemas import (
    DEADLINE_HEADER,
    MAX_DEADLINE_MS,
    MAX_FIELDS,
    MAX_FILTER_CHARACTERS,
    MAX_FILTER_FIELDS,
    MAX_FILTER_VALUES,
    MAX_PATH_CHARACTERS,
)
from tests.tiny import DIM, MAX_TOKENS

BUNDLE = "tiny"
"""The name that the folder of a described bundle must have."""


def once_ready(app: FastAPI) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """Return an app that holds requests back until its bundle is open.

    So no answer depends on the time.
    """

    async def ready_app(scope: Scope, receive: Receive, send: Send) -> None:
        while scope["type"] == "http" and app.state.serving.generation is None:
            await asyncio.sleep(0.005)
        await app(scope, receive, send)

    return ready_app


def call_and_check(case: schemathesis.Case[Any], *, key: str | None = None) -> None:
    """Send a request, with ``key`` where one is needed, and check its answer with every check."""
    case.body = _within_description(case.body)
    case.path_parameters = _within_description(case.path_parameters)
    case.query = _within_description(case.query)
    case.headers = _with_time_enough(case.headers)
    for name in ("Authorization", "X-API-Key"):  # invented ones; a second key would be refused
        case.headers.pop(name, None)
    headers = None if key is None else {"Authorization": f"Bearer {key}"}
    case.call_and_validate(excluded_checks=_senseless_checks(case), headers=headers)


def _senseless_checks(case: schemathesis.Case[Any]) -> list[Any]:
    # a line that the description forbids is refused on a line of the answer, which begins with 200
    is_stream = case.path in ("/recommend/stream", "/products")
    # a body that may be left out is none that must be refused
    is_left_out = case.path == "/admin/bundle" and isinstance(case.body, NotSet)
    return [negative_data_rejection] if is_stream or is_left_out else []


def _with_time_enough(headers: Any) -> Any:
    """Return headers whose deadline, where it is a good one, is never over."""
    given = (headers or {}).get(DEADLINE_HEADER)
    if given is not None and str(given).isdecimal() and 1 <= int(given) <= MAX_DEADLINE_MS:
        headers[DEADLINE_HEADER] = str(MAX_DEADLINE_MS)
    return headers


@schemathesis.serializer(LINES_MEDIA_TYPE)
def _as_line(_context: object, value: object) -> bytes:
    return json.dumps(value).encode() + b"\n"


def _within_description(value: Any) -> Any:
    """Return a value without what JSON Schema cannot forbid.

    That is 5.0 for 5, and what only the bundle knows: its name, fields, dimensions and token ids,
    and what its tokenizer takes for blank.
    """
    if isinstance(value, dict):
        if _are_names(value.get("fields")):
            value["fields"] = ["brand"]
        dimensions = value.get("dimensions")
        if isinstance(dimensions, int | float) and dimensions >= 1 and dimensions % 1 == 0:
            value["dimensions"] = DIM
        if isinstance(value.get("bundle"), str) and 0 < len(value["bundle"]) <= MAX_PATH_CHARACTERS:
            value["bundle"] = BUNDLE
        value = _known_names(value)
        if "input" in value:
            value["input"] = _known_input(value["input"])
        return {name: _within_description(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_within_description(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _known_input(value: Any) -> Any:
    """Return texts that are not blank and ids that the tokenizer has, where some are given."""
    if isinstance(value, str) and 0 < len(value) <= MAX_TEXT_CHARACTERS:
        return value if any(one.isascii() and one.isalnum() for one in value) else "x"
    if not isinstance(value, list) or not value:
        return value
    if all(isinstance(one, int | float) and one >= 0 and one == int(one) for one in value):
        is_id = all(not isinstance(one, bool) for one in value)
        return [4 + int(one) % 10 for one in value[: MAX_TOKENS - 2]] if is_id else value
    return [_known_input(one) for one in value] if _are_inputs(value) else value


def _known_names(value: dict[str, Any]) -> dict[str, Any]:
    """Return an object without what is no id of a product and no field of the catalogue."""
    if isinstance(value.get("product_id"), str):
        value["product_id"] = "".join(c if c.isalnum() else "-" for c in value["product_id"])
    if isinstance(value.get("filter"), dict):
        value["filter"] = _known_filter(value["filter"])
    return _known_product(value) if isinstance(value.get("title"), str) else value


def _known_product(value: dict[str, Any]) -> dict[str, Any]:
    """Return a product whose title is not blank, without good values of unknown fields."""
    known = ("op", "product_id", "title", "brand", "category")
    kept = {
        name: one
        for name, one in value.items()
        if name in known or not (one is None or isinstance(one, str))
    }
    if 0 < len(value["title"]) <= MAX_TEXT_CHARACTERS:
        kept["title"] = f"x{value['title'][1:]}"
    return kept


def _known_filter(wanted: dict[str, Any]) -> dict[str, Any]:
    """Return a good filter with a field that there is in place of its own; a bad one as it is."""
    values = list(wanted.values())
    lists = [one if isinstance(one, list) else [one] for one in values]
    is_good = 0 < len(lists) <= MAX_FILTER_FIELDS and all(
        0 < len(some) <= MAX_FILTER_VALUES
        and all(isinstance(one, str) and len(one) <= MAX_FILTER_CHARACTERS for one in some)
        for some in lists
    )
    return {"brand": values[0]} if is_good else wanted


def _are_inputs(values: list[Any]) -> bool:
    return all(isinstance(value, str | list) for value in values)


def _are_names(fields: object) -> bool:
    if not isinstance(fields, list) or len(fields) > MAX_FIELDS:
        return False
    return all(isinstance(name, str) for name in fields)
