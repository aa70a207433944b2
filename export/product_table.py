"""The product table of a bundle, written some thousand products at a time."""

from collections.abc import Collection, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from export.read_products import ReadProducts
from export.vector_plan import has_twin
from service import catalogue as served
from service.contract.errors import BundleError
from training.data.products import Product, Products

_ROWS_A_GROUP = 65_536
"""Products that are turned into columns, and stored, together."""


def write_catalogue(
    path: Path, catalogue: ReadProducts, *, trained_products: Collection[str]
) -> None:
    """Write ids, titles, categories, attributes and what the build knows of each product.

    Raises:
        BundleError: if an attribute has a name of the bundle's own.
        OSError: if it cannot be written.
    """
    products, twins = catalogue.products, has_twin(catalogue.groups)
    schema = _schema(products)
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, len(products), _ROWS_A_GROUP):
            rows = slice(start, start + _ROWS_A_GROUP)
            some = products.items[rows]
            seen = [product.product_id in trained_products for product in some]
            own = {
                served.PRODUCT_TEXT: catalogue.texts[rows],
                served.HAS_TWIN: twins[rows],
                served.SEEN_IN_TRAINING: seen,
            }
            given = {name: _column(some, name) for name in schema.names if name not in own}
            writer.write_table(pa.table({**given, **own}, schema=schema))


def _schema(products: Products) -> pa.Schema:
    """Return the columns: a category where any product has one, then every attribute."""
    reserved = {served.PRODUCT_ID, served.TITLE, served.CATEGORY, *served.OWN_COLUMNS}
    clash = sorted(reserved.intersection(products.attribute_names))
    if clash:
        message = f"products have an attribute named {clash[0]}, a name of the bundle's own; map it"
        raise BundleError(message)
    category = [served.CATEGORY] if any(product.category for product in products.items) else []
    texts = [served.PRODUCT_ID, served.TITLE, *category, *products.attribute_names]
    return pa.schema(
        [
            *((name, pa.string()) for name in [*texts, served.PRODUCT_TEXT]),
            *((name, pa.bool_()) for name in (served.HAS_TWIN, served.SEEN_IN_TRAINING)),
        ]
    )


def _column(products: Sequence[Product], name: str) -> list[str | None]:
    if name == served.PRODUCT_ID:
        return [product.product_id for product in products]
    return [product.value(name) for product in products]
