"""The OpenAPI description: the body that a route reads by itself, and every error it can give."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from service.embedding_schemas import EmbedRequest, OpenAiRequest
from service.line_schemas import LINES_MEDIA_TYPE, AnsweredLine, FailedLine, QueryLine
from service.problems import MEDIA_TYPE, Code, Problem
from service.product_schemas import AnsweredChange, ChangeLine, FailedChange, Product
from service.recommender import MAX_K
from service.schemas import MAX_FIELDS, RecommendRequest, SwapRequest

REF_TEMPLATE = "#/components/schemas/{model}"
KEY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
"""Either way a key may come."""
RECOMMEND_BODY: dict[str, Any] = {
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
    },
}
"""The route parses its own body, so that errors are ours and the Content-Type does not matter."""
EMBED_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"$ref": REF_TEMPLATE.format(model=EmbedRequest.__name__)},
                "example": {"texts": ["sony wh1000xm4 headphones blk"]},
            }
        },
    },
}
OPENAI_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"$ref": REF_TEMPLATE.format(model=OpenAiRequest.__name__)},
                "example": {"model": "surematch", "input": ["sony wh1000xm4 headphones blk"]},
            }
        },
    },
}
STREAM_BODY: dict[str, Any] = {
    "parameters": [
        {
            "name": "k",
            "in": "query",
            "required": False,
            "description": "most recommendations of a query",
            "schema": {"type": "integer", "minimum": 1, "maximum": MAX_K, "default": 5},
        },
        {
            "name": "fields",
            "in": "query",
            "required": False,
            "description": "a field of the products to return, once for each of them; see /info",
            "schema": {"type": "array", "items": {"type": "string"}, "maxItems": MAX_FIELDS},
        },
    ],
    "requestBody": {
        "required": False,
        "description": "JSON lines, parted by line feeds; the schema is that of one line. Blank "
        "lines are not answered.",
        "content": {
            LINES_MEDIA_TYPE: {
                "schema": {"$ref": REF_TEMPLATE.format(model=QueryLine.__name__)},
                "example": '{"id": "offer-1", "text": "sony wh1000xm4 headphones blk"}\n'
                '"canon eos r5 body"\n',
            }
        },
    },
}
STREAM_RESPONSE: dict[str, Any] = {
    "description": "JSON lines, one for each line that is not blank, in order, each sent as soon "
    "as it is there; the schema is that of one line. All are answered by one bundle. A last line "
    "with an error stands for whatever came after it was not read: the code says why.",
    "content": {
        LINES_MEDIA_TYPE: {
            "schema": {
                "anyOf": [
                    {"$ref": REF_TEMPLATE.format(model=model.__name__)}
                    for model in (AnsweredLine, FailedLine)
                ]
            },
            "example": '{"line":1,"bundle_id":"b-0123456789ab","id":"offer-1",'
            '"decision":"manual_review","reason":"below_threshold","target_precision":0.95,'
            '"truncated":false,"recommendations":[]}\n'
            '{"line":2,"error":{"code":"not_json","detail":"the line is not JSON: ..."}}\n',
        }
    },
}
SWAP_BODY: dict[str, Any] = {
    "requestBody": {
        "required": False,
        "content": {
            "application/json": {
                "schema": {"$ref": REF_TEMPLATE.format(model=SwapRequest.__name__)},
                "example": {"bundle": "b-0123456789ab"},
            }
        },
    },
}
ANSWERING_ERRORS = (
    Code.NOT_JSON,
    Code.NO_KEY,
    Code.NOT_PERMITTED,
    Code.BODY_TOO_LARGE,
    Code.INVALID_REQUEST,
    Code.BUSY,
    Code.RATE_LIMITED,
    Code.INTERNAL_ERROR,
    Code.NOT_READY,
    Code.DEADLINE_EXCEEDED,
)
"""What any route that answers texts can say instead."""
CHANGE_ERRORS = (
    Code.NO_KEY,
    Code.NOT_PERMITTED,
    Code.CHANGES_OFF,
    Code.INVALID_REQUEST,
    Code.BUSY,
    Code.RATE_LIMITED,
    Code.INTERNAL_ERROR,
    Code.NOT_READY,
    Code.DEADLINE_EXCEEDED,
)
"""What any route that changes products can say instead."""
STREAM_ERRORS = (
    Code.NO_KEY,
    Code.NOT_PERMITTED,
    Code.BODY_TOO_LARGE,
    Code.INVALID_REQUEST,
    Code.BUSY,
    Code.INTERNAL_ERROR,
    Code.NOT_READY,
)
"""What a stream can say instead of its first line; whatever comes later is said on a line."""
_DESCRIPTIONS = {
    Code.NOT_JSON: "The body is not JSON in UTF-8.",
    Code.NO_KEY: "No valid API key came with the request.",
    Code.NOT_PERMITTED: "The key lacks the scope that this needs.",
    Code.MODEL_NOT_FOUND: "No model of this name answers here.",
    Code.UNKNOWN_PRODUCT: "There is no product of this id.",
    Code.CHANGES_OFF: "No folder for changes of products is set.",
    Code.CHANGES_NOT_KEPT: "The disk does not take the change, which was not made.",
    Code.NO_PREVIOUS: "There is no previous bundle in memory.",
    Code.BODY_TOO_LARGE: "The body is larger than the limit that /info names.",
    Code.INVALID_REQUEST: "The body has the wrong shape, or is over a limit that /info names.",
    Code.BUNDLE_REFUSED: "The bundle was not taken; what was served is served on.",
    Code.BUSY: "Too many requests are waiting; come back after `Retry-After` seconds.",
    Code.RATE_LIMITED: "The key asked for more than its rate; come back after `Retry-After`.",
    Code.INTERNAL_ERROR: "A bug in the service.",
    Code.ENCODER_FAILED: "The encoder failed on one of the texts, which `detail` names.",
    Code.NOT_READY: "The bundle is not open yet, or the service is about to stop.",
    Code.DEADLINE_EXCEEDED: "The time of the request was over before its answer was there.",
}


_COME_BACK = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


def documented(*codes: Code) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI responses of a route that can give these errors."""
    by_status: dict[int, list[Code]] = {}
    for code in codes:
        by_status.setdefault(int(code.status), []).append(code)
    return {status: _response(same) for status, same in by_status.items()}


