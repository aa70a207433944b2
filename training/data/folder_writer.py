"""Writes the tables of a data folder so that `folders.read_data_folder` reads them back."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from training.data.filter_pairs import write_filter
from training.data.matches import RELEVANT, LabelledQuery
from training.data.products import Products
from training.data.table_writer import write_table

_MATCHES = ("query_id", "text", "product_id", "split", "user_id", "grade")


def write_data_files(
    folder: Path,
    products: Products,
    queries: Sequence[LabelledQuery],
    filtered: Mapping[str, frozenset[str]] | None = None,
) -> None:
    """Write ``products.csv`` and ``matches.csv``; columns that nobody fills are left out.

    Where there are products ``filtered`` for a query, ``filter.csv`` holds them.

    Raises:
        DataError: if they cannot be written.
    """
    write_table(folder / "products.csv", *_product_rows(products))
    rows = [row for query in queries for row in _rows_of(query)]
    has_users = any(query.user_id for query in queries)
    has_grades = any(grade != RELEVANT for query in queries for grade in query.grades.values())
    hidden = {"user_id": not has_users, "grade": not has_grades}
    kept = [place for place, name in enumerate(_MATCHES) if not hidden.get(name)]
    names = [_MATCHES[place] for place in kept]
    write_table(folder / "matches.csv", names, [[row[place] for place in kept] for row in rows])
    if filtered:
        write_filter(folder / "filter.csv", filtered)


def _product_rows(products: Products) -> tuple[list[str], list[list[str]]]:
    columns = ["title", "category", *products.attribute_names]
    rows = [
        [product.product_id, *(product.value(column) or "" for column in columns)]
        for product in products.items
    ]
    return ["product_id", *columns], rows


def _rows_of(query: LabelledQuery) -> Iterable[list[str]]:
    """Return one row a listed product; a query without any gets one row with an empty id."""
    graded = sorted(query.grades.items()) or [("", RELEVANT)]
    for product_id, grade in graded:
        written = str(grade) if product_id else ""
        split, user_id = query.split or "", query.user_id or ""
        yield [query.query_id, query.text, product_id, split, user_id, written]
