"""The record of how a data folder was made, and what it holds in numbers."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from training.console import table
from training.data.folders import DataFolder
from training.data.splits import is_seen


@dataclass(frozen=True, slots=True)
class SplitCounts:
    """Queries of one split; seen and unseen are those that have a product."""

    queries: int
    seen: int
    unseen: int
    no_product: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """What was written, and how it came about.

    Attributes:
        kind: kind of the source.
        seed: of everything that was drawn.
        release: release of this code.
        products: size of the catalogue.
        splits: counts by split.
        dealt: how the queries were dealt; None where they came with their splits.
        queries_left_out: queries that were merged with, or left out for, another of their text.
        source_counts: what the source did to its rows, in words.
        digest: SHA-256 of what the folder says.
        published_splits: whether the splits are those of a published set: a text may then lie in
            train and in test.
    """

    kind: str
    seed: int
    release: str
    products: int
    splits: Mapping[str, SplitCounts]
    dealt: Mapping[str, float] | None
    queries_left_out: int
    source_counts: Mapping[str, int]
    digest: str
    published_splits: bool = False

    def to_bytes(self) -> bytes:
        """Return the record as the text of a JSON file."""
        return f"{json.dumps(asdict(self), indent=2)}\n".encode()

    def lines(self) -> list[str]:
        """Return the record as people read it."""
        rows = [
            [name, *(f"{value:,}" for value in asdict(counts).values())]
            for name, counts in self.splits.items()
        ]
        facts = {
            "products": self.products,
            **self.source_counts,
            "queries merged with, or left out for, another of their text": self.queries_left_out,
        }
        head = ["split", "queries", "seen", "unseen", "no product"]
        return [*table(head, rows), *(f"{words}: {number:,}" for words, number in facts.items())]


def count_queries(data: DataFolder, name: str) -> SplitCounts:
    """Return how many queries one split of a data folder has, by what is known of them."""
    queries = data.split(name)
    trained = data.trained_products()
    with_product = sum(query.has_product for query in queries)
    seen = sum(is_seen(query, trained) for query in queries)
    return SplitCounts(len(queries), seen, with_product - seen, len(queries) - with_product)
