"""Writes tables that `tables.read_table` reads back as text, whole or not at all."""

import gzip
import json
import os
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from service.contract.errors import DataError
from training.data.tables import suffix_of

Entry = str | int | float | None
Rows = Sequence[Sequence[Entry]]


def write_table(path: Path, names: Sequence[str], rows: Rows) -> None:
    """Write one table; the suffix of ``path`` says its kind, the same rows give the same bytes.

    Args:
        path: where the file appears in one step; a file that is there is replaced.
        names: names of the columns.
        rows: the entries of each row, in the order of ``names``; numbers stay numbers and None
            a null in JSON Lines and Parquet, where a column is all texts or all numbers.

    Raises:
        DataError: if the suffix is unknown or the file cannot be written.
        ValueError: if a row is not as long as ``names``.
    """
    kind = suffix_of(path)
    if any(len(row) != len(names) for row in rows):
        message = f"every row must have {len(names)} entries"
        raise ValueError(message)
    data = _FORMATTERS[kind.removesuffix(".gz")](names, rows)
    write_bytes(path, gzip.compress(data, mtime=0) if kind.endswith(".gz") else data)


def write_bytes(path: Path, data: bytes) -> None:
    """Put ``data`` at ``path`` in one step, so that no reader ever sees half of it.

    A link or a device, such as ``/dev/stdout``, is written through and never replaced.

    Raises:
        DataError: if it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink() or (path.exists() and not path.is_file()):
            path.write_bytes(data)
            return
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    except OSError as error:
        message = f"{path} cannot be written ({error.strerror}); name another place"
        raise DataError(message) from error
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)  # mkstemp made it private
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        message = f"{path} cannot be written ({error.strerror}); name another place"
        raise DataError(message) from error


def delimited(names: Sequence[str], rows: Rows, *, delimiter: str) -> bytes:
    """Return a table as CSV or TSV; only what must stand in quotes does."""
    # `csv.writer` of Python 3.11 leaves a lone carriage return unquoted, which parts the row.
    needs_quotes = re.compile(rf'[{delimiter}"\r\n]')

    def entry(value: Entry) -> str:
        text = "" if value is None else str(value)
        doubled = text.replace('"', '""')
        return f'"{doubled}"' if needs_quotes.search(text) else text

    lines = [delimiter.join(map(entry, row)) or '""' for row in [names, *rows]]
    return "".join(f"{line}\n" for line in lines).encode()


def _json_lines(names: Sequence[str], rows: Rows) -> bytes:
    objects = (dict(zip(names, row, strict=True)) for row in rows)
    return "".join(f"{json.dumps(entry, ensure_ascii=False)}\n" for entry in objects).encode()


def _parquet(names: Sequence[str], rows: Rows) -> bytes:
    columns = zip(*rows, strict=True) if rows else [() for _ in names]
    arrays = [_parquet_column(column) for column in columns]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(arrays, names=list(names)), sink)
    return sink.getvalue().to_pybytes()


def _parquet_column(entries: Sequence[Entry]) -> pa.Array:
    column = pa.array(list(entries))
    return column.cast(pa.string()) if pa.types.is_null(column.type) else column


_FORMATTERS: Mapping[str, Callable[[Sequence[str], Rows], bytes]] = {
    ".csv": lambda names, rows: delimited(names, rows, delimiter=","),
    ".tsv": lambda names, rows: delimited(names, rows, delimiter="\t"),
    ".jsonl": _json_lines,
    ".parquet": _parquet,
}
