from pathlib import Path

import pytest

from service.contract.errors import DataError
from tests.training.data.labelled import catalogue, labelled, write
from training.data.filter_pairs import read_filter, write_filter

QUERIES = [labelled("q-1", "a", "p-1", split="train"), labelled("q-2", "b", split="test")]
PRODUCTS = catalogue("p-1", "p-2")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "filter.csv"
    filtered = {"q-2": frozenset({"p-2", "p-1"}), "q-1": frozenset({"p-1"})}

    write_filter(path, filtered)

    assert path.read_text() == "query_id,product_id\nq-2,p-1\nq-2,p-2\nq-1,p-1\n"
    assert read_filter(path, QUERIES, PRODUCTS) == filtered


def test_a_pair_named_twice_is_one_and_a_header_alone_none(tmp_path: Path) -> None:
    path = write(tmp_path / "filter.tsv", "query_id\tproduct_id", " q-1\tp-2", "q-1\tp-2 ")

    assert read_filter(path, QUERIES, PRODUCTS) == {"q-1": {"p-2"}}
    assert read_filter(write(path, "query_id\tproduct_id"), QUERIES, PRODUCTS) == {}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("q-9,p-1", "row 3, column 'query_id': 'q-9' is no query of the matches"),
        ("q-1,p-9", "row 3, column 'product_id': 'p-9' is no product of the catalogue"),
        ("q-1,", "row 3, column 'product_id': '' is no product of the catalogue"),
    ],
)
def test_a_strange_id_is_refused_with_file_row_and_column(
    tmp_path: Path, row: str, message: str
) -> None:
    path = write(tmp_path / "filter.csv", "query_id,product_id", "q-1,p-1", row)

    with pytest.raises(DataError) as caught:
        read_filter(path, QUERIES, PRODUCTS)

    assert str(caught.value) == f"{path}, {message}; correct it or remove the row"


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "filter.csv", "query,product_id", "q-1,p-1")

    with pytest.raises(DataError, match="has no column 'query_id'"):
        read_filter(path, QUERIES, PRODUCTS)
