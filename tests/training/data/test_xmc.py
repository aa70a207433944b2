import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from service.contract.errors import ConfigError, DataError
from service.contract.text import MAX_TEXT_CHARACTERS
from tests.training.data.labelled import labelled
from tests.training.data.published_set import (
    TEST_ROWS,
    json_layout,
    json_lines,
    raw_layout,
    write_bytes,
)
from training.data import xmc
from training.data.folders import read_data_folder
from training.data.matches import LabelledQuery
from training.data.prepare import prepare
from training.data.published_splits import has_published_splits
from training.data.sources import Delivery, Order
from training.data.splits import text_key
from training.data.text_lines import NOT_UTF8
from training.data.xmc import read_xmc
from training.data.xmc_labels import REPEATED

LAYOUTS: dict[str, Callable[[Path], Path]] = {
    "JSON": json_layout,
    "JSON, not zipped": partial(json_layout, suffix=".json"),
    "raw with matrices": raw_layout,
    "raw with text labels": partial(raw_layout, sparse_text=True),
    "raw beside, zipped": partial(raw_layout, sparse_text=True, raw=".", suffix=".txt.gz"),
}

SAID = {
    REPEATED: 1,
    xmc.NO_TITLE: 1,
    xmc.LOST_LABELS: 2,
    xmc.BLANK_TRAIN: 1,
    xmc.EMPTY_TRAIN: 2,
    xmc.BLANK_TEST: 1,
    xmc.EMPTY_TEST: 1,
    xmc.IN_BOTH: 1,
    xmc.FILTER_PAIRS: 5,
}


def read(folder: Path, share: float | None = None, *, seed: int = 0) -> Delivery:
    return read_xmc(Order(folder, seed, held_out_share=share))


def without_filters(folder: Path) -> Path:
    for path in folder.glob("filter*"):
        path.unlink()
    return folder


def by_id(queries: list[LabelledQuery]) -> dict[str, LabelledQuery]:
    return {query.query_id: query for query in queries}


def test_a_published_set_becomes_products_queries_and_filter_pairs(tmp_path: Path) -> None:
    delivery = read(json_layout(tmp_path), 0)

    queries = by_id(delivery.queries)
    assert [(p.product_id, p.title) for p in delivery.products.items] == [
        ("p-0", "Sony XM4"),
        ("p-2", "Café Bose"),
        ("p-3", "Lamp\x85X"),
        ("p-4", "Sony\x1cXM4, black"),
    ]
    assert queries["trn-0"] == labelled("trn-0", "sony headphones", "p-0", split="train", row=1)
    assert queries["trn-2"].positives == ("p-2",)
    assert queries["trn-3"].positives == ("p-3",)
    assert queries["trn-6"] == labelled("trn-6", "sony headphones", "p-4", split="train", row=7)
    assert queries.keys() & {"trn-1", "trn-4", "trn-5"} == set()
    assert delivery.filtered == {
        "trn-0": {"p-0"},
        "trn-6": {"p-0", "p-4"},
        "tst-0": {"p-3"},
        "tst-3": {"p-2"},
    }
    assert delivery.counts == SAID


