from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.catalogue import OWN_COLUMNS, Catalogue
from service.contract.bundle import CATALOGUE
from service.contract.errors import BundleCorruptError
from tests.tiny import PRODUCTS

COLUMNS: dict[str, list[Any]] = {
    "product_id": ["p-1", "p-2"],
    "title": ["Cable", "cable"],
    "category": ["Accessories", None],
    "colour": [None, "black"],
    "product_text": ["cable", "cable"],
    "has_twin": [True, True],
    "seen_in_training": [False, True],
}


def write(folder: Path, columns: dict[str, Any]) -> Path:
    path = folder / CATALOGUE
    pq.write_table(pa.table(columns), path)
    return path


def test_a_catalogue_is_what_the_bundle_holds(tiny_bundle: Path) -> None:
    catalogue = Catalogue.from_file(tiny_bundle / CATALOGUE)

    assert len(catalogue) == len(PRODUCTS)
    assert catalogue.product_ids == [product_id for product_id, _, _ in PRODUCTS]
    assert catalogue.titles == [title for _, title, _ in PRODUCTS]
    assert catalogue.has_twin.tolist() == [False] * 6 + [True] * 2


def test_a_request_may_ask_for_every_column_that_the_build_did_not_add(tmp_path: Path) -> None:
    catalogue = Catalogue.from_file(write(tmp_path, COLUMNS))

    assert catalogue.fields == ("category", "colour")


def test_a_product_has_these_values_and_none_where_it_has_none(tmp_path: Path) -> None:
    catalogue = Catalogue.from_file(write(tmp_path, COLUMNS))

    assert catalogue.values(0, ["colour", "category"]) == {
        "colour": None,
        "category": "Accessories",
    }
    assert catalogue.values(1, catalogue.fields) == {"category": None, "colour": "black"}
    assert catalogue.values(1, []) == {}


def test_the_products_that_were_seen_in_training_are_the_marked_ones(tmp_path: Path) -> None:
    catalogue = Catalogue.from_file(write(tmp_path, COLUMNS))

    assert catalogue.seen_products() == {"p-2"}


@pytest.mark.parametrize("name", ["price", "product_id", "title", *OWN_COLUMNS])
def test_a_name_that_is_no_field_is_refused(tmp_path: Path, name: str) -> None:
    catalogue = Catalogue.from_file(write(tmp_path, COLUMNS))

    with pytest.raises(KeyError, match=name):
        catalogue.values(0, ["category", name])


@pytest.mark.parametrize("name", ["product_id", "title", "has_twin"])
def test_a_catalogue_without_a_column_is_refused_by_its_name(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, {key: value for key, value in COLUMNS.items() if key != name})

    with pytest.raises(BundleCorruptError, match=rf"products\.parquet .*{name}"):
        Catalogue.from_file(path)


@pytest.mark.parametrize("name", ["product_id", "title", "has_twin"])
def test_a_catalogue_with_a_gap_in_a_column_is_refused_by_its_name(
    tmp_path: Path, name: str
) -> None:
    path = write(tmp_path, {**COLUMNS, name: [COLUMNS[name][0], None]})

    with pytest.raises(BundleCorruptError, match=f"column {name} has empty values"):
        Catalogue.from_file(path)


def test_a_catalogue_in_several_row_groups_keeps_its_rows(tmp_path: Path) -> None:
    path = tmp_path / CATALOGUE
    pq.write_table(pa.table(COLUMNS), path, row_group_size=1)

    catalogue = Catalogue.from_file(path)

    assert catalogue.product_ids == ["p-1", "p-2"]
    assert catalogue.has_twin.tolist() == [True, True]
    assert catalogue.values(1, ["colour"]) == {"colour": "black"}


def test_the_name_of_a_folder_adds_no_field(tmp_path: Path) -> None:
    folder = tmp_path / "shop=north" / "_tmp"
    folder.mkdir(parents=True)

    assert Catalogue.from_file(write(folder, COLUMNS)).fields == ("category", "colour")


def test_a_damaged_file_is_refused_or_read_and_never_anything_else(tmp_path: Path) -> None:
    path = write(tmp_path, COLUMNS)
    whole, chance, refused = path.read_bytes(), np.random.default_rng(0), 0

    for _ in range(400):
        torn = int(chance.integers(1, 2 * len(whole)))
        damaged = bytearray(whole[:torn])
        for position in chance.integers(len(damaged), size=chance.integers(1, 4)):
            damaged[position] ^= 1 << chance.integers(8)
        path.write_bytes(damaged)
        try:
            Catalogue.from_file(path)
        except BundleCorruptError:
            refused += 1

    assert refused > 200


def test_a_catalogue_that_is_missing_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(BundleCorruptError, match=r"absent\.parquet is no catalogue"):
        Catalogue.from_file(tmp_path / "absent.parquet")
