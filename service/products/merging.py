"""Fresh products put into an index of their own with the base, so that one search finds all."""

import faiss
import numpy as np
import pyarrow as pa
from jaxtyping import Int64

from service.catalogue import HAS_TWIN, Catalogue
from service.products.ground import Base, rows_of
from service.products.keys import KeyedRows
from service.products.rows import FreshRows
from service.products.served import Served
from service.retrievers import FlatRetriever

BLOCK = 65536
"""So many vectors are put into an index at a time."""


def can_merge(base: Base) -> bool:
    """Return whether an index like the base's can be made anew while it serves.

    An exact one can. One that had to be trained, or that rounds its vectors, is made by a build.
    """
    return isinstance(base.retriever, FlatRetriever)


def merged(served: Served) -> Base:
    """Return a base of the very products that are served, in the same order; for a thread.

    Raises:
        TypeError: if the index of its base is none that can be merged.
    """
    catalogue = served.catalogue
    base, old = catalogue.base, len(catalogue.base)
    if not isinstance(base.retriever, FlatRetriever):
        message = f"an index of the family {base.retriever.family} cannot be merged"
        raise TypeError(message)
    kept = np.flatnonzero(served.live[:old])
    fresh = np.flatnonzero(served.live[old:])
    keys = np.array([catalogue.fresh.keys[row] for row in fresh.tolist()], dtype=np.uint64)
    table = Catalogue(_table(served, fresh))
    return Base(
        _index(base.retriever, catalogue.fresh, kept, fresh),
        table,
        rows_of(table),
        KeyedRows(np.concatenate([base.keyed.keys[kept], keys])),
        served.is_newer[served.live],
    )


def _index(
    base: FlatRetriever,
    fresh: FreshRows,
    kept: Int64[np.ndarray, " kept"],
    rows: Int64[np.ndarray, " fresh"],
) -> FlatRetriever:
    index = faiss.IndexFlatIP(base.dim)
    for start in range(0, len(kept), BLOCK):
        index.add(base.vectors.take(kept[start : start + BLOCK]))
    if len(rows):
        index.add(np.ascontiguousarray(fresh.vectors(int(rows[-1]) + 1)[rows]))
    return FlatRetriever(index)


def _table(served: Served, fresh: Int64[np.ndarray, " fresh"]) -> pa.Table:
    """Return the table of the products served, with the columns of the bundle's own."""
    base = served.catalogue.base.catalogue.table
    kept = base.filter(pa.array(served.live[: len(base)]))
    rows = fresh.tolist()
    added = pa.table(
        {field.name: _column(served.catalogue.fresh, field, rows) for field in base.schema}
    )
    table = pa.concat_tables([kept, added.cast(base.schema)])
    has_twin = pa.array(served.catalogue.has_twin[served.live])
    return table.set_column(base.schema.get_field_index(HAS_TWIN), HAS_TWIN, has_twin)


def _column(fresh: FreshRows, field: pa.Field, rows: list[int]) -> pa.Array:
    match field.name:
        case "product_id":
            values: list[object] = [fresh.ids[row] for row in rows]
        case "product_text":
            values = [fresh.texts[row] for row in rows]
        case "has_twin" | "seen_in_training":
            values = [False for _ in rows]
        case name:
            values = [fresh.records[row].value(name) for row in rows]
    return pa.array(values, type=field.type)
