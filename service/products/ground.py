"""What changes are laid over: the products of a bundle, or of a bundle with changes merged in."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from service.catalogue import Catalogue
from service.contract.tokens import TextTokeniser
from service.products.change import ProductRecord
from service.products.keys import KeyedRows, keys_of
from service.retrievers import Retriever


@dataclass(frozen=True, eq=False)
class Base:
    """Products that do not change, with what is needed to lay changes over them.

    Attributes:
        retriever: finds them.
        catalogue: what they are, by row.
        rows: the row of each product id.
        keyed: rows by the tokens of their texts.
        is_newer: true at products that are newer than the calibration.
    """

    retriever: Retriever
    catalogue: Catalogue
    rows: Mapping[str, int]
    keyed: KeyedRows
    is_newer: Bool[np.ndarray, " product"]

    @classmethod
    def of_bundle(
        cls, retriever: Retriever, catalogue: Catalogue, tokeniser: TextTokeniser
    ) -> "Base":
        """Return the products of a bundle; all their texts are tokenised, which takes a while."""
        keys = keys_of(catalogue.texts, tokeniser)
        none = np.zeros(len(catalogue), dtype=bool)
        return cls(retriever, catalogue, rows_of(catalogue), KeyedRows(keys), none)

    def __len__(self) -> int:
        return len(self.catalogue)

    def record(self, row: int) -> ProductRecord:
        """Return what the product of a row is."""
        values = self.catalogue.values(row, self.catalogue.fields)
        return ProductRecord(
            self.catalogue.titles[row],
            {name: value for name, value in values.items() if value is not None},
        )


def rows_of(catalogue: Catalogue) -> dict[str, int]:
    """Return the row of each product id."""
    return {product_id: row for row, product_id in enumerate(catalogue.product_ids)}
