"""The body of a request: read within its limit, parsed as JSON, checked against its schema."""

import json
import re
from collections.abc import Sequence
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from service.filters import ProductFilter
from service.problems import Code, FieldError, ProblemError
from service.schemas import RecommendRequest, SwapRequest

Shape = TypeVar("Shape", bound=BaseModel)

MAX_ERRORS = 10
"""So many errors of a body are named; the rest is only counted."""
MAX_NAME_CHARACTERS = 64

_WORDS = {
    "dict_type": "must be an object",
    "extra_forbidden": "is no key of this object",
    "list_type": "must be a list",
    "missing": "is missing",
    "model_attributes_type": "must be an object",
    "model_type": "must be an object",
    "string_type": "must be a string",
    "string_unicode": "has a key that is not valid Unicode",
    "union_tag_invalid": 'must have "op": "put" or "op": "delete"',
    "union_tag_not_found": 'must have "op": "put" or "op": "delete"',
}
"""Our words where pydantic's would speak of Python."""


def parse_recommend_request(body: bytes, *, max_queries: int) -> RecommendRequest:
    """Return the checked body of a request for recommendations, whatever its Content-Type says.

    Raises:
        ProblemError: 400 if it is not JSON, 422 if it has another shape.
    """
    return parse_body(RecommendRequest, body, context={"max_queries": max_queries})


def parse_swap_request(body: bytes) -> SwapRequest:
    """Return the checked body of a request for another bundle; an empty one names none.

    Raises:
        ProblemError: 400 if it is not JSON, 422 if it has another shape.
    """
    return parse_body(SwapRequest, body) if body.strip() else SwapRequest()


def parse_body(
    shape: type[Shape], body: bytes, *, context: object = None, whole: str = "body"
) -> Shape:
    """Return a body, or a part of one that errors call ``whole``, as an object of ``shape``.

    Raises:
        ProblemError: 400 if it is not JSON, 422 if it has another shape.
    """
    return check_shape(shape, parse_json(body, whole=whole), context=context, whole=whole)


def check_shape(
    shape: type[Shape], value: object, *, context: object = None, whole: str = "body"
) -> Shape:
    """Return a value that came from a client as an object of ``shape``.

    Raises:
        ProblemError: 422 if it has another shape.
    """
    try:
        return shape.model_validate(value, context=context)
    except ValidationError as error:
        raise invalid_request(_field_errors(error, whole)) from None


async def read_body(request: Request, *, max_bytes: int) -> bytes:
    """Return the bytes of a body; one that is too large is refused before it is all read.

    Raises:
        ProblemError: 413 if there are more than ``max_bytes``, announced or sent.
    """
    refuse_announced(request, max_bytes=max_bytes)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise _too_large(max_bytes)
    return bytes(body)


def refuse_announced(request: Request, *, max_bytes: int) -> None:
    """Check the size that a request announces, before any of its body is read.

    Raises:
        ProblemError: 413 if it announces more than ``max_bytes``.
    """
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdecimal() and int(announced) > max_bytes:
        raise _too_large(max_bytes)


def parse_json(body: bytes, *, whole: str = "body") -> object:
    """Return the value of a JSON text in UTF-8.

    Raises:
        ProblemError: 400 if it is no such text, or nested or long beyond reason.
    """
    try:
        return json.loads(body.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        detail = f"the {whole} is not UTF-8: byte {error.start} cannot be read"
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column" if whole == "body" else "column"
        detail = f"the {whole} is not JSON: {error.msg} at {place} {error.colno}"
    except ValueError:  # digits of a number, or NaN
        detail = f"the {whole} is not JSON: a number in it is NaN, infinite or far too long"
    except RecursionError:
        detail = f"the {whole} is nested too deeply to be read as JSON"
    raise ProblemError(Code.NOT_JSON, detail)


def invalid_request(errors: Sequence[FieldError]) -> ProblemError:
    """Return the 422 error that names what is wrong; a query's text is never repeated."""
    named = errors[:MAX_ERRORS]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    detail = f"{named[0].where} {named[0].what}{more}"
    return ProblemError(Code.INVALID_REQUEST, detail, errors=named)


def refuse_unknown_fields(asked: Sequence[str], known: Sequence[str]) -> None:
    """Check the names of fields that a request asks for.

    Raises:
        ProblemError: 422 with each name that the catalogue does not have.
    """
    have = ", ".join(known) or "none"
    what = f"is no field of the catalogue, which has: {have}"
    unknown = [
        FieldError(where=f"fields[{position}]", what=what)
        for position, name in enumerate(asked)
        if name not in known
    ]
    if unknown:
        raise invalid_request(unknown)


def refuse_unknown_filter(wanted: ProductFilter | None, known: Sequence[str]) -> None:
    """Check the names of fields that a request filters by.

    Raises:
        ProblemError: 422 with each name that the catalogue does not have.
    """
    have = ", ".join(known) or "none"
    what = f"is no field of the catalogue, which has: {have}"
    unknown = [name for name in (wanted.fields if wanted else ()) if name not in known]
    if unknown:
        raise invalid_request(
            [FieldError(where=f"filter.{shown(name)}", what=what) for name in unknown]
        )


def shown(name: str) -> str:
    """Return a client's name for something as an error repeats it: only one that is plain."""
    is_plain = name.isascii() and name.isprintable() and 0 < len(name) <= MAX_NAME_CHARACTERS
    return name if is_plain else "(unnamed)"


def _too_large(max_bytes: int) -> ProblemError:
    detail = f"the body has more than {max_bytes} bytes; send fewer queries at a time"
    return ProblemError(Code.BODY_TOO_LARGE, detail)


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _field_errors(error: ValidationError, whole: str) -> list[FieldError]:
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return [
        FieldError(
            where=_path(one["loc"], whole),
            what=_WORDS.get(one["type"]) or _reworded(one["msg"]),
        )
        for one in found
    ]


def _path(location: Sequence[int | str], whole: str) -> str:
    path = whole
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{shown(part)}"
    return path.removeprefix(f"{whole}.")


def _reworded(message: str) -> str:
    return re.sub(r"^\w+ should ", "must ", message.removeprefix("Value error, "))
