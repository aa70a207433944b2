from pathlib import Path

from tests.training.data.labelled import catalogue, labelled
from training.data.folders import DataFolder
from training.data.prepared import Prepared, SplitCounts, count_queries

DATA = DataFolder(
    Path("data"),
    catalogue("p-1", "p-2"),
    (
        labelled("q-1", "a", "p-1", split="train"),
        labelled("q-2", "b", "p-1", split="test"),
        labelled("q-3", "c", "p-1", "p-2", split="test"),
        labelled("q-4", "d", "p-2", split="test"),
        labelled("q-5", "e", split="test"),
    ),
)


def test_queries_are_seen_unseen_or_without_product() -> None:
    assert count_queries(DATA, "test") == SplitCounts(queries=4, seen=2, unseen=1, no_product=1)
    assert count_queries(DATA, "validation") == SplitCounts(0, 0, 0, 0)


def test_the_record_reads_as_a_table_and_facts() -> None:
    prepared = Prepared(
        kind="pricerunner",
        seed=1,
        release="0.1.0",
        products=2_932,
        splits={"train": SplitCounts(1_000, 1_000, 0, 0), "test": count_queries(DATA, "test")},
        dealt=None,
        queries_left_out=7,
        source_counts={"products merged away": 3},
        digest="abc",
    )

    assert prepared.lines() == [
        "| split | queries |  seen | unseen | no product |",
        "| ----- | ------: | ----: | -----: | ---------: |",
        "| train |   1,000 | 1,000 |      0 |          0 |",
        "| test  |       4 |     2 |      1 |          1 |",
        "products: 2,932",
        "products merged away: 3",
        "queries merged with, or left out for, another of their text: 7",
    ]
