"""Products put since the bundle was built, by row: added at the end, and never altered."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from jaxtyping import Float32

from service.products.change import ProductRecord

FIRST_ROOM = 64


@dataclass(frozen=True, slots=True)
class FreshProduct:
    """A product that was put and encoded.

    Attributes:
        record: what it is.
        text: its text as it was encoded, before it was normalised.
        key: of its tokens.
        vector: its unit embedding.
    """

    product_id: str
    record: ProductRecord
    text: str
    key: int
    vector: Float32[np.ndarray, " dim"]


class FreshRows:
    """Rows that only grow: whoever holds the first so many of them sees them as they were."""

    def __init__(self, dim: int) -> None:
        self.ids: list[str] = []
        self.titles: list[str] = []
        self.texts: list[str] = []
        self.records: list[ProductRecord] = []
        self.keys: list[int] = []
        self._vectors = np.empty((FIRST_ROOM, dim), dtype=np.float32)

    def __len__(self) -> int:
        return len(self.ids)

    def add(self, product: FreshProduct) -> int:
        """Add a product; return its row."""
        row = len(self.ids)
        if row == len(self._vectors):  # whoever holds the old one keeps it
            grown = np.empty((2 * row, self._vectors.shape[1]), dtype=np.float32)
            grown[:row] = self._vectors
            self._vectors = grown
        self._vectors[row] = product.vector
        self.titles.append(product.record.title)
        self.texts.append(product.text)
        self.records.append(product.record)
        self.keys.append(product.key)
        self.ids.append(product.product_id)
        return row

    def product(self, row: int) -> FreshProduct:
        """Return the product of a row."""
        return FreshProduct(
            self.ids[row], self.records[row], self.texts[row], self.keys[row], self._vectors[row]
        )

    def vectors(self, rows: int) -> Float32[np.ndarray, "product dim"]:
        """Return the vectors of the first so many rows; they never change."""
        return self._vectors[:rows]


class Joined(Sequence[str]):
    """The texts of a base and of the first so many fresh rows, as one sequence."""

    def __init__(self, first: Sequence[str], then: Sequence[str], rows: int) -> None:
        self._first = first
        self._then = then
        self._rows = rows

    def __len__(self) -> int:
        return len(self._first) + self._rows

    @overload
    def __getitem__(self, row: int) -> str: ...

    @overload
    def __getitem__(self, row: slice) -> list[str]: ...

    def __getitem__(self, row: int | slice) -> str | list[str]:
        if isinstance(row, slice):
            return [self[one] for one in range(*row.indices(len(self)))]
        if not -len(self) <= row < len(self):
            message = f"row {row} is not one of {len(self)}"
            raise IndexError(message)
        row %= len(self)
        fresh = row - len(self._first)
        return self._first[row] if fresh < 0 else self._then[fresh]

    def __iter__(self) -> Iterator[str]:
        yield from self._first
        yield from self._then[: self._rows]
