"""A data folder: a catalogue with labelled queries in splits, ready to train and measure on."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from service.contract.errors import DataError
from training.data.column_map import ColumnMap
from training.data.filter_pairs import read_filter
from training.data.matches import SPLITS, LabelledQuery, check_positives_exist, read_matches
from training.data.products import Products, read_products
from training.data.published_splits import has_published_splits
from training.data.splits import check_no_leak, trained_products
from training.data.tables import SUFFIXES


@dataclass(frozen=True, slots=True)
class DataFolder:
    """What a data folder holds: every query has a split, every positive is a product.

    Attributes:
        path: the folder.
        products: the catalogue.
        queries: labelled queries of all splits, in the order of their file.
        filtered: by query id, products that count as neither right nor wrong for it; positives
            may be among them.
    """

    path: Path
    products: Products
    queries: tuple[LabelledQuery, ...]
    filtered: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])

    def split(self, name: str) -> list[LabelledQuery]:
        """Return the queries of one split, in the order of their file.

        Raises:
            ValueError: if there is no such split.
        """
        if name not in SPLITS:
            message = f"{name!r} is no split, only {', '.join(SPLITS)} are"
            raise ValueError(message)
        return [query for query in self.queries if query.split == name]

    def trained_products(self) -> frozenset[str]:
        """Return the products that at least one query in train has as a positive."""
        return trained_products(self.queries)

    def digest(self) -> str:
        """Return the SHA-256 of what the folder says, whatever its files and their order."""
        products = (
            [p.product_id, p.title, p.category, sorted(p.attributes.items())]
            for p in sorted(self.products.items, key=lambda p: p.product_id)
        )
        queries = (
            [q.query_id, q.text, q.positives, q.split, q.user_id, sorted(q.grades.items())]
            for q in sorted(self.queries, key=lambda q: q.query_id)
        )
        filtered = ([query_id, sorted(there)] for query_id, there in sorted(self.filtered.items()))
        parts = [products, [None], queries, *([[None], filtered] if self.filtered else [])]
        lines = (json.dumps(row) for rows in parts for row in rows)
        sha256 = hashlib.sha256()
        for line in lines:
            sha256.update(f"{line}\n".encode())
        return sha256.hexdigest()


def read_data_folder(
    path: Path, column_map: ColumnMap | None = None, *, published_splits: bool | None = None
) -> DataFolder:
    """Read ``products.*``, ``matches.*`` and, if it is there, ``filter.*`` of a folder.

    Args:
        path: the folder.
        column_map: renames and joins columns of products and matches.
        published_splits: whether a text may lie in train and in test; None asks the folder's
            ``prepared.json``.

    Raises:
        DataError: if a file is missing or wrong, a query has no split, a text lies in two
            splits, a positive is no product, or a filter pair names a strange id.
        ConfigError: if a mapping of ``column_map`` applied to neither file.
    """
    column_map = column_map or ColumnMap()
    products = read_products(find_data_file(path, "products"), column_map)
    matches_path = find_data_file(path, "matches")
    queries = read_matches(matches_path, column_map)
    column_map.check_all_applied()
    if published_splits is None:
        published_splits = has_published_splits(path)
    check_splits(queries, matches_path, published_splits=published_splits)
    check_positives_exist(queries, products, matches_path)
    return DataFolder(path, products, tuple(queries), read_filtered(path, queries, products))


def read_filtered(
    folder: Path, queries: Sequence[LabelledQuery], products: Products
) -> dict[str, frozenset[str]]:
    """Read ``filter.*`` of a folder: none where it has no such file.

    Raises:
        DataError: if there are several, or one is wrong; it names file, row and column.
    """
    if not _data_files(folder, "filter"):
        return {}
    return read_filter(find_data_file(folder, "filter"), queries, products)


def check_splits(
    queries: Sequence[LabelledQuery], path: Path, *, published_splits: bool = False
) -> None:
    """Check that every query has a split and that no text lies in two.

    With ``published_splits`` a text may lie in train and in test.

    Raises:
        DataError: if one has none, or one text lies in two splits.
    """
    without = next((query for query in queries if query.split is None), None)
    if without is not None:
        message = (
            f"{path}, row {without.row}, column 'split': query {without.query_id!r} has no split; "
            "give every query one, or leave out the column and deal them with "
            "`python -m training prepare --from folder`"
        )
        raise DataError(message)
    try:
        check_no_leak(queries, published_splits=published_splits)
    except DataError as error:
        message = f"{path}: {error}"
        raise DataError(message) from error


def find_data_file(folder: Path, stem: str) -> Path:
    """Return the one file of ``folder`` with this name and any suffix that can be read.

    Raises:
        DataError: if there is none, or more than one.
    """
    if not folder.is_dir():
        message = f"{folder} is no folder; name one that holds {stem}.csv and its companions"
        raise DataError(message)
    found = _data_files(folder, stem)
    if len(found) == 1:
        return found[0]
    if not found:
        message = f"{folder} holds no {stem} file; add {stem} with one of {', '.join(SUFFIXES)}"
    else:
        message = f"{folder} holds {', '.join(path.name for path in found)}; keep one of them"
    raise DataError(message)


def _data_files(folder: Path, stem: str) -> list[Path]:
    there = (folder / f"{stem}{suffix}" for suffix in SUFFIXES)
    return [path for path in there if path.exists()]
