"""The JSON Lines of a set of the Extreme Classification Repository: titles and their labels."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from service.contract.errors import DataError
from training.data.text_lines import read_lines
from training.data.xmc_labels import NO_POSITIVE, distinct


def read_titles(path: Path, counts: Counter[str]) -> list[str]:
    """Return the title of each product: of each line of ``lbl.json``.

    Raises:
        DataError: if a line is no product; it names file and row.
    """
    return [_title(entry, where) for where, entry in _objects(path, counts)]


def read_labelled_texts(
    path: Path, counts: Counter[str], *, products: int, titles_path: Path
) -> tuple[list[str], list[tuple[int, ...]]]:
    """Return the title of each query of a split, and the rows of its products, from 0.

    Raises:
        DataError: if a line is no such query, or names a product that is not there; it names
            file and row.
    """
    texts: list[str] = []
    positives: list[tuple[int, ...]] = []
    for where, entry in _objects(path, counts):
        labels = _labels(entry, where)
        outside = next((label for label in labels if not 0 <= label < products), None)
        if outside is not None:
            message = (
                f"{where}, 'target_ind': names product {outside}, while {titles_path.name} holds "
                f"{products}, counted from 0; take all files from one release"
            )
            raise DataError(message)
        right = _relevant(entry, labels, where)
        counts[NO_POSITIVE] += len(labels) - len(right)
        texts.append(_title(entry, where))
        positives.append(distinct(right, counts))
    return texts, positives


def _objects(path: Path, counts: Counter[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield file and row, in words, with the object of each line; blank lines may end the file."""
    blank: int | None = None
    row = 0
    for row, line in enumerate(read_lines(path, counts), start=1):
        where = f"{path}, row {row}"
        if not line.strip():
            blank = blank or row
            continue
        if blank is not None:
            message = f"{path}, row {blank}: is blank, other rows follow; copy the file again"
            raise DataError(message)
        yield where, _object(line, where)
    if not row or blank == 1:
        message = f"{path} holds no row; copy the file again"
        raise DataError(message)


def _object(line: str, where: str) -> Mapping[str, Any]:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError) as error:
        said = " ".join(str(error).split())
        message = f"{where}: is no whole JSON object ({said}); copy the file again"
        raise DataError(message) from error
    if not isinstance(entry, dict):
        message = f"{where}: holds a JSON {type(entry).__name__}; one object a line is needed"
        raise DataError(message)
    return entry


def _title(entry: Mapping[str, Any], where: str) -> str:
    """Return its title; null is an empty one."""
    title = entry.get("title", 0)
    if title is None:
        return ""
    if not isinstance(title, str):
        message = f"{where}, 'title': is missing or no text; give every object its title"
        raise DataError(message)
    return title


def _labels(entry: Mapping[str, Any], where: str) -> list[int]:
    labels: object = entry.get("target_ind")
    if isinstance(labels, list):
        numbers = [label for label in labels if type(label) is int]
        if len(numbers) == len(labels):
            return numbers
    message = f"{where}, 'target_ind': is missing or no list of whole numbers; copy the file again"
    raise DataError(message)


def _relevant(entry: Mapping[str, Any], labels: list[int], where: str) -> list[int]:
    relevance: object = entry.get("target_rel")
    if relevance is None:
        return labels
    if isinstance(relevance, list) and len(relevance) == len(labels):
        numbers = [value for value in relevance if isinstance(value, int | float)]
        if len(numbers) == len(labels):
            return [label for label, value in zip(labels, numbers, strict=True) if value > 0]
    message = (
        f"{where}, 'target_rel': is no list of {len(labels)} numbers, one for each entry of "
        "'target_ind'; copy the file again"
    )
    raise DataError(message)
