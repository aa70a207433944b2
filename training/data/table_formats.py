"""What the bytes of a CSV, TSV, JSON Lines or Parquet file say, as columns of text."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

import pyarrow as pa
import pyarrow.parquet as pq

WIDEST_ENTRY = 2**31 - 1
"""Longest entry of a CSV file, in characters; Python's own limit of 131,072 is too low."""


@dataclass(frozen=True, slots=True)
class Content:
    """Columns of text with the row numbers of their entries; see `tables.Table`."""

    row_numbers: list[int]
    columns: dict[str, list[str]]
    first_gap: Mapping[str, int] = field(default_factory=dict[str, int])


class RowError(Exception):
    """A row or column is not what it must be; the caller adds the name of the file."""

    def __init__(self, problem: str, *, row: int | None = None, column: str | None = None) -> None:
        super().__init__(problem)
        self.problem, self.row, self.column = problem, row, column

    def where(self) -> str:
        """Return row and column as they follow the name of the file."""
        row = "" if self.row is None else f", row {self.row}"
        return row if self.column is None else f"{row}, column {self.column!r}"


def parse_delimited(data: bytes, *, delimiter: str) -> Content:
    """Return the columns of a CSV or TSV file; entries in quotes may hold line breaks.

    Raises:
        RowError: if the header or a row is not whole.
    """
    text = _decode(data)
    csv.field_size_limit(WIDEST_ENTRY)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[list[str]] = []
    numbers: list[int] = []
    begins = 1
    try:
        for row in reader:
            if row:
                rows.append(row)
                numbers.append(begins)
            begins = reader.line_num + 1
    except csv.Error as error:
        message = f"{error}; close every quote, and double a quote inside an entry"
        raise RowError(message, row=begins) from error
    header = _header(rows[0] if rows else [], row=numbers[0] if rows else 1)
    _check_widths(header, rows, numbers)
    entries = map(list, zip(*rows[1:], strict=True)) if rows[1:] else [[] for _ in header]
    return _checked(Content(numbers[1:], dict(zip(header, entries, strict=True))))


def parse_json_lines(data: bytes) -> Content:
    """Return the columns of a JSON Lines file: one object a line of plain values.

    A plain value is a text, a number, true, false or null.

    Raises:
        RowError: if a line is no such object.
    """
    lines = enumerate(_decode(data).split("\n"), start=1)
    rows = {number: _json_object(line, row=number) for number, line in lines if line.strip()}
    written = list(dict.fromkeys(name for row in rows.values() for name in row))
    names = dict(zip(written, _header(written, row=None), strict=True))
    columns = {names[w]: [row.get(w) or "" for row in rows.values()] for w in written}
    gaps = {names[w]: next((n for n, row in rows.items() if w not in row), None) for w in written}
    first_gap = {name: number for name, number in gaps.items() if number is not None}
    return _checked(Content(list(rows), columns, first_gap))


def parse_parquet(data: bytes) -> Content:
    """Return the columns of a Parquet file: texts, numbers, booleans, dates, times and nulls.

    Raises:
        RowError: if it is no whole Parquet file, or a column is of another type.
    """
    try:
        table = pq.ParquetFile(pa.BufferReader(data)).read()
    except (pa.ArrowException, OSError) as error:
        message = f"is not a whole Parquet file ({_one_line(error)}); copy or write it again"
        raise RowError(message) from error
    names = _header(table.column_names, row=None)
    columns = {
        name: _parquet_entries(column, name)
        for name, column in zip(names, table.columns, strict=True)
    }
    return _checked(Content(list(range(1, table.num_rows + 1)), columns))


