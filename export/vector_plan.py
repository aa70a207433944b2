"""Where each product's vector comes from: training, its own text, or a twin's text."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt64

from service.contract.errors import BundleError
from service.encoder import UNIT_TOLERANCE
from training.product_vectors import ProductVectors
from training.token_table import TokenTable

_KEY_BYTES = 16
"""Of the digest that stands for a token sequence: no two of 10**9 will ever share one."""


@dataclass(frozen=True)
class VectorPlan:
    """What each row of the index is, in 16 bytes a product beside the trained vectors.

    Attributes:
        trained: vectors that training gave, by their own rows.
        trained_row: row of each product in ``trained``, -1 for those without one.
        like: for a product without one, the first such product of the very same tokens, whose
            vector it gets too, so that the similarities of both tie; often itself.
    """

    trained: Float32[np.ndarray, "row dim"]
    trained_row: Int64[np.ndarray, " product"]
    like: Int64[np.ndarray, " product"]

    @property
    def trained_products(self) -> int:
        """Return how many products have a vector from training."""
        return int((self.trained_row >= 0).sum())

    def key(self, *, encoder: str, tokens: TokenTable) -> str:
        """Return a digest of all that the vectors are made of.

        Args:
            encoder: digest of the encoder's file.
            tokens: the products' texts as the encoder reads them.
        """
        digest = hashlib.sha256(encoder.encode())
        for numbers in (tokens.offsets, tokens.ids, self.trained_row, self.trained):
            digest.update(f"{numbers.dtype} {numbers.shape}".encode())
            digest.update(np.ascontiguousarray(numbers).data)
        return digest.hexdigest()


def plan_vectors(
    groups: Int64[np.ndarray, " product"],
    product_ids: Sequence[str],
    texts: Sequence[str],
    vectors: ProductVectors | None,
    *,
    dim: int,
) -> VectorPlan:
    """Return where the vector of each product comes from.

    Args:
        groups: a number for each product, equal where tokens are, as `groups_of` gives them.
        product_ids: id of each product.
        texts: encoded text of each product.
        vectors: those that training gave, if any.
        dim: numbers of the encoder's embeddings.

    Raises:
        BundleError: if the trained vectors do not fit the encoder.
    """
    if vectors is None:
        trained, trained_row = np.empty((0, dim), np.float32), np.full(len(groups), -1, np.int64)
    else:
        trained, trained_row = vectors.vectors, vectors.rows(product_ids, texts)
    _must_fit(trained, trained_row, dim=dim)
    embedded = np.flatnonzero(trained_row < 0)
    first = np.full(len(groups), len(groups), dtype=np.int64)
    np.minimum.at(first, groups[embedded], embedded)
    return VectorPlan(trained, trained_row, np.where(trained_row < 0, first[groups], -1))


def groups_of(tokens: TokenTable) -> Int64[np.ndarray, " product"]:
    """Return a number below that of the texts for each of them, equal where the tokens are.

    Takes 40 bytes a text while it runs.
    """
    keys = _keys(tokens)
    order = np.lexsort((keys[:, 1], keys[:, 0]))
    is_new = np.zeros(len(keys), dtype=np.int64)
    is_new[1:] = (keys[order[1:]] != keys[order[:-1]]).any(axis=1)
    groups = np.empty(len(keys), dtype=np.int64)
    groups[order] = np.cumsum(is_new)
    return groups


def has_twin(groups: Int64[np.ndarray, " product"]) -> Bool[np.ndarray, " product"]:
    """Return true where another product has the very same tokens."""
    return np.bincount(groups)[groups] > 1


def _keys(tokens: TokenTable) -> UInt64[np.ndarray, "product 2"]:
    data, size = tokens.ids.data.cast("B"), tokens.ids.itemsize
    keys = bytearray()
    for start, end in pairwise(tokens.offsets.tolist()):
        keys += hashlib.blake2b(data[size * start : size * end], digest_size=_KEY_BYTES).digest()
    return np.frombuffer(keys, dtype=np.uint64).reshape(-1, 2)


def _must_fit(
    trained: Float32[np.ndarray, "row dim"], trained_row: Int64[np.ndarray, " product"], *, dim: int
) -> None:
    if trained.shape[1] != dim:
        message = (
            f"the checkpoint's product vectors have {trained.shape[1]} numbers, its encoder's "
            f"embeddings {dim}; train again"
        )
        raise BundleError(message)
    length = np.linalg.norm(trained, axis=1)[trained_row[trained_row >= 0]]
    if not (np.abs(length - 1) <= UNIT_TOLERANCE).all():
        message = "the checkpoint's product vectors are not all of length 1; train again"
        raise BundleError(message)
