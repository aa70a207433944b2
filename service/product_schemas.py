"""Bodies of ``/products``: what a product may be, and what is said of a change."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    RootModel,
)

from service.contract.text import MAX_TEXT_CHARACTERS, normalise
from service.line_schemas import LineError
from service.products.change import ProductRecord, WantedChange
from service.products.outcomes import Operation, Outcome
from service.schemas import MAX_ID_CHARACTERS, replace_lone_surrogates

MAX_PRODUCT_BYTES = 512 * 1024
"""Of one product as JSON; the largest title alone may take a fifth of it."""
MAX_COLUMNS = 200


def _no_blank_around(value: str) -> str:
    if value != value.strip() or replace_lone_surrogates(value) != value:
        message = "must be valid Unicode without white space around it"
        raise ValueError(message)
    return value


def _not_blank(value: str) -> str:
    if not normalise(value):
        message = "must not be blank"
        raise ValueError(message)
    return value


ProductId = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_ID_CHARACTERS,
        description="any name without white space around it",
        examples=["p-9"],
    ),
    AfterValidator(_no_blank_around),
]
Title = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_TEXT_CHARACTERS,
        description="what people call it; must not be blank",
        examples=["Sony WH-1000XM5 Black"],
    ),
    BeforeValidator(replace_lone_surrogates),
    AfterValidator(_not_blank),
]
Value = Annotated[
    str, Field(max_length=MAX_TEXT_CHARACTERS), BeforeValidator(replace_lone_surrogates)
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class Product(_Body):
    """A product as it shall be from now on; fields that are not named have no value.

    Further keys are fields of the catalogue: `category`, its levels parted by ` > `, and the
    attributes that `/info` names.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Value | None] = Field(init=False)  # pyright: ignore[reportIncompatibleVariableOverride]  # pydantic's own way to type them

    title: Title

    @property
    def named(self) -> Mapping[str, str | None]:
        """Return the fields that are named, with their values."""
        return self.__pydantic_extra__

    @property
    def record(self) -> ProductRecord:
        """Return the product without fields that have no value."""
        given = {name: (value or "").strip() for name, value in self.named.items()}
        return ProductRecord(self.title, {name: value for name, value in given.items() if value})


class PutLine(Product):
    """A product to be put."""

    op: Literal["put"]
    product_id: ProductId

    @property
    def wanted(self) -> WantedChange:
        """Return the change that the line asks for."""
        return WantedChange(self.product_id, self.record)


class DeleteLine(_Body):
    """A product to be deleted."""

    op: Literal["delete"]
    product_id: ProductId

    @property
    def wanted(self) -> WantedChange:
        """Return the change that the line asks for."""
        return WantedChange(self.product_id, None)


class ChangeLine(RootModel[Annotated[PutLine | DeleteLine, Field(discriminator="op")]]):
    """One change of the catalogue."""


class ChangedProduct(_Body):
    """What became of a change; it is on the disk, and every later answer knows it."""

    product_id: str
    outcome: Outcome
    bundle_id: Annotated[str, Field(description="the bundle that the changes are laid over")]


class ServedProduct(_Body):
    """A product as it is now."""

    product_id: str
    title: str
    fields: Annotated[
        dict[str, str | None], Field(description="every field; null where it has no value")
    ]
    newer_than_calibration: Annotated[
        bool, Field(description="whether answers with it go to review, unless set otherwise")
    ]
    pending: Annotated[
        bool, Field(description="whether it waits for the encoder of a new bundle, a moment long")
    ]
    bundle_id: str


class AnsweredChange(_Body):
    """What became of the change on one line."""

    line: Annotated[int, Field(ge=1, description="which line it is, blank ones counted as well")]
    op: Operation
    product_id: str
    outcome: Outcome
    error: Annotated[
        LineError | None, Field(exclude_if=lambda error: error is None, description="what failed")
    ] = None


class FailedChange(_Body):
    """A line that asks for no change; the others are done."""

    line: Annotated[int, Field(ge=1, description="which line it is, blank ones counted as well")]
    outcome: Literal[Outcome.INVALID]
    error: LineError
