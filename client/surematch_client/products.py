"""Products that are changed while the service runs: values, and the calls that change them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from urllib.parse import quote

from surematch_client.calls import Call
from surematch_client.errors import InvalidResponseError
from surematch_client.json_object import ADVICE, JsonObject, parse_json
from surematch_client.retries import Repeat

LINES = "application/x-ndjson"
BULK_SECONDS = 60.0
"""Every product of a body is encoded before the answer comes."""


class Outcome(StrEnum):
    """What became of a change; an outcome added later stays a plain string."""

    CREATED = "created"
    REPLACED = "replaced"
    UNCHANGED = "unchanged"
    DELETED = "deleted"
    SUPERSEDED = "superseded"
    NOT_FOUND = "not_found"
    INVALID = "invalid"
    ENCODER_FAILED = "encoder_failed"
    NOT_KEPT = "not_kept"
    NOT_DONE = "not_done"


MADE = frozenset({Outcome.CREATED, Outcome.REPLACED, Outcome.UNCHANGED, Outcome.DELETED})


@dataclass(frozen=True, slots=True)
class PutProduct:
    """A product as it shall be; a field that is not named has no value from then on."""

    product_id: str
    title: str
    fields: Mapping[str, str | None] = field(default_factory=dict[str, str | None], hash=False)


@dataclass(frozen=True, slots=True)
class DeleteProduct:
    """A product that shall be recommended no more."""

    product_id: str


@dataclass(frozen=True, slots=True)
class ProductChange:
    """What became of one change.

    Attributes:
        outcome: an `Outcome`, or a plain string where this client does not know it yet.
        error: why the change was not made; None where nothing failed.
    """

    product_id: str
    outcome: Outcome | str
    error: str | None = None

    @property
    def is_made(self) -> bool:
        """Whether the service has the product as it was wanted, also after a crash."""
        return self.outcome in MADE


@dataclass(frozen=True, slots=True)
class ServedProduct:
    """A product as the service has it.

    Attributes:
        newer_than_calibration: whether answers with it go to review, unless set otherwise.
        pending: whether it waits for the encoder of a new bundle, and is not found meanwhile.
    """

    product_id: str
    title: str
    fields: Mapping[str, str | None] = field(hash=False)
    newer_than_calibration: bool
    pending: bool


def put_call(product: PutProduct) -> Call[ProductChange]:
    """Return the call that puts one product."""
    body = json.dumps(_body(product)).encode("ascii")
    return Call("PUT", _path(product.product_id), _change_of, body, Repeat.UNLESS_TAKEN)


def delete_call(product_id: str) -> Call[ProductChange]:
    """Return the call that deletes one product."""
    return Call("DELETE", _path(product_id), _change_of, repeat=Repeat.UNLESS_TAKEN)


def get_call(product_id: str) -> Call[ServedProduct]:
    """Return the call that asks for one product."""
    return Call("GET", _path(product_id), _product_of)


def change_call(changes: Sequence[PutProduct | DeleteProduct]) -> Call[list[ProductChange]]:
    """Return the call that makes many changes."""
    lines = [_line(change) for change in changes]
    return Call(
        "POST",
        "/products",
        partial(_changes_of, asked=changes),
        "".join(f"{json.dumps(line)}\n" for line in lines).encode("ascii"),
        Repeat.UNLESS_TAKEN,
        BULK_SECONDS,
        media_type=LINES,
        parse=_parse_lines,
    )


def _path(product_id: str) -> str:
    # dots too: clients and proxies take `.` and `..` for folders
    return f"/products/{quote(product_id, safe='').replace('.', '%2E')}"


def _line(change: PutProduct | DeleteProduct) -> dict[str, object]:
    if isinstance(change, DeleteProduct):
        return {"op": "delete", "product_id": change.product_id}
    return {"op": "put", "product_id": change.product_id, **_body(change)}


def _body(product: PutProduct) -> dict[str, object]:
    taken = {"op", "product_id", "title"} & product.fields.keys()
    if taken:
        message = f"fields hold {sorted(taken)[0]}, which is no field; name it in its own place"
        raise ValueError(message)
    return {**product.fields, "title": product.title}


def _parse_lines(body: bytes) -> object:
    return [parse_json(line) for line in body.split(b"\n") if line]


def _changes_of(value: object, asked: Sequence[PutProduct | DeleteProduct]) -> list[ProductChange]:
    lines = JsonObject({"lines": value}, "body").objects("lines")
    if [line.count("line") for line in lines] != list(range(1, len(asked) + 1)):
        message = f"the answer holds other lines than the {len(asked)} asked for; {ADVICE}"
        raise InvalidResponseError(message)
    return [_change_of_line(line, one.product_id) for line, one in zip(lines, asked, strict=True)]


def _change_of_line(line: JsonObject, product_id: str) -> ProductChange:
    error = line.part_or_none("error")
    return ProductChange(
        product_id, _outcome_of(line), None if error is None else error.text("detail")
    )


def _change_of(value: object) -> ProductChange:
    body = JsonObject(value, "body")
    return ProductChange(body.text("product_id"), _outcome_of(body))


def _outcome_of(one: JsonObject) -> Outcome | str:
    text = one.text("outcome")
    return next((each for each in Outcome if each == text), text)


def _product_of(value: object) -> ServedProduct:
    body = JsonObject(value, "body")
    fields = body.part("fields")
    return ServedProduct(
        product_id=body.text("product_id"),
        title=body.text("title"),
        fields={name: fields.text_or_none(name) for name in fields.values},
        newer_than_calibration=body.flag("newer_than_calibration"),
        pending=body.flag("pending"),
    )
