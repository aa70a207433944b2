from pathlib import Path

import pytest

from service.contract.errors import ConfigError, DataError
from tests.training.data.labelled import write
from training.data.column_map import ColumnMap
from training.data.folders import find_data_file, read_data_folder
from training.data.table_writer import write_table

PRODUCT_ROWS = (("p-1", "Sony XM4", "black"), ("p-2", "Bose 45", ""))
MATCH_ROWS = (
    ("q-1", "sony", "p-1", "train"),
    ("q-2", "bose", "p-2", "test"),
    ("q-3", "both", "p-1", "test"),
    ("q-3", "both", "p-2", "test"),
    ("q-4", "neither", "", "calibration"),
)


def data_folder(path: Path, *, suffix: str = ".csv", is_turned: bool = False) -> Path:
    """Write one and the same data in any kind of file, also with its rows turned round."""
    step = -1 if is_turned else 1
    write_table(path / f"products{suffix}", ["product_id", "title", "colour"], PRODUCT_ROWS[::step])
    write_table(
        path / f"matches{suffix}", ["query_id", "text", "product_id", "split"], MATCH_ROWS[::step]
    )
    return path


def test_a_data_folder_gives_its_queries_by_split(tmp_path: Path) -> None:
    data = read_data_folder(data_folder(tmp_path))

    assert [query.query_id for query in data.split("test")] == ["q-2", "q-3"]
    assert data.split("validation") == []
    assert data.trained_products() == {"p-1"}
    assert data.products.product_ids() == ["p-1", "p-2"]


def test_an_unknown_split_is_a_mistake_of_the_programmer(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'dev' is no split"):
        read_data_folder(data_folder(tmp_path)).split("dev")


def test_the_digest_is_of_what_is_said_not_of_how(tmp_path: Path) -> None:
    kinds = (".csv", ".tsv.gz", ".jsonl", ".parquet")
    folders = [data_folder(tmp_path / kind, suffix=kind) for kind in kinds]
    folders.append(data_folder(tmp_path / "turned", is_turned=True))

    digests = {read_data_folder(folder).digest() for folder in folders}

    assert digests == {"4b46f6acab3f14c9a0b05d71054f1bef163f16429063c20a4ea76fb3162b6e80"}


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("products.csv", "Sony", "sony"),
        ("products.csv", "black", "white"),
        ("products.csv", "colour", "color"),
        ("matches.csv", "q-2,bose", "q-2,bose "),
        ("matches.csv", "bose,p-2,test", "bose,p-2,validation"),
        ("matches.csv", "bose,p-2", "bose,p-1"),
    ],
)
def test_the_digest_changes_with_anything_that_is_said(
    tmp_path: Path, name: str, old: str, new: str
) -> None:
    before = read_data_folder(data_folder(tmp_path)).digest()

    path = tmp_path / name
    path.write_text(path.read_text().replace(old, new))

    assert read_data_folder(tmp_path).digest() != before


def test_queries_without_split_are_refused_with_the_command_that_deals_them(
    tmp_path: Path,
) -> None:
    data_folder(tmp_path)
    path = write(tmp_path / "matches.csv", "query_id,text,product_id", "q-1,sony,p-1")

    with pytest.raises(DataError) as caught:
        read_data_folder(tmp_path)

    assert str(caught.value).startswith(f"{path}, row 2, column 'split': query 'q-1' has no split")
    assert "python -m training prepare --from folder" in str(caught.value)


def test_a_leak_is_refused_with_the_file(tmp_path: Path) -> None:
    data_folder(tmp_path)
    header = "query_id,text,product_id,split"
    path = write(tmp_path / "matches.csv", header, "1,sony,p-1,train", "2,SONY,p-1,test")

    with pytest.raises(DataError, match="row 3") as caught:
        read_data_folder(tmp_path)

    assert str(caught.value).startswith(f"{path}: query '1' (row 2)")


def test_a_positive_that_is_no_product_is_refused(tmp_path: Path) -> None:
    data_folder(tmp_path)
    write(tmp_path / "matches.csv", "query_id,text,product_id,split", "1,sony,p-9,train")

    with pytest.raises(DataError, match="row 2, column 'product_id': query '1' names 'p-9'"):
        read_data_folder(tmp_path)


