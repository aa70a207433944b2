import gzip
from pathlib import Path

import pytest

from service.contract.errors import DataError
from tests.training.data.labelled import write
from training.data.table_writer import write_table
from training.data.tables import SUFFIXES, Table, read_table, suffix_of

NAMES = ("product_id", "title", "note")
ROWS = (
    ("12", 'Sony "XM4", black', ""),
    ("13", "two\nlines", "größe 5 µm"),
    ("14", "a tab\tand a lone\rreturn", " spaces "),
    ("15", "\u2028 line separator", "None"),
)


def message_of(path: Path) -> str:
    """Return the message with which reading fails, checked to be one line."""
    with pytest.raises(DataError) as caught:
        read_table(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_kind_of_file_gives_back_what_was_written(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"products{suffix}"

    write_table(path, NAMES, ROWS)
    table = read_table(path)

    assert list(table.columns) == list(NAMES)
    assert list(zip(*table.columns.values(), strict=True)) == list(ROWS)


@pytest.mark.parametrize("suffix", [s for s in SUFFIXES if not s.startswith(".jsonl")])
def test_a_table_without_rows_keeps_its_columns(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"products{suffix}"

    write_table(path, NAMES, [])

    assert read_table(path).columns == {"product_id": [], "title": [], "note": []}


def test_the_suffix_is_read_in_any_case(tmp_path: Path) -> None:
    path = write(tmp_path / "P.CSV", "product_id", "1")

    assert read_table(path).columns == {"product_id": ["1"]}


@pytest.mark.parametrize("name", ["products.xlsx", "products.parquet.gz", "products", "csv"])
def test_an_unknown_suffix_is_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(DataError, match=r"\.csv, \.tsv, \.jsonl, \.parquet"):
        suffix_of(Path(name))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "does not exist" in message_of(tmp_path / "products.csv")


def test_a_folder_in_place_of_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "products.csv").mkdir()

    assert "cannot be read (Is a directory)" in message_of(tmp_path / "products.csv")


@pytest.mark.parametrize("kept", [0, 5, 20, -4])
def test_a_torn_gzip_file_is_refused(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "products.csv.gz"
    path.write_bytes(gzip.compress(b"product_id,title\n1,Sony\n")[:kept])

    assert message_of(path)


def test_plain_text_named_gzip_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "products.csv.gz", "product_id,title")

    assert "is not a whole gzip file" in message_of(path)


def test_an_error_inside_a_file_names_file_row_and_column(tmp_path: Path) -> None:
    path = write(tmp_path / "products.csv", "product_id,title", "1,Sony", "2,Bo\0se")

    assert message_of(path) == (f"{path}, row 3, column 'title': holds a NUL character; remove it")


def test_a_missing_column_is_named_with_those_there_are(tmp_path: Path) -> None:
    table = read_table(write(tmp_path / "products.csv", "sku,name", "1,Sony"))

    with pytest.raises(DataError) as caught:
        table.require("product_id")

    assert str(caught.value) == (
        f"{table.path} has no column 'product_id', only 'sku', 'name'; "
        "add it, or say which column holds it with --map product_id=COLUMN"
    )


def test_a_json_row_without_a_required_column_is_named(tmp_path: Path) -> None:
    lines = ['{"query_id": "q-1", "product_id": ""}', "", '{"query_id": "q-2"}']
    table = read_table(write(tmp_path / "matches.jsonl", *lines))

    with pytest.raises(DataError, match=r"matches\.jsonl, row 3, column 'product_id': the object"):
        table.require("query_id", "product_id")


def test_an_optional_column_that_is_not_there_is_empty() -> None:
    table = Table(Path("m.csv"), [2, 3], {"query_id": ["q-1", "q-2"]})

    assert table.optional("split") == ["", ""]
