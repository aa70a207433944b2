from pathlib import Path

import pytest

from service.contract.errors import ConfigError, DataError, UsageError
from training.data.column_map import ColumnMap
from training.data.tables import Table


def products(**columns: list[str]) -> Table:
    return Table(Path("products.csv"), [2, 3], columns)


def test_a_column_named_alone_is_renamed() -> None:
    table = ColumnMap.parse(["title=name"]).apply(
        products(product_id=["1", "2"], name=["a", "b"]), "products"
    )

    assert table.columns == {"product_id": ["1", "2"], "title": ["a", "b"]}


def test_joined_columns_skip_blanks_and_stay_as_well() -> None:
    table = ColumnMap.parse(["title=name, brand"]).apply(
        products(name=["a ", " "], brand=["Sony", "Bose"]), "products"
    )

    assert table.columns == {
        "name": ["a ", " "],
        "brand": ["Sony", "Bose"],
        "title": ["a Sony", "Bose"],
    }


def test_two_columns_can_change_places() -> None:
    table = ColumnMap.parse(["title=category", "category=title"]).apply(
        products(title=["a", "b"], category=["x", "y"]), "products"
    )

    assert table.columns == {"title": ["x", "y"], "category": ["a", "b"]}


def test_one_column_can_become_two() -> None:
    table = ColumnMap.parse(["title=name", "label=name"]).apply(
        products(name=["a", "b"]), "products"
    )

    assert table.columns == {"title": ["a", "b"], "label": ["a", "b"]}


def test_a_joined_title_can_keep_its_name() -> None:
    table = ColumnMap.parse(["title=title,brand"]).apply(
        products(title=["a", "b"], brand=["Sony", ""]), "products"
    )

    assert table.columns["title"] == ["a Sony", "b"]


@pytest.mark.parametrize(
    ("written", "kind", "target"),
    [
        ("products:text=a", "products", "text"),
        ("matches:text=a", "matches", "text"),
        ("queries:user_id=a", "queries", "user_id"),
        ("colour=a", "products", "colour"),
    ],
)
def test_a_mapping_speaks_of_its_kind_of_file_alone(written: str, kind: str, target: str) -> None:
    column_map = ColumnMap.parse([written])
    table = products(a=["1", "2"])

    changed = {
        "products": column_map.apply(table, "products").columns,
        "matches": column_map.apply(table, "matches").columns,
        "queries": column_map.apply(table, "queries").columns,
    }

    assert {name for name, columns in changed.items() if target in columns} == {kind}


def test_a_column_of_several_kinds_of_file_is_mapped_where_its_source_is() -> None:
    column_map = ColumnMap.parse(["product_id=sku"])
    own = products(sku=["1", "2"], title=["a", "b"])
    other = Table(Path("matches.csv"), [2], {"product_id": ["1"]})

    assert column_map.apply(own, "products").columns["product_id"] == ["1", "2"]
    assert column_map.apply(other, "matches") is other
    column_map.check_all_applied()


def test_a_source_that_is_not_there_is_named() -> None:
    with pytest.raises(DataError) as caught:
        ColumnMap.parse(["title=name,brand"]).apply(products(name=["a", "b"]), "products")

    assert str(caught.value) == (
        "products.csv has no column 'brand', which --map title=name,brand needs, only 'name'; "
        "name one of these"
    )


def test_a_mapping_that_applied_to_no_file_is_an_error() -> None:
    column_map = ColumnMap.parse(["product_id=sku", "title=name"])
    column_map.apply(products(product_id=["1", "2"], name=["a", "b"]), "products")

    with pytest.raises(ConfigError, match="--map product_id=sku applied to no file"):
        column_map.check_all_applied()


def test_an_error_names_the_column_of_the_file_as_well() -> None:
    table = ColumnMap.parse(["title=name,brand"]).apply(
        products(name=["a", ""], brand=["b", ""]), "products"
    )

    message = str(table.error(1, "title", "is blank"))

    assert message == "products.csv, row 3, column 'title' (made from 'name,brand'): is blank"


def test_a_gap_follows_its_column() -> None:
    table = Table(Path("p.jsonl"), [1, 2], {"name": ["a", ""]}, first_gap={"name": 2})

    mapped = ColumnMap.parse(["title=name"]).apply(table, "products")

    assert mapped.first_gap == {"title": 2}


@pytest.mark.parametrize(
    "written", ["title", "title=", "=name", "title=a,,b", " =a", "products:=a"]
)
def test_another_form_is_refused_with_the_right_one(written: str) -> None:
    with pytest.raises(UsageError, match=r"is of another form; write TARGET=SOURCE"):
        ColumnMap.parse([written])


def test_an_unknown_kind_of_file_is_refused() -> None:
    with pytest.raises(UsageError, match="names the unknown kind of file 'shops'"):
        ColumnMap.parse(["shops:title=name"])


@pytest.mark.parametrize(
    ("first", "second"), [("title=a", "title=b"), ("text=a", "matches:text=b")]
)
def test_one_column_cannot_be_made_twice(first: str, second: str) -> None:
    with pytest.raises(UsageError, match="make the same column"):
        ColumnMap.parse([first, second])


def test_one_column_can_be_made_another_way_in_each_kind_of_file() -> None:
    column_map = ColumnMap.parse(["products:product_id=sku", "matches:product_id=ean"])

    assert len(column_map.rules) == 2
