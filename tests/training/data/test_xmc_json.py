from collections import Counter
from pathlib import Path

import pytest

from service.contract.errors import DataError
from tests.training.data.labelled import write
from tests.training.data.published_set import write_bytes
from training.data.text_lines import NOT_UTF8
from training.data.xmc_json import read_labelled_texts, read_titles
from training.data.xmc_labels import NO_POSITIVE, REPEATED

TITLES_PATH = Path("lbl.json.gz")


def test_titles_are_read_in_order_and_a_missing_one_is_empty(tmp_path: Path) -> None:
    path = write(tmp_path / "lbl.json", '{"title": "a\\u0085", "uid": 1}', '{"title": null}', "")

    assert read_titles(path, Counter()) == ["a\x85", ""]


def test_a_line_in_latin_1_is_read_and_counted(tmp_path: Path) -> None:
    counts = Counter[str]()
    path = write_bytes(tmp_path / "lbl.json.gz", '{"title": "café"}'.encode("latin-1"))

    assert read_titles(path, counts) == ["café"]
    assert counts == {NOT_UTF8: 1}


def test_labels_are_the_relevant_ones_each_once(tmp_path: Path) -> None:
    path = write(
        tmp_path / "trn.json",
        '{"title": "a", "target_ind": [4, 2, 4], "target_rel": [1, 1.0, 1.0]}',
        '{"title": "b", "content": "c", "target_ind": [1, 0], "target_rel": [0.0, 0.5]}',
        '{"title": "c", "target_ind": []}',
    )
    counts = Counter[str]()

    texts, positives = read_labelled_texts(path, counts, products=5, titles_path=TITLES_PATH)

    assert texts == ["a", "b", "c"]
    assert positives == [(2, 4), (0,), ()]
    assert counts == {REPEATED: 1, NO_POSITIVE: 1}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"title": "a", "target_ind": [', ": is no whole JSON object ("),
        ("[1]", ": holds a JSON list; one object a line is needed"),
        ("[" * 100_000, ": is no whole JSON object ("),
        ('{"target_ind": [0]}', ", 'title': is missing or no text"),
        ('{"title": 5, "target_ind": [0]}', ", 'title': is missing or no text"),
        ('{"title": "a"}', ", 'target_ind': is missing or no list of whole numbers"),
        ('{"title": "a", "target_ind": [0.0]}', ", 'target_ind': is missing or no list of whole"),
        ('{"title": "a", "target_ind": [true]}', ", 'target_ind': is missing or no list of whole"),
        ('{"title": "a", "target_ind": [5]}', ", 'target_ind': names product 5, while lbl.json.gz"),
        ('{"title": "a", "target_ind": [-1]}', ", 'target_ind': names product -1, while lbl.json"),
        ('{"title": "a", "target_ind": [0], "target_rel": []}', ", 'target_rel': is no list of 1"),
        (
            '{"title": "a", "target_ind": [0], "target_rel": ["x"]}',
            ", 'target_rel': is no list of 1 numbers",
        ),
        ("\n{}", ": is blank, other rows follow"),
    ],
)
def test_a_wrong_row_is_refused_with_file_and_row(tmp_path: Path, line: str, message: str) -> None:
    path = write(tmp_path / "trn.json", '{"title": "a", "target_ind": [0, 4]}', line)

    with pytest.raises(DataError) as caught:
        read_labelled_texts(path, Counter(), products=5, titles_path=TITLES_PATH)

    assert str(caught.value).startswith(f"{path}, row 2{message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"\n", b"\n\n"])
def test_a_file_without_rows_is_refused(tmp_path: Path, data: bytes) -> None:
    path = write_bytes(tmp_path / "lbl.json", data)

    with pytest.raises(DataError, match="holds no row"):
        read_titles(path, Counter())
