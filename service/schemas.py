"""Bodies of ``POST /recommend``: what a client may ask, and what it gets."""

from typing import Annotated

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from service.contract.decision import Decision, Reason
from service.contract.signals import IdentifierKind
from service.contract.text import MAX_TEXT_CHARACTERS
from service.filters import ProductFilter
from service.recommender import MAX_K
from service.signals import IdentifierStatus

MAX_ID_CHARACTERS = 256
MAX_ID_INTEGER = 2**63 - 1
MAX_FIELDS = 100
MAX_IDENTIFIER_CHARACTERS = 128
MAX_FILTER_FIELDS = 16
MAX_FILTER_VALUES = 100
MAX_FILTER_CHARACTERS = 1000
MAX_PATH_CHARACTERS = 4096
DEADLINE_HEADER = "X-Request-Deadline-Ms"
MAX_DEADLINE_MS = 3_600_000
MAX_LINE_BYTES = 128 * 1024
"""Above what any query within the other limits takes: JSON escapes a character in 12 bytes."""
MAX_KEYS = 16
"""An object with more keys is refused as a whole, not key by key."""


def replace_lone_surrogates(value: object) -> object:
    r"""Return a text as valid Unicode: U+FFFD where JSON held half a surrogate pair.

    >>> replace_lone_surrogates("a\ud800b") == "a\ufffdb"
    True
    """
    if not isinstance(value, str) or value.isascii():
        return value
    return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _check_id(value: object) -> str | int | None:
    is_id = (
        value is None
        or (isinstance(value, str) and len(value) <= MAX_ID_CHARACTERS and _is_unicode(value))
        or (type(value) is int and -MAX_ID_INTEGER - 1 <= value <= MAX_ID_INTEGER)
    )
    if not is_id:
        kind = "id"
        message = "must be a Unicode string of at most {characters} characters or a 64-bit integer"
        raise PydanticCustomError(kind, message, {"characters": MAX_ID_CHARACTERS})
    return value  # pyright: ignore[reportReturnType]  # one of the three, as checked above


def _is_unicode(value: str) -> bool:
    return replace_lone_surrogates(value) == value


def as_query(value: object) -> object:
    """Return a query as an object: one that is a bare string is its text."""
    if isinstance(value, str):
        return {"text": value}
    if not isinstance(value, dict):
        kind, message = "query", "must be a string or an object"
        raise PydanticCustomError(kind, message)
    return _with_few_keys(value)


def _with_few_keys(value: object) -> object:
    if isinstance(value, dict) and len(value) > MAX_KEYS:
        kind, message = "too_many_keys", "has {found} keys, of which most are none of this object"
        raise PydanticCustomError(kind, message, {"found": len(value)})
    return value


def _within_limit(value: object, info: ValidationInfo) -> object:
    """Refuse a list that is too long before any of it is looked at."""
    limit: int | None = (info.context or {}).get("max_queries")
    if limit is not None and isinstance(value, list) and len(value) > limit:
        kind, message = "too_many_queries", "holds {found} queries, at most {limit} are allowed"
        raise PydanticCustomError(kind, message, {"found": len(value), "limit": limit})
    return value


def _check_filter_value(value: object) -> object:
    """Return a filter's value in valid Unicode; a refusal names what may be sent, all of it."""
    if isinstance(value, list):
        is_right = 0 < len(value) <= MAX_FILTER_VALUES and all(map(_is_filter_text, value))
    else:
        is_right = _is_filter_text(value)
    if not is_right:
        kind = "filter_value"
        message = "must be a string of at most {characters} characters, or a list of 1 to {values}"
        context = {"characters": MAX_FILTER_CHARACTERS, "values": MAX_FILTER_VALUES}
        raise PydanticCustomError(kind, message, context)
    if isinstance(value, list):
        return [replace_lone_surrogates(one) for one in value]
    return replace_lone_surrogates(value)


def _is_filter_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_FILTER_CHARACTERS