def _decode(data: bytes) -> str:
    """Decode UTF-8; bytes that are not become lone surrogates, which `_checked` finds."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("utf-8-sig", "surrogateescape")


def _header(names: Sequence[str], *, row: int | None) -> list[str]:
    stripped = [name.strip() for name in names]
    if not stripped:
        message = "holds no header and no row; write the names of the columns and the rows"
        raise RowError(message)
    for place, name in enumerate(stripped, start=1):
        if problem := _bad_text(name):
            raise RowError(problem, row=row, column=name)
        if not name:
            message = f"column {place} has no name; name it or leave it out"
            raise RowError(message, row=row)
        if name in stripped[: place - 1]:
            message = "the header names it twice; name every column once"
            raise RowError(message, row=row, column=name)
    return stripped


def _check_widths(header: Sequence[str], rows: list[list[str]], numbers: Sequence[int]) -> None:
    for row, number in zip(rows, numbers, strict=True):
        found, needed = len(row), len(header)
        if found != needed:
            column = header[found] if found < needed else header[-1]
            message = (
                f"the row has {found} entries, the header names {needed} columns; "
                "put an entry that holds the delimiter in quotes"
            )
            raise RowError(message, row=number, column=column)


def _json_object(line: str, *, row: int) -> dict[str, str | None]:
    try:
        found = _DECODER.decode(line.strip())
    except _RepeatedNameError as error:
        message = "the object names it twice; name every column once"
        raise RowError(message, row=row, column=str(error)) from error
    except (ValueError, RecursionError) as error:
        message = _bad_text(line) or f"is not JSON ({_one_line(error)}); write one object a line"
        raise RowError(message, row=row) from error
    if not isinstance(found, dict):
        message = f"holds a JSON {type(found).__name__}; write one object a line"
        raise RowError(message, row=row)
    return {name: _json_entry(value, row=row, column=name) for name, value in found.items()}


def _json_entry(value: object, *, row: int, column: str) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    if value is None or isinstance(value, str):
        return value
    message = f"is a JSON {type(value).__name__}; write a text, a number, true, false or null"
    raise RowError(message, row=row, column=column)


class _RepeatedNameError(ValueError):
    """A JSON object names one column twice; the text of the error is that name."""


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _RepeatedNameError(next(name for name in names if names.count(name) > 1))
    return found


def _refuse_constant(name: str) -> NoReturn:
    message = f"{name} is no number"
    raise ValueError(message)


def _json_float(written: str) -> str:
    """Return a number as it is written; a whole one as in Parquet: the id 12.0 is ``12``."""
    whole, _, fraction = written.partition(".")
    return written if fraction.strip("0") or whole == "-0" else whole


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_float=_json_float,
    parse_int=str,
    parse_constant=_refuse_constant,
)


def _parquet_entries(column: pa.ChunkedArray, name: str) -> list[str]:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not any(is_kind(column.type) for is_kind in _PARQUET_TYPES):
        message = f"is of type {column.type}; write texts, numbers, booleans or dates"
        raise RowError(message, column=name)
    if pa.types.is_floating(column.type):
        return _float_entries(column)
    try:
        entries = column.cast(pa.large_string()).to_pylist()
    except (UnicodeDecodeError, pa.ArrowInvalid) as error:
        message = f"holds a text that is not UTF-8 ({_one_line(error)}); write it as UTF-8"
        raise RowError(message, column=name) from error
    return ["" if entry is None else entry for entry in entries]


def _float_entries(column: pa.ChunkedArray) -> list[str]:
    """Return numbers as text; whole ones as such: pandas keeps ids beside gaps as floats."""
    texts = column.cast(pa.large_string()).to_pylist()
    return [
        "" if text is None or text == "nan" else str(int(value)) if value.is_integer() else text
        for value, text in zip(column.to_pylist(), texts, strict=True)
    ]


_PARQUET_TYPES: tuple[Callable[[pa.DataType], bool], ...] = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_string_view,
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_decimal,
    pa.types.is_null,
    pa.types.is_boolean,
    pa.types.is_date,
    pa.types.is_time,
    pa.types.is_timestamp,
)


def _checked(content: Content) -> Content:
    for name, entries in content.columns.items():
        if _bad_text("".join(entries)):
            place = next(i for i, entry in enumerate(entries) if _bad_text(entry))
            raise RowError(_bad_text(entries[place]), row=content.row_numbers[place], column=name)
    return content


def _bad_text(text: str) -> str:
    """Return what is wrong with a text, empty if nothing is."""
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            return "is not UTF-8; save the file as UTF-8"
    return "holds a NUL character; remove it" if "\0" in text else ""


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