def test_a_mapping_serves_both_files_and_must_serve_one(tmp_path: Path) -> None:
    write(tmp_path / "products.csv", "sku,name", "1,Sony")
    write(tmp_path / "matches.csv", "id,offer,sku,split", "q,sony,1,train")
    rules = ["product_id=sku", "title=name", "query_id=id", "text=offer"]

    data = read_data_folder(tmp_path, ColumnMap.parse(rules))

    assert data.trained_products() == {"1"}
    with pytest.raises(ConfigError, match="--map queries:user_id=who applied to no file"):
        read_data_folder(tmp_path, ColumnMap.parse([*rules, "queries:user_id=who"]))


def test_a_data_file_is_found_whatever_its_kind(tmp_path: Path) -> None:
    path = write(tmp_path / "products.jsonl.gz")
    write(tmp_path / "products.md")
    write(tmp_path / "old_products.csv")

    assert find_data_file(tmp_path, "products") == path


def test_no_data_file_two_of_them_or_no_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no matches file; add matches with one of"):
        find_data_file(tmp_path, "matches")

    write(tmp_path / "matches.csv")
    write(tmp_path / "matches.tsv.gz")

    with pytest.raises(DataError, match=r"holds matches\.csv, matches\.tsv\.gz; keep one of them"):
        find_data_file(tmp_path, "matches")
    with pytest.raises(DataError, match="is no folder"):
        find_data_file(tmp_path / "matches.csv", "matches")


def test_filter_pairs_are_read_from_any_kind_of_file(tmp_path: Path) -> None:
    data_folder(tmp_path)
    write(tmp_path / "filter.tsv", "query_id\tproduct_id", "q-2\tp-1", "q-2\tp-2", "q-4\tp-1")

    data = read_data_folder(tmp_path)

    assert data.filtered == {"q-2": {"p-1", "p-2"}, "q-4": {"p-1"}}
    write(tmp_path / "filter.csv", "query_id,product_id")
    with pytest.raises(DataError, match=r"holds filter\.csv, filter\.tsv; keep one of them"):
        read_data_folder(tmp_path)


def test_a_filter_pair_of_a_strange_query_is_refused(tmp_path: Path) -> None:
    data_folder(tmp_path)
    path = write(tmp_path / "filter.csv", "query_id,product_id", "q-9,p-1")

    with pytest.raises(DataError, match="'q-9' is no query of the matches") as caught:
        read_data_folder(tmp_path)

    assert str(caught.value).startswith(f"{path}, row 2, column 'query_id'")


def test_filter_pairs_change_the_digest_and_their_order_does_not(tmp_path: Path) -> None:
    before = read_data_folder(data_folder(tmp_path)).digest()
    rows = ["q-2,p-1", "q-4,p-2", "q-2,p-2"]

    write(tmp_path / "filter.csv", "query_id,product_id")
    empty = read_data_folder(tmp_path).digest()
    write(tmp_path / "filter.csv", "query_id,product_id", *rows)
    one = read_data_folder(tmp_path).digest()
    write(tmp_path / "filter.csv", "query_id,product_id", *rows[::-1])
    turned = read_data_folder(tmp_path).digest()
    write(tmp_path / "filter.csv", "query_id,product_id", *rows[:2])
    fewer = read_data_folder(tmp_path).digest()

    assert empty == before
    assert one == turned
    assert len({before, one, fewer}) == 3


def test_published_splits_are_what_the_record_or_the_caller_says(tmp_path: Path) -> None:
    data_folder(tmp_path)
    header = "query_id,text,product_id,split"
    write(tmp_path / "matches.csv", header, "1,sony,p-1,train", "2,SONY,p-1,test")

    assert len(read_data_folder(tmp_path, published_splits=True).queries) == 2
    write(tmp_path / "prepared.json", '{"published_splits": true}')
    assert len(read_data_folder(tmp_path).queries) == 2
    with pytest.raises(DataError, match="is in train and query '2'"):
        read_data_folder(tmp_path, published_splits=False)
