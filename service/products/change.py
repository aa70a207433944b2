"""One change of the catalogue: a product put, or a product deleted."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProductRecord:
    """What a product is, without its id.

    Attributes:
        title: what people call it.
        values: category and attributes that have a value, by name.
    """

    title: str
    values: Mapping[str, str]

    def value(self, column: str) -> str | None:
        """Return its entry in a column: ``title``, ``category`` or an attribute."""
        return self.title if column == "title" else self.values.get(column)


@dataclass(frozen=True, slots=True)
class Change:
    """A change that is kept.

    Attributes:
        sequence: its place among all changes of its folder, from 1.
        time: when it was kept, in UTC, in the form of ISO 8601.
        product_id: of the product.
        product: what it is from now on; None where it is deleted.
    """

    sequence: int
    time: str
    product_id: str
    product: ProductRecord | None


@dataclass(frozen=True, slots=True)
class WantedChange:
    """A change that is to be kept; see `Change`."""

    product_id: str
    product: ProductRecord | None
