"""Vectors that training gave to products; they are served in place of their texts' embeddings."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64

from service.contract.errors import CheckpointError
from training.data.splits import text_digest
from training.data.table_writer import write_bytes
from training.durable import flush_to_disk

VECTORS = "product_vectors.npy"
ROWS = "product_vectors.jsonl"


@dataclass(frozen=True)
class ProductVectors:
    """One unit vector for each product that was there when the encoder was trained.

    A product is known by its id *and* its text: one that was added or reworded after training
    has no vector here and is served by the embedding of its text.

    Attributes:
        vectors: unit vectors, by row.
        row_of: row of each (product id, digest of its text).
    """

    vectors: Float32[np.ndarray, "row dim"]
    row_of: Mapping[tuple[str, str], int]

    def laid_over(
        self,
        embeddings: Float32[np.ndarray, "product dim"],
        product_ids: Sequence[str],
        texts: Sequence[str],
    ) -> Float32[np.ndarray, "product dim"]:
        """Return the vector of each product that has one here, the given embedding of the others.

        Args:
            embeddings: of the products' texts.
            product_ids: id of each product.
            texts: encoded text of each product.
        """
        rows = self.rows(product_ids, texts)
        return np.where((rows >= 0)[:, None], self.vectors[np.maximum(rows, 0)], embeddings)

    def rows(
        self, product_ids: Sequence[str], texts: Sequence[str]
    ) -> Int64[np.ndarray, " product"]:
        """Return the row of each product, -1 for those without a vector."""
        pairs = zip(product_ids, texts, strict=True)
        found = [self.row_of.get((product_id, text_digest(text)), -1) for product_id, text in pairs]
        return np.array(found, dtype=np.int64)

    def write(self, folder: Path) -> None:
        """Write both files into ``folder``.

        Raises:
            OSError: if they cannot be written.
        """
        with (folder / VECTORS).open("wb") as file:
            np.save(file, self.vectors)
        flush_to_disk(folder / VECTORS)  # before the record says that the run is finished
        lines = (json.dumps([*key, row]) + "\n" for key, row in self.row_of.items())
        write_bytes(folder / ROWS, "".join(lines).encode())


def product_vectors(
    vectors: Float32[np.ndarray, "row dim"],
    rows: Sequence[int],
    product_ids: Sequence[str],
    texts: Sequence[str],
) -> ProductVectors:
    """Return the vectors of a catalogue whose products take the given rows of ``vectors``."""
    keys = zip(product_ids, map(text_digest, texts), strict=True)
    return ProductVectors(vectors, dict(zip(keys, rows, strict=True)))


def read_product_vectors(folder: Path) -> ProductVectors | None:
    """Return the vectors in a checkpoint's folder, None if it has none.

    Raises:
        CheckpointError: if a file is missing or damaged.
    """
    if not (folder / VECTORS).is_file() and not (folder / ROWS).is_file():
        return None
    try:
        with (folder / VECTORS).open("rb") as file:  # not np.load, which opens zip archives too
            vectors = np.lib.format.read_array(file, allow_pickle=False)
        lines = [json.loads(line) for line in (folder / ROWS).read_bytes().splitlines()]
        row_of = {(str(product_id), str(digest)): int(row) for product_id, digest, row in lines}
        _must_fit(vectors, row_of)
    except (OSError, ValueError, TypeError, EOFError) as error:
        message = f"the product vectors in {folder} are damaged ({error}); train again"
        raise CheckpointError(message) from error
    return ProductVectors(vectors, row_of)


def _must_fit(vectors: np.ndarray, row_of: Mapping[tuple[str, str], int]) -> None:
    if vectors.ndim != 2 or vectors.dtype != np.float32 or not np.isfinite(vectors).all():  # noqa: PLR2004
        message = f"{VECTORS} holds no table of finite float32 numbers"
        raise ValueError(message)
    if row_of and not 0 <= min(row_of.values()) <= max(row_of.values()) < len(vectors):
        message = f"{ROWS} names a row beyond the {len(vectors)} of {VECTORS}"
        raise ValueError(message)
