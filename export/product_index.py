"""The catalogue as a bundle holds it: FAISS index of its vectors, and product table."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float32, Int64

from service import catalogue as served
from service.contract.errors import BundleError
from service.contract.tokens import TokenisedText
from service.encoder import UNIT_TOLERANCE, Encoder
from training.console import first_line, progress
from training.data.products import Products
from training.evaluation import twins
from training.product_vectors import ProductVectors

_BLOCK = 1024


@dataclass(frozen=True)
class ReadProducts:
    """A catalogue as the encoder reads it: its products, their joined texts and the tokens."""

    products: Products
    texts: Sequence[str]
    tokens: Sequence[TokenisedText]


def write_index(
    path: Path, encoder: Encoder, catalogue: ReadProducts, vectors: ProductVectors | None
) -> int:
    """Write an exact inner-product index, rows in catalogue order.

    A product is indexed by the vector that training gave it, where ``vectors`` has one, and by
    the embedding of its text elsewhere. Embedded products of one token sequence get the very same
    vector, so that their similarities tie.

    Returns:
        How many products are indexed by a trained vector.

    Raises:
        BundleError: if the encoder fails on a product, the trained vectors do not fit it, or the
            file cannot be written.
    """
    table, trained = _trained_rows(catalogue, vectors, dim=encoder.dim)
    embeddings, embedded = _embed(encoder, catalogue, np.flatnonzero(trained < 0))
    index = faiss.IndexFlatIP(encoder.dim)
    for start in range(0, len(trained), _BLOCK):
        rows, own = embedded[start : start + _BLOCK], trained[start : start + _BLOCK]
        block = np.empty((len(rows), encoder.dim), dtype=np.float32)
        block[own < 0] = embeddings[rows[own < 0]]
        block[own >= 0] = table[own[own >= 0]]
        index.add(block)
    try:
        faiss.write_index(index, str(path))
    except RuntimeError as error:
        message = f"{path} cannot be written ({first_line(error)}); make room and build again"
        raise BundleError(message) from error
    return int((trained >= 0).sum())


def write_catalogue(
    path: Path, catalogue: ReadProducts, *, trained_products: Collection[str]
) -> None:
    """Write ids, titles, categories, attributes and what the build knows of each product.

    Raises:
        BundleError: if an attribute has a name of the bundle's own.
    """
    products = catalogue.products
    reserved = {served.PRODUCT_ID, served.TITLE, served.CATEGORY, *served.OWN_COLUMNS}
    clash = sorted(reserved.intersection(products.attribute_names))
    if clash:
        message = f"products have an attribute named {clash[0]}, a name of the bundle's own; map it"
        raise BundleError(message)
    ids = products.product_ids()
    columns: dict[str, Sequence[str] | Sequence[str | None]] = {
        served.PRODUCT_ID: ids,
        served.TITLE: [product.title for product in products.items],
    }
    if any(product.category for product in products.items):
        columns[served.CATEGORY] = [product.category for product in products.items]
    for name in products.attribute_names:
        columns[name] = [product.attributes.get(name) for product in products.items]
    columns[served.PRODUCT_TEXT] = catalogue.texts
    arrays = {name: pa.array(values, pa.string()) for name, values in columns.items()}
    seen = np.array([product_id in trained_products for product_id in ids], dtype=bool)
    arrays[served.HAS_TWIN] = pa.array(twins([text.ids for text in catalogue.tokens]))
    arrays[served.SEEN_IN_TRAINING] = pa.array(seen)
    pq.write_table(pa.table(arrays), path)


def _trained_rows(
    catalogue: ReadProducts, vectors: ProductVectors | None, *, dim: int
) -> tuple[Float32[np.ndarray, "row dim"], Int64[np.ndarray, " product"]]:
    """Return the table of trained vectors and each product's row in it, -1 without one."""
    if vectors is None:
        none = np.full(len(catalogue.products), -1, dtype=np.int64)
        return np.empty((0, dim), dtype=np.float32), none
    table = vectors.vectors
    if table.shape[1] != dim:
        message = (
            f"the checkpoint's product vectors have {table.shape[1]} numbers, its encoder's "
            f"embeddings {dim}; train again"
        )
        raise BundleError(message)
    trained = vectors.rows(catalogue.products.product_ids(), catalogue.texts)
    length = np.linalg.norm(table, axis=1)[trained[trained >= 0]]
    if not (np.abs(length - 1) <= UNIT_TOLERANCE).all():
        message = "the checkpoint's product vectors are not all of length 1; train again"
        raise BundleError(message)
    return table, trained


def _embed(
    encoder: Encoder, catalogue: ReadProducts, wanted: Int64[np.ndarray, " wanted"]
) -> tuple[Float32[np.ndarray, "text dim"], Int64[np.ndarray, " product"]]:
    """Return embeddings of the distinct texts, and the row of each wanted product in them."""
    tokens = [catalogue.tokens[product] for product in wanted.tolist()]
    distinct = list({text.ids: text for text in tokens}.values())
    row_of = {text.ids: row for row, text in enumerate(distinct)}
    embeddings = np.empty((len(distinct), encoder.dim), dtype=np.float32)
    with progress(len(distinct), "embedding the catalogue", unit="products") as shown:
        for start in range(0, len(distinct), _BLOCK):
            block = distinct[start : start + _BLOCK]
            embeddings[start : start + len(block)] = encoder.encode(block)
            shown.advance(len(block))
    rows = np.full(len(catalogue.products), -1, dtype=np.int64)
    rows[wanted] = [row_of[text.ids] for text in tokens]
    _must_be_finite(embeddings, rows, catalogue.products)
    return embeddings, rows


def _must_be_finite(
    vectors: Float32[np.ndarray, "text dim"],
    rows: Int64[np.ndarray, " product"],
    products: Products,
) -> None:
    broken = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    failed = np.flatnonzero(np.isin(rows, broken))
    if len(failed):
        product_id = products.items[failed[0]].product_id
        message = f"the encoder fails on product {product_id!r} ({len(failed)} in all); train again"
        raise BundleError(message)
