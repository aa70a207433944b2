"""Lines of ``POST /recommend/stream``: what a client may ask on one, and what one it gets back."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, RootModel

from service.contract.decision import Decision, Reason
from service.problems import Code
from service.recommender import MAX_K
from service.schemas import (
    MAX_FIELDS,
    Query,
    QueryId,
    RecommendedProduct,
    Result,
    Text,
    as_query,
)
from service.signals import IdentifierStatus

LINES_MEDIA_TYPE = "application/x-ndjson"
K_DIGITS = 3


def _only_one(value: object) -> object:
    """Return the only value of a parameter, as a number if it is one; else all values."""
    if not isinstance(value, list) or len(value) != 1:
        return value
    given = value[0]
    is_number = given.isascii() and given.isdecimal() and len(given) <= K_DIGITS
    return int(given) if is_number else given


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class StreamOptions(_Model):
    """What all queries of a stream share: its URL's parameters, each with a list of values."""

    k: Annotated[
        int,
        Field(ge=1, le=MAX_K, description="most recommendations of a query"),
        BeforeValidator(_only_one),
    ] = 5
    fields: Annotated[
        list[str],
        Field(max_length=MAX_FIELDS, description="fields of the products to return; see /info"),
    ] = Field(default_factory=list)


class QueryLine(
    RootModel[Annotated[Query, BeforeValidator(as_query, json_schema_input_type=Query | Text)]]
):
    """One query; a bare string is a text."""


class AnsweredLine(_Model):
    """The answer to the query on one line."""

    line: Annotated[int, Field(ge=1, description="which line it is, blank ones counted as well")]
    bundle_id: Annotated[str, Field(description="the bundle that answers, from first to last")]
    id: QueryId
    decision: Decision
    reason: Reason
    target_precision: float
    truncated: bool
    identifier: Annotated[
        IdentifierStatus | None, Field(exclude_if=lambda status: status is None)
    ] = None
    recommendations: Sequence[RecommendedProduct]

    @classmethod
    def of(cls, line: int, bundle_id: str, result: Result) -> "AnsweredLine":
        """Return the line with what the same query gets from ``POST /recommend``."""
        return cls(
            line=line,
            bundle_id=bundle_id,
            id=result.id,
            decision=result.decision,
            reason=result.reason,
            target_precision=result.target_precision,
            truncated=result.truncated,
            identifier=result.identifier,
            recommendations=result.recommendations,
        )


class LineError(_Model):
    """Why a line has no answer."""

    code: Annotated[Code, Field(description="as in the problem documents of other routes")]
    detail: str


class FailedLine(_Model):
    """A line that is not answered; the others are."""

    line: Annotated[int, Field(ge=1, description="which line it is, blank ones counted as well")]
    error: LineError
