"""The catalogue as it is served: product ids, titles, attributes and twins, by row."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Bool

from service.contract.errors import BundleCorruptError

PRODUCT_ID = "product_id"
TITLE = "title"
CATEGORY = "category"
PRODUCT_TEXT = "product_text"
HAS_TWIN = "has_twin"
SEEN_IN_TRAINING = "seen_in_training"
OWN_COLUMNS = (PRODUCT_TEXT, HAS_TWIN, SEEN_IN_TRAINING)
"""Columns that the build adds to a catalogue; they are not attributes of a product."""


class Catalogue:
    """The products of a bundle; row numbers are those of the index.

    Attributes:
        product_ids: id of each row.
        titles: title of each row.
        has_twin: true where another product's text has the very same tokens, so that no query
            can tell the two apart.
        fields: names that a request may ask for: ``category`` and the attributes.

    Raises:
        KeyError: if a column is missing.
        ValueError: if a product has no id, no title or no word on its twins.
    """

    def __init__(self, table: pa.Table) -> None:
        for name in (PRODUCT_ID, TITLE, HAS_TWIN):
            if table.column(name).null_count:
                message = f"column {name} has empty values"
                raise ValueError(message)
        self.table = table
        self.product_ids: list[str] = table.column(PRODUCT_ID).to_pylist()
        self.titles: list[str] = table.column(TITLE).to_pylist()
        self.has_twin: Bool[np.ndarray, " product"] = table.column(HAS_TWIN).to_numpy()
        self._columns: dict[str, list[str | None]] = {}
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
