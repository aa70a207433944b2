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
        has_twin: true where another product has the very same product text, so that no text
            can tell the two apart.
        fields: names that a request may ask for: ``category`` and the attributes.
    """

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self.product_ids: list[str] = table.column(PRODUCT_ID).to_pylist()
        self.titles: list[str] = table.column(TITLE).to_pylist()
        self.has_twin: Bool[np.ndarray, " product"] = table.column(HAS_TWIN).to_numpy()
        hidden = {PRODUCT_ID, TITLE, *OWN_COLUMNS}
        self.fields = tuple(name for name in table.column_names if name not in hidden)

    @classmethod
    def from_file(cls, path: Path) -> "Catalogue":
        """Read the catalogue of a bundle.

        Raises:
            BundleCorruptError: if it is not Parquet, or a column is missing.
        """
        try:
            return cls(pq.read_table(path))
        except (pa.ArrowException, KeyError) as error:
            message = f"{path} is no catalogue of a bundle ({error}); build the bundle again"
            raise BundleCorruptError(message) from error

    def __len__(self) -> int:
        return len(self.product_ids)

    def values(self, row: int, fields: Sequence[str]) -> Mapping[str, str | None]:
        """Return the named fields of one product; None where it has no value.

        Raises:
            KeyError: if a name is not in ``fields`` of this catalogue.
        """
        return {name: self.table.column(name)[row].as_py() for name in fields}
