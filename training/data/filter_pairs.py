"""Filter pairs of a data folder: products that count as neither right nor wrong for a query."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from training.data.matches import LabelledQuery
from training.data.products import Products
from training.data.table_writer import write_table
from training.data.tables import read_table

COLUMNS = ("query_id", "product_id")


def read_filter(
    path: Path, queries: Sequence[LabelledQuery], products: Products
) -> dict[str, frozenset[str]]:
    """Read a file of pairs as the filtered products of each query that has any.

    Raises:
        DataError: if it is no such file, or a query or product is unknown; it names file and row.
    """
    table = read_table(path)
    table.require(*COLUMNS)
    known = {
        "query_id": ({query.query_id for query in queries}, "no query of the matches"),
        "product_id": (set(products.product_ids()), "no product of the catalogue"),
    }
    columns = [[entry.strip() for entry in table.columns[name]] for name in COLUMNS]
    for name, entries in zip(COLUMNS, columns, strict=True):
        ids, problem = known[name]
        for index, entry in enumerate(entries):
            if entry not in ids:
                message = f"{entry[:60]!r} is {problem}; correct it or remove the row"
                raise table.error(index, name, message)
    filtered: dict[str, set[str]] = {}
    for query_id, product_id in zip(*columns, strict=True):
        filtered.setdefault(query_id, set()).add(product_id)
    return {query_id: frozenset(there) for query_id, there in filtered.items()}


def write_filter(path: Path, filtered: Mapping[str, frozenset[str]]) -> None:
    """Write the pairs, one a row.

    Raises:
        DataError: if they cannot be written.
    """
    rows = [[query_id, p] for query_id, there in filtered.items() for p in sorted(there)]
    write_table(path, COLUMNS, rows)
