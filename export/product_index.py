"""The catalogue embedded with the exported encoder: FAISS index and product table."""

from collections.abc import Collection, Sequence
from pathlib import Path

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float32, Int

from service import catalogue as served
from service.contract.errors import BundleError
from service.encoder import Encoder
from training.console import first_line, progress
from training.data.products import Products
from training.evaluation import twins

_BLOCK = 1024


def write_index(
    path: Path, encoder: Encoder, products: Products, *, product_text: Sequence[str]
) -> None:
    """Embed every product and write an exact inner-product index, rows in catalogue order.

    Products of one token sequence get the very same vector, so that their similarities tie.

    Raises:
        BundleError: if the encoder fails on a product, or the file cannot be written.
    """
    tokens = encoder.tokenise(products.texts(product_text))
    distinct = list({text.ids: text for text in tokens}.values())
    row_of = {text.ids: row for row, text in enumerate(distinct)}
    vectors = np.empty((len(distinct), encoder.dim), dtype=np.float32)
    with progress(len(distinct), "embedding the catalogue", unit="products") as shown:
        for start in range(0, len(distinct), _BLOCK):
            block = distinct[start : start + _BLOCK]
            vectors[start : start + len(block)] = encoder.encode(block)
            shown.advance(len(block))
    rows = np.array([row_of[text.ids] for text in tokens])
    _must_be_finite(vectors, rows, products)
    index = faiss.IndexFlatIP(encoder.dim)
    for start in range(0, len(rows), _BLOCK):
        index.add(vectors[rows[start : start + _BLOCK]])
    try:
        faiss.write_index(index, str(path))
    except RuntimeError as error:
        message = f"{path} cannot be written ({first_line(error)}); make room and build again"
        raise BundleError(message) from error


def write_catalogue(
    path: Path,
    products: Products,
    encoder: Encoder,
    *,
    product_text: Sequence[str],
    trained_products: Collection[str],
) -> None:
    """Write ids, titles, categories, attributes and what the build knows of each product.

    Raises:
        BundleError: if an attribute has a name of the bundle's own.
    """
    texts = products.texts(product_text)
    reserved = {served.PRODUCT_ID, served.TITLE, served.CATEGORY, *served.OWN_COLUMNS}
    clash = sorted(reserved.intersection(products.attribute_names))
    if clash:
        message = f"products have an attribute named {clash[0]}, a name of the bundle's own; map it"
        raise BundleError(message)
    ids = [product.product_id for product in products.items]
    columns: dict[str, list[str] | list[str | None]] = {
        served.PRODUCT_ID: ids,
        served.TITLE: [product.title for product in products.items],
    }
    if any(product.category for product in products.items):
        columns[served.CATEGORY] = [product.category for product in products.items]
    for name in products.attribute_names:
        columns[name] = [product.attributes.get(name) for product in products.items]
    columns[served.PRODUCT_TEXT] = texts
    arrays = {name: pa.array(values, pa.string()) for name, values in columns.items()}
    seen = np.array([product_id in trained_products for product_id in ids], dtype=bool)
    arrays[served.HAS_TWIN] = pa.array(twins([text.ids for text in encoder.tokenise(texts)]))
    arrays[served.SEEN_IN_TRAINING] = pa.array(seen)
    pq.write_table(pa.table(arrays), path)


def _must_be_finite(
    vectors: Float32[np.ndarray, "text dim"], rows: Int[np.ndarray, " product"], products: Products
) -> None:
    broken = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    failed = np.flatnonzero(np.isin(rows, broken))
    if len(failed):
        product_id = products.items[failed[0]].product_id
        message = f"the encoder fails on product {product_id!r} ({len(failed)} in all); train again"
        raise BundleError(message)
