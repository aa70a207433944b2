"""The OpenAPI description: the body that a route reads by itself, and every error it can give."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from service.problems import MEDIA_TYPE, Code, Problem
from service.schemas import RecommendRequest

REF_TEMPLATE = "#/components/schemas/{model}"
RECOMMEND_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"$ref": REF_TEMPLATE.format(model=RecommendRequest.__name__)},
                "example": {
                    "queries": [{"id": "offer-1", "text": "sony wh1000xm4 headphones blk"}],
                    "k": 5,
                },
            }
        },
    }
}
"""The route parses its own body, so that errors are ours and the Content-Type does not matter."""
_DESCRIPTIONS = {
    Code.NOT_JSON: "The body is not JSON in UTF-8.",
    Code.BODY_TOO_LARGE: "The body is larger than the limit that /info names.",
    Code.INVALID_REQUEST: "The body has the wrong shape, or is over a limit that /info names.",
    Code.BUSY: "Too many requests are waiting; come back after `Retry-After` seconds.",
    Code.INTERNAL_ERROR: "A bug in the service.",
    Code.NOT_READY: "The bundle is not open yet, or the service is about to stop.",
}


def documented(*codes: Code) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI responses of a route that can give these errors."""
    return {int(code.status): _response(code) for code in codes}


class DescribedApi(FastAPI):
    """A FastAPI app whose OpenAPI description also tells what the routes parse by hand."""

    max_queries: int

    def openapi(self) -> dict[str, Any]:
        """Return the description; it is made once."""
        if self.openapi_schema is None:
            described = get_openapi(
                title=self.title,
                version=self.version,
                description=self.description,
                routes=self.routes,
            )
            described["components"]["schemas"].update(_own_schemas(self.max_queries))
            self.openapi_schema = described
        return self.openapi_schema


def _own_schemas(max_queries: int) -> dict[str, Any]:
    _, found = models_json_schema(
        [(RecommendRequest, "validation"), (Problem, "serialization")], ref_template=REF_TEMPLATE
    )
    schemas: dict[str, Any] = found["$defs"]
    schemas[RecommendRequest.__name__]["properties"]["queries"]["maxItems"] = max_queries
    return schemas


def _response(code: Code) -> dict[str, Any]:
    schema = {"$ref": REF_TEMPLATE.format(model=Problem.__name__)}
    response: dict[str, Any] = {
        "description": _DESCRIPTIONS[code],
        "content": {MEDIA_TYPE: {"schema": schema}},
    }
    if code in (Code.BUSY, Code.NOT_READY):
        seconds = {"type": "integer", "minimum": 1}
        response["headers"] = {"Retry-After": {"required": True, "schema": seconds}}
    return response
