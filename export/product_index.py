"""The catalogue's vectors, made block by block into a file."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64

from export.read_products import ReadProducts
from export.vector_file import VectorFile
from export.vector_plan import VectorPlan, plan_vectors
from service.contract.errors import BundleError
from service.encoder import Encoder
from training.console import complain, progress, say
from training.product_vectors import ProductVectors

_BLOCK = 1024
"""Products whose vectors are made, checked and put on the disk together."""


@dataclass(frozen=True)
class CatalogueVectors:
    """The unit vector of each product, rows in catalogue order.

    Attributes:
        table: in a file of the work folder, mapped into memory.
        trained: how many of them are those that training gave.
    """

    table: Float32[np.memmap, "product dim"]
    trained: int


def make_vectors(
    work: Path,
    encoder: Encoder,
    catalogue: ReadProducts,
    vectors: ProductVectors | None,
    *,
    encoder_sha256: str,
) -> CatalogueVectors:
    """Make the vector of each product, going on where an interrupted build stopped.

    A product gets the vector that training gave it, where ``vectors`` has one, and the embedding
    of its text elsewhere. Embedded products of one token sequence get the very same vector, so
    that their similarities tie. A block of vectors is in memory at a time, whatever the size of
    the catalogue.

    Args:
        work: the folder that keeps the vectors of an unfinished build.
        encoder: makes the embeddings.
        catalogue: the products as the encoder reads them.
        vectors: those that training gave, if any.
        encoder_sha256: digest of the encoder's file; vectors of another one are not gone on with.

    Raises:
        BundleError: if the encoder fails on a product or the trained vectors do not fit it.
        OSError: if the vectors cannot be written.
    """
    plan = plan_vectors(
        catalogue.groups,
        catalogue.products.product_ids(),
        catalogue.texts,
        vectors,
        dim=encoder.dim,
    )
    key = plan.key(encoder=encoder_sha256, tokens=catalogue.tokens)
    with VectorFile(work, key=key, rows=len(catalogue.products), dim=encoder.dim) as file:
        if file.is_leftover_discarded:
            complain(
                f"note: the vectors that an earlier build left in {work} are of another encoder or "
                "catalogue, or damaged; they are made anew"
            )
        elif file.done:
            say(f"{file.done} of {len(catalogue.products)} products were embedded before")
        _fill(file, encoder, catalogue, plan)
        return CatalogueVectors(file.table(), plan.trained_products)


def _fill(file: VectorFile, encoder: Encoder, catalogue: ReadProducts, plan: VectorPlan) -> None:
    made, products = file.table(), len(catalogue.products)
    with progress(products, "embedding the catalogue", unit="products") as shown:
        shown.resume_at(file.done)
        while file.done < products:
            rows = np.arange(file.done, min(file.done + _BLOCK, products))
            file.append(_block(rows, made, encoder, catalogue, plan))
            shown.advance(len(rows))


def _block(
    rows: Int64[np.ndarray, " row"],
    made: Float32[np.ndarray, "product dim"],
    encoder: Encoder,
    catalogue: ReadProducts,
    plan: VectorPlan,
) -> Float32[np.ndarray, "row dim"]:
    """Return the vectors of consecutive rows, all before which are ``made`` already."""
    block = np.empty((len(rows), encoder.dim), dtype=np.float32)
    trained, like, start = plan.trained_row[rows], plan.like[rows], rows[0]
    block[trained >= 0] = plan.trained[trained[trained >= 0]]
    is_new = like == rows
    if is_new.any():
        block[is_new] = _embed(encoder, catalogue, rows[is_new])
    of_earlier = (like >= 0) & (like < start)
    block[of_earlier] = made[like[of_earlier]]
    of_these = (like >= start) & ~is_new
    block[of_these] = block[like[of_these] - start]
    return block


def _embed(
    encoder: Encoder, catalogue: ReadProducts, rows: Int64[np.ndarray, " row"]
) -> Float32[np.ndarray, "row dim"]:
    embeddings = encoder.encode(catalogue.tokens.take(rows))
    broken = rows[~np.isfinite(embeddings).all(axis=1)]
    if len(broken):
        product_id = catalogue.products.items[broken[0]].product_id
        also = f" and {len(broken) - 1} more of its block" if len(broken) > 1 else ""
        message = f"the encoder fails on product {product_id!r}{also}; train again"
        raise BundleError(message)
    return embeddings
