from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from service.contract.errors import DataError
from tests.training.data.labelled import write
from tests.training.data.published_set import write_bytes
from training.data.xmc_labels import NO_POSITIVE, REPEATED, read_filter_pairs, read_labels


def test_entries_become_sorted_columns_and_an_empty_line_none(tmp_path: Path) -> None:
    path = write(tmp_path / "trn_X_Y.txt", "4 12", "11:1.0 2:1.0", "", "3:0.0 3:1 4:1 4:1e0", "")
    counts = Counter[str]()

    labels = read_labels(path, counts)

    assert labels.rows == [(2, 11), (), (3, 4), ()]
    assert labels.columns == 12
    assert counts == {REPEATED: 1, NO_POSITIVE: 1}


def test_a_matrix_says_the_same(tmp_path: Path) -> None:
    matrix = sparse.csr_array(
        (np.array([1.0, 1, 0, 1, 1, 1]), [11, 2, 3, 3, 4, 4], [0, 2, 2, 6, 6]), shape=(4, 12)
    )
    sparse.save_npz(tmp_path / "Y.trn.npz", matrix)
    counts = Counter[str]()

    labels = read_labels(tmp_path / "Y.trn.npz", counts)

    assert labels.rows == [(2, 11), (), (3, 4), ()]
    assert labels.columns == 12
    assert counts == {REPEATED: 1, NO_POSITIVE: 1}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], ", row 1: is no header with two numbers"),
        (["1:1.0"], ", row 1: is no header with two numbers"),
        (["2 5 7"], ", row 1: is no header with two numbers"),
        (["2 5", "1:1.0"], " holds 1 lines, its header, in lines below it, needs 2"),
        (["1 5", "1:1.0", "1:1.0"], " holds 2 lines, its header, in lines below it, needs 1"),
        (["2 5", "1:1.0", "5:1.0"], ", row 3: names label 5, while its header says 5 columns"),
        (["1 5", "1"], ", row 2: '1' is not of the form label:value"),
        (["1 5", "-1:1.0"], ", row 2: '-1:1.0' is not of the form label:value"),
        (["1 5", "1:x"], ", row 2: '1:x' is not of the form label:value"),
    ],
)
def test_wrong_text_labels_are_refused_with_file_and_row(
    tmp_path: Path, lines: list[str], message: str
) -> None:
    path = write(tmp_path / "trn_X_Y.txt", *lines)

    with pytest.raises(DataError) as caught:
        read_labels(path, Counter())

    assert str(caught.value).startswith(f"{path}{message}")


def test_what_is_no_sparse_matrix_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "Y.trn.npz"
    sparse.save_npz(path, sparse.eye_array(50, format="csr"))
    whole = path.read_bytes()
    np.savez(tmp_path / "other.npz", rows=np.arange(3))
    np.save(tmp_path / "array.npy", np.arange(3))
    np.savez(
        tmp_path / "outside.npz",
        format=np.array(b"csr"),
        shape=np.array([1, 2]),
        data=np.ones(1),
        indices=np.array([7]),
        indptr=np.array([0, 1]),
    )
    others = [(tmp_path / n).read_bytes() for n in ("other.npz", "array.npy", "outside.npz")]

    for data in (b"", b"text", whole[:-40], whole[:200], *others):
        path.write_bytes(data)
        with pytest.raises(DataError, match="holds no sparse matrix of SciPy") as caught:
            read_labels(path, Counter())
        assert "\n" not in str(caught.value)


def test_filter_pairs_are_read_once_each(tmp_path: Path) -> None:
    path = write_bytes(tmp_path / "filter.txt", b"0 1\r\n0\t2\r\n\r\n1 1\r\n0 1")

    pairs = read_filter_pairs(path, Counter(), rows=2, columns=3)

    assert pairs == {0: {1, 2}, 1: {1}}


@pytest.mark.parametrize("line", ["1", "1 2 3", "a 1", "1 -1", "1.5 1"])
def test_a_line_that_is_no_pair_is_refused(tmp_path: Path, line: str) -> None:
    path = write(tmp_path / "filter.txt", "0 0", line)

    with pytest.raises(DataError, match=r"filter\.txt, row 2: is no pair of two whole numbers"):
        read_filter_pairs(path, Counter(), rows=9, columns=9)


@pytest.mark.parametrize("line", ["2 0", "0 3"])
def test_the_first_number_out_of_range_is_refused(tmp_path: Path, line: str) -> None:
    path = write(tmp_path / "filter.txt", "1 2", line)

    with pytest.raises(DataError, match=r"row 2: names row . and column ., while there are 2"):
        read_filter_pairs(path, Counter(), rows=2, columns=3)
