"""Which products have one token sequence: by a number for each sequence, without the tokens."""

import hashlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64, UInt64

from service.contract.text import normalise
from service.contract.tokens import TextTokeniser, TokenisedText

BLOCK = 4096
"""So many texts are tokenised at a time."""


def key_of(text: TokenisedText) -> int:
    """Return a number of 64 bits that texts have in common when their tokens are the same."""
    tokens = np.asarray(text.ids, dtype=np.int32).tobytes()
    return int.from_bytes(hashlib.blake2b(tokens, digest_size=8).digest(), "little")


def keys_of(texts: Sequence[str], tokeniser: TextTokeniser) -> UInt64[np.ndarray, " product"]:
    """Return the key of each text."""
    keys = np.empty(len(texts), dtype=np.uint64)
    for start in range(0, len(texts), BLOCK):
        block = [normalise(text) for text in texts[start : start + BLOCK]]
        found = [key_of(text) for text in tokeniser.of_normalised(block)]
        keys[start : start + len(found)] = found
    return keys


class KeyedRows:
    """Rows by their key; made once, then only read.

    Attributes:
        keys: of each row.
    """

    def __init__(self, keys: UInt64[np.ndarray, " product"]) -> None:
        self.keys = keys
        self._order: Int64[np.ndarray, " product"] = np.argsort(keys, kind="stable")
        self._sorted = keys[self._order]

    def of(self, key: int) -> list[int]:
        """Return the rows with a key, in order."""
        wanted = np.uint64(key)
        first = int(np.searchsorted(self._sorted, wanted, side="left"))
        last = int(np.searchsorted(self._sorted, wanted, side="right"))
        rows: list[int] = self._order[first:last].tolist()
        return rows
