from pathlib import Path

import pytest

from service.contract.errors import ConfigError, DataError
from service.contract.text import MAX_TEXT_CHARACTERS
from tests.training.data.labelled import write
from training.data.column_map import ColumnMap
from training.data.products import Product, Products, read_products


def test_further_columns_are_attributes_and_an_empty_one_is_absent(tmp_path: Path) -> None:
    path = write(
        tmp_path / "products.csv",
        "colour,product_id,title,brand,category",
        "black, p-1 ,Sony XM4,Sony,Audio > Headphones",
        ",p-2,Bose 45,,",
    )

    products = read_products(path)

    assert products == Products(
        (
            Product("p-1", "Sony XM4", "Audio > Headphones", {"colour": "black", "brand": "Sony"}),
            Product("p-2", "Bose 45", None, {}),
        ),
        ("colour", "brand"),
    )
    assert len(products) == 2
    assert products.product_ids() == ["p-1", "p-2"]


def test_a_file_of_other_columns_is_read_with_a_map(tmp_path: Path) -> None:
    path = write(tmp_path / "shop.jsonl", '{"sku": 7, "name": "XM4", "brand": "Sony"}')

    products = read_products(path, ColumnMap.parse(["product_id=sku", "title=brand,name"]))

    assert products.items[0].product_id == "7"
    assert products.items[0].title == "Sony XM4"
    assert products.attribute_names == ("name", "brand")


def test_products_of_one_title_stay_apart(tmp_path: Path) -> None:
    path = write(tmp_path / "products.csv", "product_id,title", "1,Cable", "2,cable")

    assert len(read_products(path)) == 2


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["1,Sony", "2,Bose", " 1,Canon"], "row 4, column 'product_id': '1' is the id of row 2"),
        (["1,Sony", " ,Bose"], "row 3, column 'product_id': is blank"),
        (["1,Sony", "2, \u200b"], "row 3, column 'title': is blank"),
        (["1," + "x" * (MAX_TEXT_CHARACTERS + 1)], "row 2, column 'title': is 10001 characters"),
    ],
)
def test_a_wrong_row_is_refused_with_file_row_and_column(
    tmp_path: Path, lines: list[str], message: str
) -> None:
    path = write(tmp_path / "products.csv", "product_id,title", *lines)

    with pytest.raises(DataError) as caught:
        read_products(path)

    assert str(caught.value).startswith(f"{path}, {message}")


def test_the_longest_title_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "products.csv", "product_id,title", "1," + "x" * MAX_TEXT_CHARACTERS)

    assert len(read_products(path).items[0].title) == MAX_TEXT_CHARACTERS


def test_a_file_without_products_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "products.csv", "product_id,title")

    with pytest.raises(DataError, match="holds no product"):
        read_products(path)


@pytest.mark.parametrize("header", ["title", "product_id"])
def test_a_missing_column_is_named(tmp_path: Path, header: str) -> None:
    with pytest.raises(DataError, match=f"has no column .* only '{header}'"):
        read_products(write(tmp_path / "products.csv", header, "1"))


def test_the_text_of_a_product_joins_the_chosen_columns() -> None:
    products = Products(
        (
            Product("1", "Sony XM4", "Audio", {"colour": " black "}),
            Product("2", "Bose 45", None, {}),
        ),
        ("colour",),
    )

    assert products.texts(["title"]) == ["Sony XM4", "Bose 45"]
    assert products.texts(["title", "colour", "category"]) == ["Sony XM4 black Audio", "Bose 45"]


def test_an_unknown_column_of_the_text_is_refused_with_those_there_are() -> None:
    products = Products((Product("1", "Sony", None, {}),), ("colour",))

    with pytest.raises(ConfigError, match="no column 'size', only title, category, colour"):
        products.texts(["title", "size"])


def test_a_joined_text_over_the_limit_is_refused_with_its_product() -> None:
    long = "x" * MAX_TEXT_CHARACTERS
    products = Products((Product("p-7", "Sony", None, {"note": long}),), ("note",))

    assert products.texts(["note"]) == [long]
    with pytest.raises(DataError, match="product 'p-7': title, note are together 10005 characters"):
        products.texts(["title", "note"])
