"""Changed products as the encoder reads them: joined, normalised and tokenised as at the build."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from service.contract.text import join_product_text
from service.contract.tokens import TokenisedText
from service.encoder import Encoder
from service.opening import OpenBundle
from service.products.change import Change, ProductRecord
from service.products.keys import key_of
from service.products.rows import FreshProduct

BLOCK = 1024


@dataclass(frozen=True, eq=False)
class ProductEncoding:
    """How the products of a bundle are encoded; two that are the same encode the same way.

    Attributes:
        encoder: the bundle's.
        product_text: columns whose values make the text of a product.
    """

    encoder: Encoder
    product_text: tuple[str, ...]

    @classmethod
    def of(cls, bundle: OpenBundle) -> "ProductEncoding":
        """Return how the products of a bundle are encoded."""
        return cls(bundle.recommender.encoder, bundle.manifest.catalogue.product_text)

    def is_same(self, other: "ProductEncoding") -> bool:
        """Return whether a product has the same vector under both."""
        return self.encoder is other.encoder and self.product_text == other.product_text

    def text(self, record: ProductRecord) -> str:
        """Return the text of a product, before it is normalised."""
        return join_product_text(map(record.value, self.product_text))

    def encoded(self, changes: Iterable[Change]) -> dict[str, FreshProduct]:
        """Return the products that changes put, by id; for a thread.

        One that the encoder can make nothing of is left out.
        """
        found: dict[str, FreshProduct] = {}
        put = [one for one in changes if one.product is not None]
        for start in range(0, len(put), BLOCK):
            found |= self._block(put[start : start + BLOCK])
        return found

    def _block(self, changes: Sequence[Change]) -> dict[str, FreshProduct]:
        records = [(one.product_id, one.product) for one in changes if one.product is not None]
        texts = [self.text(record) for _, record in records]
        tokens = self.encoder.tokenise(texts)
        readable = [row for row, text in enumerate(tokens) if not text.is_blank]
        vectors = self.encoder.encode([tokens[row] for row in readable])
        return {
            records[row][0]: fresh_product(*records[row], texts[row], tokens[row], vector)
            for row, vector in zip(readable, vectors, strict=True)
            if np.isfinite(vector).all()
        }


def fresh_product(
    product_id: str,
    record: ProductRecord,
    text: str,
    tokens: TokenisedText,
    vector: np.ndarray,
) -> FreshProduct:
    """Return a product that was encoded."""
    return FreshProduct(product_id, record, text, key_of(tokens), vector)
