"""Tables of text read from files of any kind, each entry with the row it came from."""

import gzip
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from service.contract.errors import DataError
from training.data.table_formats import (
    Content,
    RowError,
    parse_delimited,
    parse_json_lines,
    parse_parquet,
)

SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet", ".csv.gz", ".tsv.gz", ".jsonl.gz")
"""Every kind of file that can be read."""

_PARSERS: Mapping[str, Callable[[bytes], Content]] = {
    ".csv": lambda data: parse_delimited(data, delimiter=","),
    ".tsv": lambda data: parse_delimited(data, delimiter="\t"),
    ".jsonl": parse_json_lines,
    ".parquet": parse_parquet,
}


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of text of one file; an entry that is not given is the empty text.

    Attributes:
        path: the file.
        row_numbers: for each entry, the line of the file it begins in, counted from 1 (the
            header of a CSV file is line 1); of a Parquet file its row, counted from 1.
        columns: name of each column with its entries, as many as ``row_numbers``.
        first_gap: columns that not every row of a JSON Lines file has, with the number of the
            first row without it.
        made_from: columns that a `ColumnMap` made, with the file's own names.
    """

    path: Path
    row_numbers: list[int]
    columns: dict[str, list[str]]
    first_gap: Mapping[str, int] = field(default_factory=dict[str, int])
    made_from: Mapping[str, str] = field(default_factory=dict[str, str])

    def __len__(self) -> int:
        return len(self.row_numbers)

    def require(self, *names: str) -> None:
        """Check that every named column is there, and filled in each row that must name it.

        Raises:
            DataError: if one is missing.
        """
        for name in names:
            if name not in self.columns:
                there = ", ".join(map(repr, self.columns)) or "none"
                message = (
                    f"{self.path} has no column {name!r}, only {there}; "
                    f"add it, or say which column holds it with --map {name}=COLUMN"
                )
                raise DataError(message)
            if name in self.first_gap:
                message = (
                    f"{self.path}, row {self.first_gap[name]}, {self._column(name)}: "
                    "the object lacks it; give it in every row"
                )
                raise DataError(message)

    def optional(self, name: str) -> list[str]:
        """Return the entries of a column, all empty where the file does not have it."""
        return self.columns.get(name) or [""] * len(self)

    def error(self, index: int, column: str, problem: str) -> DataError:
        """Return the error for one entry: file, row, column, then ``problem``."""
        row = self.row_numbers[index]
        return DataError(f"{self.path}, row {row}, {self._column(column)}: {problem}")

    def _column(self, name: str) -> str:
        made_from = self.made_from.get(name)
        return f"column {name!r}" + (f" (made from {made_from!r})" if made_from else "")


def read_table(path: Path) -> Table:
    """Read one table; the suffix of ``path`` says its kind.

    Raises:
        DataError: if the file cannot be read or is no table; it names file, row and column.
    """
    kind = suffix_of(path)
    data = _read_bytes(path)
    try:
        content = _PARSERS[kind.removesuffix(".gz")](data)
    except RowError as error:
        message = f"{path}{error.where()}: {error.problem}"
        raise DataError(message) from error
    return Table(path, content.row_numbers, content.columns, content.first_gap)


def suffix_of(path: Path) -> str:
    """Return which of `SUFFIXES` a path has, in lower case.

    >>> suffix_of(Path("shop.2024/Offers.v2.CSV.gz"))
    '.csv.gz'

    Raises:
        DataError: if it has none of them.
    """
    name = path.name.lower()
    for suffix in SUFFIXES:
        if name.endswith(suffix):
            return suffix
    message = f"{path} is of no kind that can be read; name a file with {', '.join(SUFFIXES)}"
    raise DataError(message)


def _read_bytes(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        message = f"{path} does not exist; name a file with {', '.join(SUFFIXES)}"
        raise DataError(message) from error
    except OSError as error:
        message = f"{path} cannot be read ({error.strerror}); name a file that can be read"
        raise DataError(message) from error
    return _unzipped(path, data) if path.name.lower().endswith(".gz") else data


def _unzipped(path: Path, data: bytes) -> bytes:
    try:
        return gzip.decompress(data)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        message = f"{path} is not a whole gzip file ({error}); copy or compress it again"
        raise DataError(message) from error