def test_the_test_split_stays_whole(tmp_path: Path) -> None:
    delivery = read(json_layout(tmp_path), 0.5)

    test = [query for query in delivery.queries if query.split == "test"]
    assert [query.text for query in test] == [text for text, _ in TEST_ROWS]
    assert [query.positives for query in test] == [("p-0", "p-3"), ("p-3",), (), ("p-3", "p-4")]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_one_and_the_same_data_folder(tmp_path: Path, layout: str) -> None:
    first = prepare("xmc", json_layout(tmp_path / "first"), tmp_path / "a")

    second = prepare("xmc", LAYOUTS[layout](tmp_path / "second"), tmp_path / "b")

    for name in ("products.csv", "matches.csv", "filter.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert second.digest == first.digest
    latin = {NOT_UTF8: 1} if "raw" in layout else {}
    assert second.source_counts == SAID | latin


def test_the_data_folder_opens_though_train_and_test_share_a_text(tmp_path: Path) -> None:
    prepared = prepare("xmc", json_layout(tmp_path / "set"), tmp_path / "data")

    data = read_data_folder(tmp_path / "data")
    assert prepared.published_splits
    assert prepared.dealt is None
    assert has_published_splits(tmp_path / "data")
    assert data.digest() == prepared.digest
    assert data.filtered["trn-6"] == {"p-0", "p-4"}
    assert by_id(list(data.queries))["trn-3"].text == 'lamp\x85"new"'


def test_a_copy_of_such_a_folder_keeps_splits_and_filter_pairs(tmp_path: Path) -> None:
    first = prepare("xmc", json_layout(tmp_path / "set"), tmp_path / "a")

    second = prepare("folder", tmp_path / "a", tmp_path / "b")

    assert second.published_splits
    assert second.digest == first.digest
    assert read_data_folder(tmp_path / "b").filtered == read_data_folder(tmp_path / "a").filtered


def test_without_its_record_the_shared_text_is_a_leak(tmp_path: Path) -> None:
    prepare("xmc", json_layout(tmp_path / "set"), tmp_path / "data")
    (tmp_path / "data" / "prepared.json").unlink()

    with pytest.raises(DataError, match="is in train and query 'tst-0'"):
        read_data_folder(tmp_path / "data")


def test_half_of_the_share_is_validation_and_half_calibration(tmp_path: Path) -> None:
    rows = [{"title": f"lamp {number}", "target_ind": [3]} for number in range(4000)]
    write_bytes(json_layout(tmp_path) / "trn.json.gz", json_lines(rows))

    splits = Counter(query.split for query in read(tmp_path, 0.2).queries)
    usual = Counter(query.split for query in read(tmp_path).queries)

    assert splits["validation"] == pytest.approx(400, abs=60)
    assert splits["calibration"] == pytest.approx(400, abs=60)
    assert usual["validation"] == pytest.approx(100, abs=30)
    assert usual["calibration"] == pytest.approx(100, abs=30)


def test_a_share_of_nothing_trains_on_all(tmp_path: Path) -> None:
    splits = {query.split for query in read(json_layout(tmp_path), 0).queries}

    assert splits == {"train", "test"}


def test_texts_go_whole_and_those_of_test_stay_in_train(tmp_path: Path) -> None:
    queries = read(json_layout(tmp_path), 0.99).queries

    splits_of: dict[str, set[str | None]] = {}
    for query in queries:
        splits_of.setdefault(text_key(query.text), set()).add(query.split)
    assert splits_of.pop("sony headphones") == {"train", "test"}
    assert all(len(splits) == 1 for splits in splits_of.values())
    assert "train" not in splits_of["lamp number 1"]


def test_another_seed_sets_other_texts_aside(tmp_path: Path) -> None:
    folder = json_layout(tmp_path)

    first, again, other = (read(folder, 0.5, seed=seed).queries for seed in (1, 1, 2))

    assert again == first
    assert [replace(q, split=None) for q in other] == [replace(q, split=None) for q in first]
    assert other != first


def test_texts_that_no_table_holds_are_mended_and_long_ones_cut(tmp_path: Path) -> None:
    rows = [
        {"title": "nul\0here", "target_ind": [0]},
        {"title": "half \ud83c pair", "target_ind": [0]},
        {"title": "x" * (MAX_TEXT_CHARACTERS + 1), "target_ind": [0]},
        {"title": "\0", "target_ind": [0]},
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    folder = without_filters(json_layout(tmp_path / "set"))
    write_bytes(folder / "trn.json.gz", lines.encode())

    prepared = prepare("xmc", folder, tmp_path / "data", held_out_share=0)

    texts = [query.text for query in read_data_folder(tmp_path / "data").split("train")]
    assert texts == ["nul here", "half \ufffd pair", "x" * MAX_TEXT_CHARACTERS]
    assert prepared.source_counts[xmc.MENDED] == 3
    assert prepared.source_counts[xmc.CUT] == 1
    assert prepared.source_counts[xmc.BLANK_TRAIN] == 1


def test_a_set_without_filter_files_says_that_there_are_no_pairs(tmp_path: Path) -> None:
    folder = without_filters(json_layout(tmp_path / "set"))

    prepared = prepare("xmc", folder, tmp_path / "data")

    assert prepared.source_counts[xmc.FILTER_PAIRS] == 0
    assert not (tmp_path / "data" / "filter.csv").exists()


def test_a_set_with_nothing_to_train_on_is_refused(tmp_path: Path) -> None:
    rows = [{"title": "of a product without title", "target_ind": [1]}]
    write_bytes(without_filters(json_layout(tmp_path)) / "trn.json.gz", json_lines(rows))

    with pytest.raises(DataError, match="holds no training query that has a text"):
        read(tmp_path)


def test_a_missing_source_or_a_strange_share_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--source PATH"):
        read_xmc(Order(None, 0))
    for share in (1.0, -0.1, float("nan")):
        with pytest.raises(ConfigError, match="name one from 0 to below 1"):
            read(tmp_path, share)
