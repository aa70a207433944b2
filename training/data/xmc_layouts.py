"""Finds and reads both layouts in which sets of the Extreme Classification Repository come.

JSON Lines: ``trn.json.gz``, ``tst.json.gz`` and ``lbl.json.gz``. Raw text: ``raw/trn_X.txt``,
``raw/tst_X.txt`` and ``raw/Y.txt`` with ``Y.trn.npz`` and ``Y.tst.npz``, or with ``trn_X_Y.txt``
and ``tst_X_Y.txt``. A text file may be zipped (``.gz``) or not, and stand beside ``raw``. Of two
files that say the same, JSON Lines go before raw text, ``.npz`` before text, unzipped before
zipped.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from service.contract.errors import DataError
from training.data.text_lines import exactly, find_text, read_lines
from training.data.xmc_json import read_labelled_texts, read_titles
from training.data.xmc_labels import LabelRows, read_filter_pairs, read_labels

TRAIN_PREFIX, TEST_PREFIX = "trn", "tst"

_FILTERS = {TRAIN_PREFIX: "filter_labels_train.txt", TEST_PREFIX: "filter_labels_test.txt"}


@dataclass(frozen=True, slots=True)
class PublishedSplit:
    """The queries of one published split.

    Attributes:
        texts: text of each query as it is written; may be blank.
        positives: columns of the products that are right for each query, in order.
        filtered: for some rows, columns of products that count as neither right nor wrong.
    """

    texts: list[str]
    positives: list[tuple[int, ...]]
    filtered: Mapping[int, frozenset[int]]


@dataclass(frozen=True, slots=True)
class Published:
    """A published set: the title of each product, by column, and both splits."""

    titles: list[str]
    train: PublishedSplit
    test: PublishedSplit


@dataclass(frozen=True, slots=True)
class _Texts:
    texts: list[str]
    positives: list[tuple[int, ...]]


def read_published(folder: Path, counts: Counter[str]) -> Published:
    """Read a folder in either layout, with its filter files where it has them.

    Args:
        folder: the folder.
        counts: what was done to how many rows, added to.

    Raises:
        DataError: if a file is missing or wrong, or two do not belong together.
    """
    if not folder.is_dir():
        message = f"{folder} is no folder; name the one that holds trn.json.gz or raw/trn_X.txt"
        raise DataError(message)
    if find_text(folder, "trn.json") is not None:
        titles, train, test = _read_json(folder, counts)
    elif find_text(folder, *_raw("trn_X.txt")) is not None:
        titles, train, test = _read_raw(folder, counts)
    else:
        message = (
            f"{folder} holds neither trn.json.gz, tst.json.gz and lbl.json.gz nor raw/trn_X.txt, "
            "raw/tst_X.txt and raw/Y.txt with their labels; name the folder that does"
        )
        raise DataError(message)
    with_filters = (
        _with_filter(folder, prefix, split, len(titles), counts)
        for prefix, split in ((TRAIN_PREFIX, train), (TEST_PREFIX, test))
    )
    return Published(titles, *with_filters)


def _read_json(folder: Path, counts: Counter[str]) -> tuple[list[str], _Texts, _Texts]:
    titles_path = _needed(folder, "lbl.json")
    paths = (_needed(folder, "trn.json"), _needed(folder, "tst.json"))
    titles = read_titles(titles_path, counts)
    train, test = (
        _Texts(*read_labelled_texts(path, counts, products=len(titles), titles_path=titles_path))
        for path in paths
    )
    return titles, train, test


def _read_raw(folder: Path, counts: Counter[str]) -> tuple[list[str], _Texts, _Texts]:
    train_labels, test_labels = (_labels(folder, p, counts) for p in (TRAIN_PREFIX, TEST_PREFIX))
    if train_labels.columns != test_labels.columns:
        message = (
            f"{test_labels.path} has {test_labels.columns} columns, {train_labels.path} needs "
            f"{train_labels.columns}; take both from one release"
        )
        raise DataError(message)
    train, test = (
        _Texts(_lines(folder, f"{prefix}_X.txt", len(labels.rows), labels, counts), labels.rows)
        for prefix, labels in ((TRAIN_PREFIX, train_labels), (TEST_PREFIX, test_labels))
    )
    return _lines(folder, "Y.txt", train_labels.columns, train_labels, counts), train, test


def _labels(folder: Path, prefix: str, counts: Counter[str]) -> LabelRows:
    matrix = folder / f"Y.{prefix}.npz"
    if matrix.is_file():
        return read_labels(matrix, counts)
    text = find_text(folder, f"{prefix}_X_Y.txt")
    if text is None:
        message = (
            f"{folder} holds neither Y.{prefix}.npz nor {prefix}_X_Y.txt; add one, or all of "
            "trn.json.gz, tst.json.gz and lbl.json.gz"
        )
        raise DataError(message)
    return read_labels(text, counts)


def _lines(
    folder: Path, name: str, needed: int, labels: LabelRows, counts: Counter[str]
) -> list[str]:
    path = _needed(folder, *_raw(name))
    lines = list(read_lines(path, counts))
    return exactly(lines, needed, path=path, needed_by=str(labels.path))


def _with_filter(
    folder: Path, prefix: str, split: _Texts, columns: int, counts: Counter[str]
) -> PublishedSplit:
    path = find_text(folder, _FILTERS[prefix])
    filtered: Mapping[int, frozenset[int]] = {}
    if path is not None:
        filtered = read_filter_pairs(path, counts, rows=len(split.texts), columns=columns)
    return PublishedSplit(split.texts, split.positives, filtered)


def _needed(folder: Path, *names: str) -> Path:
    path = find_text(folder, *names)
    if path is None:
        message = f"{folder} holds no {names[0]} or {names[0]}.gz; add it, from the same release"
        raise DataError(message)
    return path


def _raw(name: str) -> tuple[str, str]:
    return f"raw/{name}", name
