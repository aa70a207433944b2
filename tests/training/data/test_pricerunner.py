import os
from pathlib import Path

import pytest

from service.contract.errors import ConfigError, DataError
from tests.training.data.labelled import labelled, write
from training.data.pricerunner import read_pricerunner
from training.data.products import Product
from training.data.sources import Order
from training.data.splits import deal

HEADER = "product_id,product_title,vendor_id,cluster_id,cluster_label,category_id,category_label"
OFFERS = (
    "1,halvor x1 64gb blk,1,20,Halvor X1 64GB,7,Phones",
    "2,halvor x1 black,2,9,halvor  x1 64gb,8,Tablets",
    "3,tv quorin 55,1,30,Quorin 55,9,TVs",
    "4,halvor x1 64,3,100,HALVOR X1 64GB,8,Tablets",
)

with_real_data = pytest.mark.skipif(
    "SUREMATCH_DATA" not in os.environ, reason="SUREMATCH_DATA is not set"
)


def order(source: Path | None, *categories: str) -> Order:
    return Order(source, 0, categories)


def test_products_of_one_name_become_one_under_the_smallest_id(tmp_path: Path) -> None:
    path = write(tmp_path / "offers.csv", HEADER, *OFFERS)

    delivery = read_pricerunner(order(path))

    assert delivery.products.items == (
        Product("9", "halvor  x1 64gb", "Tablets", {"alias_ids": "20 100"}),
        Product("30", "Quorin 55", "TVs", {}),
    )
    assert delivery.products.attribute_names == ("alias_ids",)
    assert delivery.queries == [
        labelled("1", "halvor x1 64gb blk", "9", row=2),
        labelled("2", "halvor x1 black", "9", row=3),
        labelled("3", "tv quorin 55", "30", row=4),
        labelled("4", "halvor x1 64", "9", row=5),
    ]
    assert delivery.counts == {
        "names shared by several products": 1,
        "products merged away": 2,
    }


def test_of_equally_frequent_categories_the_first_by_name_is_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "offers.csv", HEADER, *OFFERS[:3])

    assert read_pricerunner(order(path)).products.items[0].category == "Phones"


def test_only_the_chosen_categories_are_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "offers.csv", HEADER, *OFFERS)

    delivery = read_pricerunner(order(path, "Phones", "TVs"))

    assert delivery.products.product_ids() == ["20", "30"]
    assert [query.query_id for query in delivery.queries] == ["1", "3"]
    with pytest.raises(ConfigError, match="no category 'Cars', only Phones, TVs, Tablets"):
        read_pricerunner(order(path, "Cars"))


def test_a_folder_with_one_csv_file_will_do(tmp_path: Path) -> None:
    write(tmp_path / "offers.csv", HEADER, *OFFERS)
    write(tmp_path / "SOURCE.md", "where it is from")

    assert len(read_pricerunner(order(tmp_path)).queries) == 4

    write(tmp_path / "more.csv", HEADER)

    with pytest.raises(DataError, match=r"found more\.csv, offers\.csv; name the file"):
        read_pricerunner(order(tmp_path))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="found none"):
        read_pricerunner(order(tmp_path / "empty"))


def test_without_a_source_the_option_is_named() -> None:
    with pytest.raises(ConfigError, match="--source PATH"):
        read_pricerunner(order(None))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1,again,1,30,Quorin 55,9,TVs", "row 4, column 'product_id': '1' is the id of row 2"),
        (",a,1,30,Quorin 55,9,TVs", "row 4, column 'product_id': is blank"),
        ("5,a,1,,Quorin 55,9,TVs", "row 4, column 'cluster_id': is blank"),
        ("5,a,1,30,\u200b,9,TVs", "row 4, column 'cluster_label': is blank"),
        ("5,a,1,30,Quorin 55,9,", "row 4, column 'category_label': is blank"),
        (f"5,{'x' * 10_001},1,30,Quorin 55,9,TVs", "row 4, column 'product_title': is 10001"),
        (f"5,a,1,30,{'x' * 10_001},9,TVs", "row 4, column 'cluster_label': is 10001"),
        ("5,a,1,30,Quorin 55,9", "row 4, column 'category_label': the row has 6 entries"),
    ],
)
def test_a_wrong_row_is_refused_with_file_row_and_column(
    tmp_path: Path, line: str, message: str
) -> None:
    path = write(tmp_path / "offers.csv", HEADER, *OFFERS[:2], line)

    with pytest.raises(DataError) as caught:
        read_pricerunner(order(path))

    assert str(caught.value).startswith(f"{path}, {message}")


def test_another_file_is_refused_with_the_missing_column(tmp_path: Path) -> None:
    path = write(tmp_path / "offers.csv", "product_id,title", "1,a")

    with pytest.raises(DataError, match="has no column 'product_title'"):
        read_pricerunner(order(path))


@pytest.mark.real_data
@with_real_data
@pytest.mark.parametrize(
    ("categories", "products", "offers"),
    [
        (("TVs", "Mobile Phones", "Digital Cameras"), 2_932, 7_339),
        (("Digital Cameras",), 558, 1_876),
        ((), 10_359, 25_442),
    ],
)
def test_the_published_offers_give_the_known_counts(
    categories: tuple[str, ...], products: int, offers: int
) -> None:
    source = Path(os.environ["SUREMATCH_DATA"]) / "pricerunner_dev"

    delivery = read_pricerunner(order(source, *categories))

    assert len(delivery.products) == products
    assert len(delivery.queries) == offers


@pytest.mark.real_data
@with_real_data
def test_cameras_get_enough_texts_to_calibrate_on() -> None:
    source = Path(os.environ["SUREMATCH_DATA"]) / "pricerunner_dev"
    queries = read_pricerunner(order(source, "Digital Cameras")).queries

    dealt = [query.split for seed in range(10) for query in deal(queries, seed=seed)]

    assert dealt.count("calibration") / 10 == pytest.approx(290, abs=15)
    assert dealt.count("train") / 10 == pytest.approx(1_000, abs=50)
