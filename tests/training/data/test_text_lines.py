from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.contract.errors import DataError
from tests.training.data.published_set import write_bytes
from training.data.text_lines import NOT_UTF8, exactly, find_text, read_lines

SAME = Path("Y.txt")
no_line_ends = st.text(st.characters(exclude_characters="\n\r\ufeff", codec="utf-8"))


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_only_line_feeds_end_a_line(tmp_path: Path, suffix: str) -> None:
    text = "\ufeffa\x85b\u2028c\x0bd\x1ce\rf\r\n\n\u00a0g"
    path = write_bytes(tmp_path / f"Y.txt{suffix}", text.encode())

    assert list(read_lines(path, Counter())) == ["a\x85b\u2028c\x0bd\x1ce\rf", "", "\u00a0g"]


@given(st.lists(no_line_ends))
def test_lines_come_back_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    path = tmp_path_factory.mktemp("lines") / "Y.txt"
    path.write_bytes("".join(f"{line}\n" for line in lines).encode())

    assert list(read_lines(path, Counter())) == lines


def test_only_the_lines_that_are_not_utf_8_are_read_as_latin_1(tmp_path: Path) -> None:
    counts = Counter[str]()
    path = write_bytes(tmp_path / "Y.txt", b"caf\xc3\xa9\ncaf\xe9\n\xff\n")

    assert list(read_lines(path, counts)) == ["café", "café", "ÿ"]
    assert counts == {NOT_UTF8: 2}


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        list(read_lines(tmp_path, Counter()))
    path = tmp_path / "Y.txt.gz"
    path.write_bytes(b"no gzip")
    with pytest.raises(DataError, match="is not a whole gzip file"):
        list(read_lines(path, Counter()))


def test_one_blank_line_at_the_end_is_no_line() -> None:
    assert exactly(["a", "b"], 2, path=SAME, needed_by="it") == ["a", "b"]
    assert exactly(["a", ""], 2, path=SAME, needed_by="it") == ["a", ""]
    assert exactly(["a", ""], 1, path=SAME, needed_by="it") == ["a"]


@pytest.mark.parametrize("lines", [["a"], ["a", "b", "c"], ["a", "b", "", ""]])
def test_too_many_or_too_few_lines_are_refused(lines: list[str]) -> None:
    with pytest.raises(DataError, match=f"Y.txt holds {len(lines)} lines, labels needs 2; take"):
        exactly(lines, 2, path=SAME, needed_by="labels")


def test_the_first_name_that_is_there_is_found(tmp_path: Path) -> None:
    assert find_text(tmp_path, "raw/Y.txt", "Y.txt") is None

    beside = write_bytes(tmp_path / "Y.txt.gz", b"")

    assert find_text(tmp_path, "raw/Y.txt", "Y.txt") == beside

    inside = write_bytes(tmp_path / "raw" / "Y.txt.gz", b"")

    assert find_text(tmp_path, "raw/Y.txt", "Y.txt") == inside
