import tempfile
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from service.app import create_app
from service.contract.release import RELEASE
from service.problems import Code
from service.settings import Settings
from tests.client import asking
from tests.described import call_and_check, once_ready
from tests.tiny import write_bundle

FOLDER = write_bundle(Path(tempfile.mkdtemp(prefix="surematch-")) / "tiny").folder
app = create_app(Settings(bundle=FOLDER, max_queries=20, changes_folder=FOLDER.parent / "changes"))


# loaded when this module is, since the tests below are made from it
schema = schemathesis.openapi.from_asgi("/openapi.json", once_ready(app))


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    with asking(FOLDER, max_queries=20) as client:
        return client.get("/openapi.json").json()


@schema.parametrize()  # pyright: ignore[reportUntypedFunctionDecorator]  # schemathesis has no type
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_service_keeps_what_its_description_says(case: schemathesis.Case[Any]) -> None:
    """Whatever the description allows is answered as described, whatever it forbids is refused."""
    call_and_check(case)


@pytest.mark.parametrize(
    ("path", "method", "codes"),
    [
        ("/recommend", "post", {200, 400, 401, 403, 413, 422, 429, 500, 503, 504}),
        ("/recommend/stream", "post", {200, 401, 403, 413, 422, 429, 500, 503}),
        ("/embed", "post", {200, 400, 401, 403, 413, 422, 429, 500, 503, 504}),
        ("/v1/embeddings", "post", {200, 400, 401, 403, 404, 413, 422, 429, 500, 503, 504}),
        ("/products", "post", {200, 401, 403, 409, 413, 422, 429, 500, 503, 504}),
        ("/products/{product_id}", "get", {200, 401, 403, 404, 409, 422, 503}),
        (
            "/products/{product_id}",
            "put",
            {200, 400, 401, 403, 409, 413, 422, 429, 500, 503, 504, 507},
        ),
        (
            "/products/{product_id}",
            "delete",
            {200, 401, 403, 404, 409, 422, 429, 500, 503, 504, 507},
        ),
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
