"""The labels of a set of the Extreme Classification Repository: positives and filter pairs.

Rows and columns are counted from 0: a row is a query of its split, a column a product.
"""

import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy import sparse

from service.contract.errors import DataError
from training.data.text_lines import exactly, read_lines

REPEATED = "labels that a query names twice (kept once)"
NO_POSITIVE = "labels of value 0 or below (left out)"

_NPZ_ERRORS = (
    *(OSError, EOFError, KeyError, TypeError, ValueError, NotImplementedError),
    *(zipfile.BadZipFile, zlib.error),
)
"""Everything that SciPy and NumPy raise for a file that holds no sparse matrix."""


@dataclass(frozen=True, slots=True)
class LabelRows:
    """The sorted columns of the positives of each row, of so many columns in all."""

    path: Path
    rows: list[tuple[int, ...]]
    columns: int


def read_labels(path: Path, counts: Counter[str]) -> LabelRows:
    """Read a matrix of labels: SciPy's ``.npz``, or text with ``label:value`` entries.

    Raises:
        DataError: if it is no such file; it names file and row.
    """
    return _read_npz(path, counts) if path.suffix == ".npz" else _read_text(path, counts)


def read_filter_pairs(
    path: Path, counts: Counter[str], *, rows: int, columns: int
) -> Mapping[int, frozenset[int]]:
    """Read a filter file, one ``row column`` pair a line, as the columns of each row it names.

    Raises:
        DataError: if a line is no such pair, or one of its numbers is out of range.
    """
    pairs: dict[int, set[int]] = {}
    for number, line in enumerate(read_lines(path, counts), start=1):
        written = line.split()
        if not written:
            continue
        found = [int(entry) for entry in written if _is_number(entry)]
        if len(written) != 2 or len(found) != 2:  # noqa: PLR2004  # a pair
            message = "is no pair of two whole numbers, `row column`; copy the file again"
            raise DataError(_at(path, number, message))
        row, column = found
        if row >= rows or column >= columns:
            message = (
                f"names row {row} and column {column}, while there are {rows} queries and "
                f"{columns} products, counted from 0; take all files from one release"
            )
            raise DataError(_at(path, number, message))
        pairs.setdefault(row, set()).add(column)
    return {row: frozenset(there) for row, there in pairs.items()}


def distinct(labels: Iterable[int], counts: Counter[str]) -> tuple[int, ...]:
    """Return the labels in order, each once."""
    named = list(labels)
    found = tuple(sorted(set(named)))
    counts[REPEATED] += len(named) - len(found)
    return found


def _read_npz(path: Path, counts: Counter[str]) -> LabelRows:
    try:
        with path.open("rb") as file:  # NumPy leaves a torn file open that it opened itself
            matrix = sparse.csr_array(sparse.load_npz(file))
        matrix.check_format(full_check=True)
        rows, columns = map(int, matrix.shape or ())
        is_positive = np.asarray(matrix.data > 0)
    except _NPZ_ERRORS as error:
        said = " ".join(str(error).split()) or type(error).__name__
        message = f"{path} holds no sparse matrix of SciPy ({said}); copy or make it again"
        raise DataError(message) from error
    counts[NO_POSITIVE] += int((~is_positive).sum())
    labels = matrix.indices[is_positive].tolist()
    bounds = np.concatenate([[0], np.cumsum(is_positive)])[matrix.indptr[: rows + 1]].tolist()
    return LabelRows(path, [distinct(labels[a:b], counts) for a, b in pairwise(bounds)], columns)


def _read_text(path: Path, counts: Counter[str]) -> LabelRows:
    lines = list(read_lines(path, counts))
    header = lines[0].split() if lines else []
    if len(header) != 2 or not all(map(_is_number, header)):  # noqa: PLR2004  # rows and columns
        message = "is no header with two numbers, `rows columns`; copy the file again"
        raise DataError(_at(path, 1, message))
    rows, columns = map(int, header)
    below = exactly(lines[1:], rows, path=path, needed_by="its header, in lines below it,")
    found = [
        _labels_of(line, columns, counts, path=path, row=row)
        for row, line in enumerate(below, start=2)
    ]
    return LabelRows(path, found, columns)


def _labels_of(
    line: str, columns: int, counts: Counter[str], *, path: Path, row: int
) -> tuple[int, ...]:
    positives: list[int] = []
    for entry in line.split():
        label, colon, value = entry.partition(":")
        if not colon or not _is_number(label) or not _is_float(value):
            message = f"{entry[:60]!r} is not of the form label:value; copy the file again"
            raise DataError(_at(path, row, message))
        if int(label) >= columns:
            message = (
                f"names label {label}, while its header says {columns} columns, counted from 0; "
                "copy the file again"
            )
            raise DataError(_at(path, row, message))
        if float(value) > 0:
            positives.append(int(label))
        else:
            counts[NO_POSITIVE] += 1
    return distinct(positives, counts)


def _is_number(written: str) -> bool:
    longest = 18
    return written.isascii() and written.isdecimal() and len(written) <= longest


def _is_float(written: str) -> bool:
    try:
        float(written)
    except ValueError:
        return False
    return True


def _at(path: Path, row: int, problem: str) -> str:
    return f"{path}, row {row}: {problem}"