class DescribedApi(FastAPI):
    """A FastAPI app whose OpenAPI description also tells what the routes parse by hand."""

    max_queries: int
    needs_key: bool

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
            if self.needs_key:
                _describe_keys(described)
            self.openapi_schema = described
        return self.openapi_schema


def _describe_keys(described: dict[str, Any]) -> None:
    """Say that every route which can refuse a request for want of a key needs one."""
    described["components"]["securitySchemes"] = KEY_SCHEMES
    for path in described["paths"].values():
        for operation in path.values():
            if str(int(Code.NO_KEY.status)) in operation["responses"]:
                operation["security"] = [{name: []} for name in KEY_SCHEMES]


def _own_schemas(max_queries: int) -> dict[str, Any]:
    _, found = models_json_schema(
        [
            (RecommendRequest, "validation"),
            (SwapRequest, "validation"),
            (EmbedRequest, "validation"),
            (OpenAiRequest, "validation"),
            (QueryLine, "validation"),
            (AnsweredLine, "serialization"),
            (FailedLine, "serialization"),
            (Product, "validation"),
            (ChangeLine, "validation"),
            (AnsweredChange, "serialization"),
            (FailedChange, "serialization"),
            (Problem, "serialization"),
        ],
        ref_template=REF_TEMPLATE,
    )
    schemas: dict[str, Any] = found["$defs"]
    schemas[RecommendRequest.__name__]["properties"]["queries"]["maxItems"] = max_queries
    schemas[EmbedRequest.__name__]["properties"]["texts"]["maxItems"] = max_queries
    schemas[OpenAiRequest.__name__]["properties"]["input"]["anyOf"][-1]["maxItems"] = max_queries
    return schemas


def _response(codes: Sequence[Code]) -> dict[str, Any]:
    """Return the response of one status, which several codes may share."""
    schema = {"$ref": REF_TEMPLATE.format(model=Problem.__name__)}
    response: dict[str, Any] = {
        "description": " ".join(f"`{code}`: {_DESCRIPTIONS[code]}" for code in codes),
        "content": {MEDIA_TYPE: {"schema": schema}},
    }
    if codes[0].status in _COME_BACK:
        seconds = {"type": "integer", "minimum": 1}
        response["headers"] = {"Retry-After": {"required": True, "schema": seconds}}
    if codes[0] is Code.NO_KEY:
        response["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
    return response
