"""A catalogue as the encoder reads it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from export.vector_plan import groups_of
from service.contract.tokens import TextTokeniser
from training.data.products import Products
from training.token_table import TokenTable, tokenise


@dataclass(frozen=True)
class ReadProducts:
    """A catalogue as the encoder reads it.

    Attributes:
        products: what the file gave.
        texts: the encoded text of each product.
        tokens: what the encoder reads of them.
        groups: a number for each product, equal where the tokens are.
    """

    products: Products
    texts: Sequence[str]
    tokens: TokenTable
    groups: Int64[np.ndarray, " product"]

    @classmethod
    def of(
        cls, products: Products, texts: Sequence[str], tokeniser: TextTokeniser
    ) -> "ReadProducts":
        """Tokenise the texts of ``products``, once for all that is made of them."""
        tokens = tokenise(tokeniser, texts)
        return cls(products, texts, tokens, groups_of(tokens))
