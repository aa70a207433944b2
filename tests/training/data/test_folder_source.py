from pathlib import Path

import pytest

from service.contract.errors import ConfigError, DataError
from tests.training.data.labelled import labelled, write
from training.data.column_map import ColumnMap
from training.data.folder_source import REPEATED_TEXTS, SHARED_TITLES, read_folder
from training.data.sources import Order

HEADER = "query_id,text,product_id,split"


def source(path: Path, *matches: str) -> Order:
    write(path / "products.csv", "product_id,title", "p-1,Sony XM4", "p-2,SONY xm4", "p-3,Bose")
    write(path / "matches.csv", *matches)
    return Order(path, 0)


def test_matches_without_splits_are_read_as_they_are(tmp_path: Path) -> None:
    delivery = read_folder(source(tmp_path, "query_id,text,product_id", "q-1,sony,p-1"))

    assert delivery.queries == [labelled("q-1", "sony", "p-1")]
    assert delivery.counts == {SHARED_TITLES: 2}


def test_splits_that_are_there_are_kept_and_repeats_in_them_counted(tmp_path: Path) -> None:
    rows = ["1,a,p-1,test", "2,A,p-1,test", "3,b,p-1,train", "4,b,p-2,train"]

    delivery = read_folder(source(tmp_path, HEADER, *rows))

    assert [query.split for query in delivery.queries] == ["test", "test", "train", "train"]
    assert delivery.counts == {SHARED_TITLES: 2, REPEATED_TEXTS: 1}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["1,a,p-1,test", "2,b,p-1,"], "row 3, column 'split': query '2' has no split"),
        (["1,a,p-1,test", "2,a,p-1,train"], "query '1' (row 2) is in test and query '2' (row 3)"),
        (["1,a,p-1,test", "2,b,p-9,test"], "row 3, column 'product_id': query '2' names 'p-9'"),
    ],
)
def test_what_cannot_be_kept_is_refused(tmp_path: Path, rows: list[str], message: str) -> None:
    with pytest.raises(DataError) as caught:
        read_folder(source(tmp_path, HEADER, *rows))

    assert str(tmp_path / "matches.csv") in str(caught.value)
    assert message in str(caught.value)


def test_a_mapping_must_serve_a_file(tmp_path: Path) -> None:
    order = source(tmp_path, "query_id,text,product_id", "q-1,sony,p-1")

    with pytest.raises(ConfigError, match="applied to no file"):
        read_folder(Order(order.source, 0, column_map=ColumnMap.parse(["user_id=customer"])))


def test_without_a_source_the_option_is_named() -> None:
    with pytest.raises(ConfigError, match="--source PATH"):
        read_folder(Order(None, 0))
