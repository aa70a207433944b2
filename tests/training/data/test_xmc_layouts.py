from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from scipy import sparse

from service.contract.errors import DataError
from tests.training.data.published_set import (
    TEST_ROWS,
    TITLES,
    TRAIN_ROWS,
    json_layout,
    label_matrix,
    raw_layout,
    write_bytes,
)
from training.data.xmc_layouts import read_published


def refused(folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_published(folder, Counter())
    return str(caught.value)


def test_titles_texts_and_labels_come_as_they_are_written(tmp_path: Path) -> None:
    published = read_published(raw_layout(tmp_path), Counter())

    assert published.titles == list(TITLES)
    assert published.train.texts == [text for text, _ in TRAIN_ROWS]
    assert published.test.texts == [text for text, _ in TEST_ROWS]
    assert published.test.positives == [labels for _, labels in TEST_ROWS]
    assert published.train.filtered == {0: {0}, 2: {1}, 4: {2}, 6: {0, 4}}


def test_json_lines_go_before_raw_text_and_matrices_before_text(tmp_path: Path) -> None:
    raw_layout(raw_layout(json_layout(tmp_path)), sparse_text=True)
    (tmp_path / "trn_X_Y.txt").write_text("torn")

    assert len(read_published(tmp_path, Counter()).train.texts) == len(TRAIN_ROWS)

    (tmp_path / "raw" / "trn_X.txt").write_text("torn")

    assert len(read_published(tmp_path, Counter()).train.texts) == len(TRAIN_ROWS)


@pytest.mark.parametrize(
    ("layout", "name", "message"),
    [
        (json_layout, "tst.json.gz", "holds no tst.json or tst.json.gz"),
        (json_layout, "lbl.json.gz", "holds no lbl.json or lbl.json.gz"),
        (raw_layout, "raw/tst_X.txt", "holds no raw/tst_X.txt or raw/tst_X.txt.gz"),
        (raw_layout, "raw/Y.txt", "holds no raw/Y.txt or raw/Y.txt.gz"),
        (raw_layout, "Y.tst.npz", "holds neither Y.tst.npz nor tst_X_Y.txt"),
        (json_layout, "trn.json.gz", "holds neither trn.json.gz, tst.json.gz and lbl.json.gz nor"),
    ],
)
def test_a_missing_file_is_named(
    tmp_path: Path, layout: Callable[[Path], Path], name: str, message: str
) -> None:
    (layout(tmp_path) / name).unlink()

    assert refused(tmp_path).startswith(f"{tmp_path} {message}")


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    path = write_bytes(tmp_path / "trn.json", b"")

    assert refused(path).startswith(f"{path} is no folder")


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("raw/trn_X.txt", "Y.trn.npz"),
        ("raw/tst_X.txt", "Y.tst.npz"),
        ("raw/Y.txt", "Y.trn.npz"),
    ],
)
def test_texts_that_are_not_as_many_as_their_labels_are_refused(
    tmp_path: Path, name: str, labels: str
) -> None:
    path = raw_layout(tmp_path) / name
    lines = path.read_bytes().removesuffix(b"\n").split(b"\n")
    path.write_bytes(b"\n".join(lines[:-1]))

    assert refused(tmp_path).startswith(
        f"{path} holds {len(lines) - 1} lines, {tmp_path / labels} needs {len(lines)}; take both"
    )


def test_labels_of_another_catalogue_are_refused(tmp_path: Path) -> None:
    folder = raw_layout(tmp_path)
    matrix = sparse.csr_array((len(TEST_ROWS), 9))
    sparse.save_npz(folder / "Y.tst.npz", matrix)

    assert refused(folder) == (
        f"{folder / 'Y.tst.npz'} has 9 columns, {folder / 'Y.trn.npz'} needs {len(TITLES)}; "
        "take both from one release"
    )


@pytest.mark.parametrize("layout", [json_layout, partial(raw_layout, suffix=".txt.gz")])
def test_a_torn_file_is_refused_in_one_line(tmp_path: Path, layout: Callable[[Path], Path]) -> None:
    folder = layout(tmp_path)
    path = next(folder.rglob("tst*.gz"))
    path.write_bytes(path.read_bytes()[:-9])

    message = refused(folder)

    assert message.startswith(f"{path} is not a whole gzip file")
    assert "\n" not in message


def test_a_filter_pair_out_of_range_is_refused(tmp_path: Path) -> None:
    folder = json_layout(tmp_path)
    path = write_bytes(folder / "filter_labels_test.txt", b"0 0\n4 0\n")

    assert refused(folder) == (
        f"{path}, row 2: names row 4 and column 0, while there are 4 queries and 5 products, "
        "counted from 0; take all files from one release"
    )


def test_a_matrix_of_any_sparse_kind_will_do(tmp_path: Path) -> None:
    folder = raw_layout(tmp_path)
    labels = label_matrix([labels for _, labels in TEST_ROWS])
    sparse.save_npz(folder / "Y.tst.npz", labels.tocoo())

    test = read_published(folder, Counter()).test

    assert test.positives == [labels for _, labels in TEST_ROWS]