QueryId = Annotated[
    str | int | None,
    PlainValidator(_check_id),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "maxLength": MAX_ID_CHARACTERS},
                {"type": "integer", "minimum": -MAX_ID_INTEGER - 1, "maximum": MAX_ID_INTEGER},
                {"type": "null"},
            ],
            "title": "Id",
            "description": "any name for the query; it comes back as it is",
        }
    ),
]
FilterText = Annotated[str, Field(max_length=MAX_FILTER_CHARACTERS)]
FilterTexts = Annotated[list[FilterText], Field(min_length=1, max_length=MAX_FILTER_VALUES)]
FilterValue = Annotated[
    FilterText | FilterTexts,
    BeforeValidator(_check_filter_value, json_schema_input_type=FilterText | FilterTexts),
]
Text = Annotated[
    str,
    Field(
        max_length=MAX_TEXT_CHARACTERS,
        strict=True,
        description="what to match; blank text is answered with `empty_text`",
        examples=["sony wh1000xm4 headphones blk"],
    ),
    BeforeValidator(replace_lone_surrogates),
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


Identifier = Annotated[
    str,
    Field(max_length=MAX_IDENTIFIER_CHARACTERS),
    BeforeValidator(replace_lone_surrogates),
]


class Identifiers(_Body):
    """What is known of the product besides the text; one of them may name it exactly."""

    _few_keys = model_validator(mode="before")(_with_few_keys)

    gtin: Annotated[
        Identifier | None,
        Field(
            description="GTIN, EAN or UPC with its check digit; separators are allowed. One that "
            "is wrong is no error: `identifier` of the result says so",
            examples=["4905524930016"],
        ),
    ] = None
    mpn: Annotated[Identifier | None, Field(description="the manufacturer's part number")] = None


class Query(_Body):
    """One text to be matched."""

    id: QueryId = None
    text: Text
    identifiers: Annotated[
        Identifiers | None, Field(description="looked up beside those found in the text")
    ] = None

    @property
    def given(self) -> tuple[str | None, str | None]:
        """Return GTIN and MPN as they came with the text; None where there is none."""
        one = self.identifiers
        return (None, None) if one is None else (one.gtin, one.mpn)


class RecommendRequest(_Body):
    """Queries that share ``k`` and ``fields``."""

    _few_keys = model_validator(mode="before")(_with_few_keys)

    queries: Annotated[
        list[Annotated[Query, BeforeValidator(as_query, json_schema_input_type=Query | Text)]],
        Field(min_length=1, description="answered in this order; a bare string is a text"),
        BeforeValidator(_within_limit),
    ]
    k: Annotated[int, Field(ge=1, le=MAX_K, description="most recommendations of a query")] = 5
    fields: Annotated[
        list[str] | None,
        Field(max_length=MAX_FIELDS, description="fields of the products to return; see /info"),
    ] = None
    filter: Annotated[
        dict[str, FilterValue] | None,
        Field(
            min_length=1,
            max_length=MAX_FILTER_FIELDS,
            description="fields that a product must have, each with this value or one of these; "
            "a category admits those below it as well; see /info for the fields",
            examples=[{"category": "Phones", "brand": ["Sony", "LG"]}],
        ),
    ] = None

    @property
    def wanted(self) -> ProductFilter | None:
        """Return the products that may be recommended; None for all."""
        return None if self.filter is None else ProductFilter.of(self.filter)


class SwapRequest(_Body):
    """Which bundle should answer from now on."""

    bundle: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=MAX_PATH_CHARACTERS,
            description="name or path of a bundle in the folder of bundles; without it the one "
            "that CURRENT names, or the one served now, read anew",
        ),
    ] = None


class RecommendedProduct(_Body):
    """One product with its cosine similarity to the query."""

    product_id: str
    title: str
    similarity: Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)]
    score: Annotated[
        float | None,
        Field(
            ge=0,
            le=1,
            allow_inf_nan=False,
            exclude_if=lambda score: score is None,
            description="what order and decision follow, where that is not the similarity",
        ),
    ] = None
    matched_by: Annotated[
        IdentifierKind | None,
        Field(
            exclude_if=lambda kind: kind is None,
            description="the kind of identifier that names this very product",
        ),
    ] = None
    fields: Annotated[
        dict[str, str | None] | None,
        Field(
            exclude_if=lambda fields: fields is None,
            description="the fields asked for; null where the product has no value",
        ),
    ] = None


class Result(_Body):
    """The answer to one query; the decision speaks of its first recommendation."""

    id: QueryId = Field(description="the id of the query, null where it had none")
    decision: Decision
    reason: Reason
    target_precision: Annotated[
        float, Field(description="the promise that the decision was made under; see /info")
    ]
    truncated: Annotated[
        bool, Field(description="true where the text was cut at the model's longest input")
    ]
    identifier: Annotated[
        IdentifierStatus | None,
        Field(
            exclude_if=lambda status: status is None,
            description="what came of identifiers that were given or found; left out without any",
        ),
    ] = None
    recommendations: Annotated[
        list[RecommendedProduct],
        Field(description="best first: `score` never increases, or `similarity` without one"),
    ]


class RecommendResponse(_Body):
    """One result a query, in the order of the queries."""

    bundle_id: Annotated[str, Field(description="name of the bundle that answered")]
    results: list[Result]
