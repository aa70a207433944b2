import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import negative_data_rejection
from starlette.types import Receive, Scope, Send

from service.app import create_app
from service.contract.release import RELEASE
from service.contract.text import MAX_TEXT_CHARACTERS
from service.line_schemas import LINES_MEDIA_TYPE
from service.problems import Code
from service.schemas import MAX_FIELDS
from service.settings import Settings
from tests.client import asking
from tests.tiny import DIM, MAX_TOKENS, write_bundle

FOLDER = write_bundle(Path(tempfile.mkdtemp(prefix="surematch-")) / "tiny").folder
app = create_app(Settings(bundle=FOLDER, max_queries=20))


async def ready_app(scope: Scope, receive: Receive, send: Send) -> None:
    """Hold a request back until the bundle is open, so that no answer depends on the time."""
    while scope["type"] == "http" and app.state.serving.generation is None:
        await asyncio.sleep(0.005)
    await app(scope, receive, send)


# loaded when this module is, since the tests below are made from it
schema = schemathesis.openapi.from_asgi("/openapi.json", ready_app)


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    with asking(FOLDER, max_queries=20) as client:
        return client.get("/openapi.json").json()


@schema.parametrize()  # pyright: ignore[reportUntypedFunctionDecorator]  # schemathesis has no type
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_service_keeps_what_its_description_says(case: schemathesis.Case[Any]) -> None:
    """Whatever the description allows is answered as described, whatever it forbids is refused."""
    case.body = _within_description(case.body)
    case.query = _within_description(case.query)

    # a line that the description forbids is refused on a line of the answer, which begins with 200
    excluded = [negative_data_rejection] if case.path == "/recommend/stream" else []
    case.call_and_validate(excluded_checks=excluded)


@schemathesis.serializer(LINES_MEDIA_TYPE)
def _as_line(_context: object, value: object) -> bytes:
    return json.dumps(value).encode() + b"\n"


def _within_description(value: Any) -> Any:
    """Return a value without what JSON Schema cannot forbid.

    That is 5.0 for 5, and what only the bundle knows: its fields, dimensions, token ids, and what
    its tokenizer takes for blank.
    """
    if isinstance(value, dict):
        if _are_names(value.get("fields")):
            value["fields"] = ["brand"]
        dimensions = value.get("dimensions")
        if isinstance(dimensions, int | float) and dimensions >= 1 and dimensions % 1 == 0:
            value["dimensions"] = DIM
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


def _are_inputs(values: list[Any]) -> bool:
    return all(isinstance(value, str | list) for value in values)


def _are_names(fields: object) -> bool:
    if not isinstance(fields, list) or len(fields) > MAX_FIELDS:
        return False
    return all(isinstance(name, str) for name in fields)


@pytest.mark.parametrize(
    ("path", "method", "codes"),
    [
        ("/recommend", "post", {200, 400, 401, 403, 413, 422, 429, 500, 503, 504}),
        ("/recommend/stream", "post", {200, 401, 403, 413, 422, 429, 500, 503}),
        ("/embed", "post", {200, 400, 401, 403, 413, 422, 429, 500, 503, 504}),
        ("/v1/embeddings", "post", {200, 400, 401, 403, 404, 413, 422, 429, 500, 503, 504}),
        ("/livez", "get", {200, 500}),
        ("/readyz", "get", {200, 503}),
        ("/info", "get", {200, 401, 403, 503}),
        ("/metrics", "get", {200}),
        ("/admin/bundle", "get", {200, 401, 403, 500}),
        ("/admin/bundle", "post", {200, 400, 401, 403, 413, 422, 500, 504}),
        ("/admin/rollback", "post", {200, 401, 403, 409, 500}),
    ],
)
def test_every_answer_of_a_route_is_described(
    described: dict[str, Any], path: str, method: str, codes: set[int]
) -> None:
    responses = described["paths"][path][method]["responses"]

    assert {int(code) for code in responses} == codes
    for code in codes - {200}:
        (media_type,) = responses[str(code)]["content"]
        assert media_type == "application/problem+json"


def test_the_description_states_the_limits_of_this_service(described: dict[str, Any]) -> None:
    schemas = described["components"]["schemas"]
    body = schemas["RecommendRequest"]["properties"]

    assert (body["queries"]["minItems"], body["queries"]["maxItems"]) == (1, 20)
    assert (body["k"]["minimum"], body["k"]["maximum"], body["k"]["default"]) == (1, 100, 5)
    assert schemas["EmbedRequest"]["properties"]["texts"]["maxItems"] == 20
    assert schemas["OpenAiRequest"]["properties"]["input"]["anyOf"][-1]["maxItems"] == 20


def test_every_reference_of_the_description_leads_somewhere(described: dict[str, Any]) -> None:
    schemas = described["components"]["schemas"]

    def references(value: object) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
            return own + [found for inner in value.values() for found in references(inner)]
        if isinstance(value, list):
            return [found for inner in value for found in references(inner)]
        return []

    found = {reference.removeprefix("#/components/schemas/") for reference in references(described)}

    assert found <= set(schemas)
    assert {"RecommendRequest", "RecommendResponse", "Problem", "Query"} <= found


def test_the_description_is_that_of_this_release_and_made_once() -> None:
    assert app.openapi()["info"]["version"] == RELEASE
    assert app.openapi() is app.openapi()


def test_the_codes_of_problems_are_listed_for_programs(described: dict[str, Any]) -> None:
    assert described["components"]["schemas"]["Code"]["enum"] == [str(code) for code in Code]
