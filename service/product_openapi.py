"""What the OpenAPI description says of ``/products`` beside its answers."""

from typing import Any

from service.line_schemas import LINES_MEDIA_TYPE
from service.openapi import REF_TEMPLATE
from service.product_schemas import AnsweredChange, ChangeLine, FailedChange, Product
from service.schemas import MAX_ID_CHARACTERS

PRODUCT_PATH: dict[str, Any] = {
    "parameters": [
        {
            "name": "product_id",
            "in": "path",
            "required": True,
            "description": "percent-encoded; slashes may be left as they are",
            "schema": {
                "type": "string",
                "minLength": 1,
                "maxLength": MAX_ID_CHARACTERS,
                "pattern": r"^\S(.*\S)?$",
            },
        }
    ]
}
PRODUCT_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"$ref": REF_TEMPLATE.format(model=Product.__name__)},
                "example": {"title": "Sony WH-1000XM5 Black", "brand": "Sony"},
            }
        },
    },
}
LINES_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "JSON lines, parted by line feeds; the schema is that of one line. Blank "
        "lines are not answered.",
        "content": {
            LINES_MEDIA_TYPE: {
                "schema": {"$ref": REF_TEMPLATE.format(model=ChangeLine.__name__)},
                "example": '{"op": "put", "product_id": "p-9", "title": "Sony WH-1000XM5"}\n'
                '{"op": "delete", "product_id": "p-1"}\n',
            }
        },
    },
}
LINES_RESPONSE: dict[str, Any] = {
    "description": "JSON lines, one for each line that is not blank, in order; the schema is that "
    "of one line. They come once every line is done with.",
    "content": {
        LINES_MEDIA_TYPE: {
            "schema": {
                "anyOf": [
                    {"$ref": REF_TEMPLATE.format(model=model.__name__)}
                    for model in (AnsweredChange, FailedChange)
                ]
            },
            "example": '{"line":1,"op":"put","product_id":"p-9","outcome":"created"}\n'
            '{"line":2,"op":"delete","product_id":"p-1","outcome":"deleted"}\n',
        }
    },
}
