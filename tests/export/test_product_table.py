from collections.abc import Mapping
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from export import product_table
from export.product_table import write_catalogue
from export.read_products import ReadProducts
from service.catalogue import Catalogue
from service.contract.errors import BundleError
from service.contract.tokens import TextTokeniser
from tests.tiny import make_tokenizer
from training.data.products import Product, Products

TITLES = ["Acme lamp", "acme  LAMP", "Acme drill", "Acme lamp blue", "Acme saw"]


def read(
    titles: list[str], *, category: str | None = None, attributes: Mapping[str, str] = {}
) -> ReadProducts:
    """Return products, the last of which alone has the category and the attributes."""
    others = [Product(f"p-{row}", title, None, {}) for row, title in enumerate(titles[:-1])]
    items = (*others, Product("last", titles[-1], category, attributes))
    tokeniser = TextTokeniser(make_tokenizer(titles))
    return ReadProducts.of(Products(items, tuple(attributes)), titles, tokeniser)


def test_row_groups_change_nothing_of_what_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue = read(TITLES, category="tools", attributes={"colour": "red"})
    write_catalogue(tmp_path / "one", catalogue, trained_products={"p-1", "gone"})
    monkeypatch.setattr(product_table, "_ROWS_A_GROUP", 2)
    write_catalogue(tmp_path / "several", catalogue, trained_products={"p-1", "gone"})

    assert pq.ParquetFile(tmp_path / "several").metadata.num_row_groups == 3
    assert pq.read_table(tmp_path / "several").equals(pq.read_table(tmp_path / "one"))


def test_twins_and_training_are_known_across_row_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(product_table, "_ROWS_A_GROUP", 1)
    write_catalogue(tmp_path / "table", read(TITLES), trained_products={"p-2"})

    served = Catalogue.from_file(tmp_path / "table")
    assert served.has_twin.tolist() == [True, True, False, False, False]
    assert served.seen_products() == {"p-2"}
    assert served.titles == TITLES


@pytest.mark.parametrize("category", [None, "tools"])
def test_a_category_is_a_column_where_any_product_has_one(
    tmp_path: Path, category: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(product_table, "_ROWS_A_GROUP", 2)
    catalogue = read(TITLES, category=category, attributes={"colour": "red"})
    write_catalogue(tmp_path / "table", catalogue, trained_products=())

    served = Catalogue.from_file(tmp_path / "table")
    assert served.fields == (("category", "colour") if category else ("colour",))
    assert served.values(4, ["colour"]) == {"colour": "red"}
    assert served.values(0, ["colour"]) == {"colour": None}


@pytest.mark.parametrize("name", ["has_twin", "category", "product_text"])
def test_an_attribute_with_a_name_of_the_bundles_own_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BundleError, match=f"attribute named {name}"):
        write_catalogue(
            tmp_path / "table", read(TITLES, attributes={name: "1"}), trained_products=()
        )
    assert not (tmp_path / "table").exists()
