"""The catalogue as it is served: product ids, titles, attributes and twins, by row."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Bool

from service.contract.errors import BundleCorruptError
from service.filters import Codes, Mask, Masks, ProductFilter

PRODUCT_ID = "product_id"
TITLE = "title"
CATEGORY = "category"
PRODUCT_TEXT = "product_text"
HAS_TWIN = "has_twin"
SEEN_IN_TRAINING = "seen_in_training"
OWN_COLUMNS = (PRODUCT_TEXT, HAS_TWIN, SEEN_IN_TRAINING)
"""Columns that the build adds to a catalogue; they are not attributes of a product."""


class ServedProducts(Protocol):
    """The products that answers come from, by the rows of the retriever that finds them.

    Those of a bundle come first, then those put since; a row stays what it is for as long as
    anybody holds the object, also the row of a product that is not served any more.
    """

    @property
    def product_ids(self) -> Sequence[str]:
        """Return the id of each row."""
        ...

    @property
    def titles(self) -> Sequence[str]:
        """Return the title of each row."""
        ...

    @property
    def texts(self) -> Sequence[str]:
        """Return the text of each row as it is encoded, before it is normalised."""
        ...

    @property
    def has_twin(self) -> Bool[np.ndarray, " product"]:
        """Return where another product that is served has the very same tokens."""
        ...

    @property
    def is_stale(self) -> Bool[np.ndarray, " product"]:
        """Return the products with which no answer may be accepted: they were not calibrated."""
        ...

    @property
    def fields(self) -> Sequence[str]:
        """Return the names that a request may ask for, or filter by."""
        ...

    def __len__(self) -> int: ...

    def values(self, row: int, fields: Sequence[str]) -> Mapping[str, str | None]:
        """Return the named fields of one product; None where it has no value."""
        ...

    def mask(self, wanted: ProductFilter) -> Mask:
        """Return the rows that a filter admits, served or not."""
        ...


class Catalogue:
    """The products of a bundle; row numbers are those of the index.

    Attributes:
        product_ids: id of each row.
        titles: title of each row.
        has_twin: true where another product's text has the very same tokens, so that no query
            can tell the two apart.
        is_stale: true where no answer may be accepted with a product, since it is newer than the
            calibration of its bundle.
        fields: names that a request may ask for: ``category`` and the attributes.

    Raises:
        KeyError: if a column is missing.
        ValueError: if a product has no id, no title or no word on its twins.
    """

    def __init__(
        self, table: pa.Table, *, is_stale: Bool[np.ndarray, " product"] | None = None
    ) -> None:
        for name in (PRODUCT_ID, TITLE, HAS_TWIN):
            if table.column(name).null_count:
                message = f"column {name} has empty values"
                raise ValueError(message)
        self.table = table
        self.product_ids: list[str] = table.column(PRODUCT_ID).to_pylist()
        self.titles: list[str] = table.column(TITLE).to_pylist()
        self.has_twin: Bool[np.ndarray, " product"] = table.column(HAS_TWIN).to_numpy()
        none = np.zeros(len(self.product_ids), dtype=bool)
        self.is_stale: Bool[np.ndarray, " product"] = none if is_stale is None else is_stale
        self._columns: dict[str, list[str | None]] = {}
        self._codes: dict[str, Codes] = {}
        self._texts: list[str] | None = None
        self._masks = Masks()
        hidden = {PRODUCT_ID, TITLE, *OWN_COLUMNS}
        self.fields = tuple(name for name in table.column_names if name not in hidden)

    @classmethod
    def from_file(cls, path: Path) -> "Catalogue":
        """Read the catalogue of a bundle.

        Raises:
            BundleCorruptError: if it is not Parquet, or a column is missing or has gaps.
        """
        try:
            return cls(pq.read_table(path))
        except (pa.ArrowException, KeyError, OSError, ValueError) as error:
            message = f"{path} is no catalogue of a bundle ({error}); build the bundle again"
            raise BundleCorruptError(message) from error

    def __len__(self) -> int:
        return len(self.product_ids)

    def seen_products(self) -> frozenset[str]:
        """Return the ids of products that had a training query."""
        seen = self.table.column(SEEN_IN_TRAINING).to_pylist()
        return frozenset(i for i, is_seen in zip(self.product_ids, seen, strict=True) if is_seen)

    @property
    def texts(self) -> Sequence[str]:
        """Return the text of each row as it is encoded, before it is normalised."""
        texts = self._texts
        if texts is None:
            texts = self._texts = list[str](self.table.column(PRODUCT_TEXT).to_pylist())
        return texts

    def mask(self, wanted: ProductFilter) -> Mask:
        """Return the rows that a filter admits.

        Raises:
            KeyError: if it names a field that this catalogue does not have.
        """
        return self._masks.of(wanted, self._made_mask)

    def values(self, row: int, fields: Sequence[str]) -> Mapping[str, str | None]:
        """Return the named fields of one product; None where it has no value.

        Raises:
            KeyError: if a name is not in ``fields`` of this catalogue.
        """
        if unknown := set(fields).difference(self.fields):
            message = f"the catalogue has no field {sorted(unknown)}, only {list(self.fields)}"
            raise KeyError(message)
        return {name: self._column(name)[row] for name in fields}

    def _column(self, name: str) -> list[str | None]:
        """Return a column as Python values, made when it is first asked for."""
        if name not in self._columns:
            self._columns[name] = self.table.column(name).to_pylist()
        return self._columns[name]

    def _made_mask(self, wanted: ProductFilter) -> Mask:
        mask = np.ones(len(self), dtype=bool)
        for name, values in wanted.terms:
            if name not in self._codes:
                self._codes[name] = Codes(self.table.column(name))
            mask &= self._codes[name].mask(name, values)
        return mask
