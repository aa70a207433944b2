"""Labelled queries that a command asks a bundle, and notes on what would mislead a reader."""

from collections.abc import Collection, Sequence
from pathlib import Path

from service.contract.errors import DataError
from training.console import complain
from training.data.column_map import ColumnMap
from training.data.matches import LabelledQuery, read_matches
from training.data.splits import text_key


def read_labelled_queries(
    path: Path, column_map: ColumnMap, *, split: str | None
) -> list[LabelledQuery]:
    """Return the labelled queries of a file, of one split or of all; say if some were trained on.

    Raises:
        DataError: if the file is wrong, or holds no query of this split.
    """
    queries = read_matches(path, column_map)
    column_map.check_all_applied()
    if not split:
        if trained := sum(query.split == "train" for query in queries):
            complain(f"note: {trained} of {len(queries)} queries are training queries; see --split")
        return queries
    of_split = [query for query in queries if query.split == split]
    if not of_split:
        there = ", ".join(sorted({query.split for query in queries if query.split})) or "no splits"
        message = (
            f"{path} holds no query with split {split}, only {there}; "
            "name another split or leave --split out"
        )
        raise DataError(message)
    return of_split


def warn_of_repeats(queries: Sequence[LabelledQuery]) -> None:
    """Say how many queries repeat the text of another."""
    repeats = len(queries) - len({text_key(query.text) for query in queries})
    if repeats:
        complain(
            f"note: {repeats} of {len(queries)} queries repeat the text of another; the lower "
            "bound of the precision takes them all for independent"
        )


def warn_of_strangers(
    queries: Sequence[LabelledQuery],
    product_ids: Collection[str],
    *,
    catalogue: str = "the catalogue",
) -> None:
    """Say how many queries name a product that the catalogue does not have."""
    known = set(product_ids)
    strangers = sum(not known.issuperset(query.positives) for query in queries)
    if strangers:
        complain(
            f"note: {strangers} of {len(queries)} queries name a product that is not in "
            f"{catalogue}; such a product cannot be found and counts as missed"
        )
