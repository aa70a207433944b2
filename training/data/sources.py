"""What every kind of source hands to `prepare`: products, labelled queries, how to deal them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from training.data.column_map import ColumnMap
from training.data.matches import LabelledQuery
from training.data.products import Products
from training.data.splits import SplitShares


@dataclass(frozen=True, slots=True)
class Order:
    """What `prepare` was asked for, as far as a source must know it.

    Attributes:
        source: file or folder to read; None where the data are made up.
        seed: of everything that is drawn.
        categories: the categories to keep; all where empty.
        products: how many products to make up.
        column_map: renames and joins columns of the files.
        held_out_share: share of the published training texts to set aside; None for the default.
    """

    source: Path | None
    seed: int
    categories: tuple[str, ...] = ()
    products: int | None = None
    column_map: ColumnMap = field(default_factory=ColumnMap)
    held_out_share: float | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a source gave.

    Attributes:
        products: the catalogue.
        queries: labelled queries; dealt into splits already, or none of them.
        shares: how to deal queries that are not.
        counts: what the source did to its rows, each said in words with its number.
        filtered: by query id, products that count as neither right nor wrong for it.
        published_splits: whether the splits are those of a published set: a text may then lie in
            train and in test.
    """

    products: Products
    queries: list[LabelledQuery]
    shares: SplitShares = field(default_factory=SplitShares)
    counts: Mapping[str, int] = field(default_factory=dict[str, int])
    filtered: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    published_splits: bool = False
