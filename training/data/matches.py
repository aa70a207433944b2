"""Queries as a file gives them: which text asks, and which products are known to be right."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from service.contract.errors import DataError
from service.contract.text import MAX_TEXT_CHARACTERS
from training.data.column_map import ColumnMap
from training.data.products import Products
from training.data.tables import Table, read_table

RELEVANT = 2
"""Grade of a positive; 1 is a substitute, 0 is irrelevant."""

GRADES: Mapping[str, int] = {"0": 0, "1": 1, "2": RELEVANT}

SPLITS = ("train", "validation", "calibration", "test")


@dataclass(frozen=True, slots=True)
class Query:
    """A text to be matched; it may be blank."""

    query_id: str
    text: str
    user_id: str | None


@dataclass(frozen=True, slots=True)
class LabelledQuery:
    """A query with what is known of it; a product that is not listed is unknown, not wrong.

    Attributes:
        query_id: its id.
        text: its text as it was written; may be blank.
        positives: sorted ids of the products that are right for it; none if it is known to
            have no product in the catalogue, or if only lower grades are listed.
        split: one of `SPLITS`.
        user_id: who asked.
        grades: grade of each listed product, the positives among them.
        row: row of its file that names it first.
    """

    query_id: str
    text: str
    positives: tuple[str, ...]
    split: str | None
    user_id: str | None
    grades: Mapping[str, int]
    row: int

    @property
    def has_product(self) -> bool:
        """Return whether at least one product is known to be right for it."""
        return bool(self.positives)


def read_queries(path: Path, column_map: ColumnMap | None = None) -> list[Query]:
    """Read a file of queries without labels, in its order; it may hold none.

    Raises:
        DataError: if it is no such file; it names file, row and column.
    """
    table = (column_map or ColumnMap()).apply(read_table(path), "queries")
    table.require("query_id", "text")
    query_ids = _query_ids(table)
    first_index: dict[str, int] = {}
    for index, query_id in enumerate(query_ids):
        if (first := first_index.setdefault(query_id, index)) != index:
            problem = (
                f"{query_id!r} is the id of row {table.row_numbers[first]} as well; "
                "give every query its own id"
            )
            raise table.error(index, "query_id", problem)
    return list(map(Query, query_ids, _texts(table), _user_ids(table)))


def read_matches(path: Path, column_map: ColumnMap | None = None) -> list[LabelledQuery]:
    """Read a file of labelled queries, in order of their first rows.

    Rows of one query id are one query with several products.

    Raises:
        DataError: if it is no such file; it names file, row and column.
    """
    table = (column_map or ColumnMap()).apply(read_table(path), "matches")
    table.require("query_id", "text", "product_id")
    if not len(table):
        message = f"{path} holds no query; give at least one row"
        raise DataError(message)
    rows = _Rows.of(table)
    indices_of: dict[str, list[int]] = {}
    for index, query_id in enumerate(_query_ids(table)):
        indices_of.setdefault(query_id, []).append(index)
    return [rows.merged(query_id, indices) for query_id, indices in indices_of.items()]


def check_positives_exist(queries: Sequence[LabelledQuery], products: Products, path: Path) -> None:
    """Check that every positive is a product of the catalogue.

    Raises:
        DataError: if one is not; it names the first of them and how many there are.
    """
    known = set(products.product_ids())
    lost = [(q, p) for q in queries for p in q.positives if p not in known]
    if lost:
        query, product_id = lost[0]
        matches = sum(len(query.positives) for query in queries)
        message = (
            f"{path}, row {query.row}, column 'product_id': query {query.query_id!r} names "
            f"{product_id!r}, which is not in the catalogue, like {len(lost)} of {matches} matches "
            "in all; add these products, or leave the id empty where the catalogue has none"
        )
        raise DataError(message)


@dataclass(frozen=True, slots=True)
class _Rows:
    """The checked columns of a file of matches, by index of the row."""

    table: Table
    texts: list[str]
    product_ids: list[str]
    splits: list[str | None]
    user_ids: list[str | None]
    grades: list[int]

    @classmethod
    def of(cls, table: Table) -> "_Rows":
        product_ids = [product_id.strip() for product_id in table.columns["product_id"]]
        grades = _grades(table, product_ids)
        return cls(table, _texts(table), product_ids, _splits(table), _user_ids(table), grades)

    def merged(self, query_id: str, indices: Sequence[int]) -> LabelledQuery:
        first = indices[0]
        if len(indices) > 1:
            self._check_one(query_id, indices, "text", self.texts)
            self._check_one(query_id, indices, "split", self.splits)
            self._check_one(query_id, indices, "user_id", self.user_ids)
            self._check_products(query_id, indices)
        grades = {self.product_ids[i]: self.grades[i] for i in indices if self.product_ids[i]}
        positives = sorted(product_id for product_id, g in grades.items() if g == RELEVANT)
        return LabelledQuery(
            query_id=query_id,
            text=self.texts[first],
            positives=tuple(positives),
            split=self.splits[first],
            user_id=self.user_ids[first],
            grades=grades,
            row=self.table.row_numbers[first],
        )

    def _check_one(
        self, query_id: str, indices: Sequence[int], column: str, values: Sequence[str | None]
    ) -> None:
        first = indices[0]
        for index in indices:
            if values[index] != values[first]:
                problem = (
                    f"query {query_id!r} has {_shown(values[index])} here and "
                    f"{_shown(values[first])} in row {self.table.row_numbers[first]}; "
                    "give each query one, or another id"
                )
                raise self.table.error(index, column, problem)

    def _check_products(self, query_id: str, indices: Sequence[int]) -> None:
        first_index: dict[str, int] = {}
        for index in indices:
            product_id = self.product_ids[index]
            if (first := first_index.setdefault(product_id, index)) != index:
                problem = (
                    f"query {query_id!r} names {product_id!r} in row "
                    f"{self.table.row_numbers[first]} as well; name each pair once"
                )
                raise self.table.error(index, "product_id", problem)
        named = any(i for i, at in first_index.items() if self.grades[at] == RELEVANT)
        if "" in first_index and named:
            problem = (
                f"is empty, which says that query {query_id!r} has no product, while another row "
                "of the query names one; remove either"
            )
            raise self.table.error(first_index[""], "product_id", problem)


def _query_ids(table: Table) -> list[str]:
    query_ids = [query_id.strip() for query_id in table.columns["query_id"]]
    if "" in query_ids:
        problem = "is blank; give every query an id"
        raise table.error(query_ids.index(""), "query_id", problem)
    return query_ids


def _texts(table: Table) -> list[str]:
    texts = table.columns["text"]
    for index, text in enumerate(texts):
        if len(text) > MAX_TEXT_CHARACTERS:
            problem = (
                f"is {len(text)} characters long, at most {MAX_TEXT_CHARACTERS} are read; "
                "shorten it"
            )
            raise table.error(index, "text", problem)
    return texts


def _user_ids(table: Table) -> list[str | None]:
    return [user_id.strip() or None for user_id in table.optional("user_id")]


def _splits(table: Table) -> list[str | None]:
    splits = [split.strip() or None for split in table.optional("split")]
    for index, split in enumerate(splits):
        if split is not None and split not in SPLITS:
            problem = f"{_shown(split)} is no split; write one of {', '.join(SPLITS)}"
            raise table.error(index, "split", problem)
    return splits


def _grades(table: Table, product_ids: Sequence[str]) -> list[int]:
    if "grade" not in table.columns:
        return [RELEVANT] * len(table)
    table.require("grade")
    grades: list[int] = []
    for index, written in enumerate(table.columns["grade"]):
        grade = GRADES.get(written.strip())
        if grade is None and (written.strip() or product_ids[index]):
            problem = f"{_shown(written)} is no grade; write 2 relevant, 1 substitute, 0 irrelevant"
            raise table.error(index, "grade", problem)
        grades.append(RELEVANT if grade is None else grade)
    return grades


def _shown(value: str | None) -> str:
    """Return a value as a message shows it: on one line, not at full length."""
    longest = 60
    text = value or ""
    return repr(text if len(text) <= longest else f"{text[:longest]}...")
