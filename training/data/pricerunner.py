"""Reads the PriceRunner offers: shop titles as queries, PriceRunner's own names as products.

Source:
    L. Akritidis, A. Fevgas, P. Bozanis, C. Makris, "A self-verifying clustering approach to
    unsupervised matching of product titles", Artificial Intelligence Review, 2020; "Product
    Classification and Clustering", UCI Machine Learning Repository, data set 837.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from service.contract.errors import ConfigError, DataError, UsageError
from service.contract.text import MAX_TEXT_CHARACTERS, normalise
from training.data.matches import RELEVANT, LabelledQuery
from training.data.products import Product, Products
from training.data.sources import Delivery, Order
from training.data.tables import Table, read_table

COLUMNS = ("product_id", "product_title", "cluster_id", "cluster_label", "category_label")
"""What is read; further columns are left alone."""

ALIAS_IDS = "alias_ids"
"""Attribute with the other ids of a merged product, parted by spaces."""


@dataclass(frozen=True, slots=True)
class _Offer:
    row: int
    offer_id: str
    title: str
    cluster_id: str
    name: str
    category: str


def read_pricerunner(order: Order) -> Delivery:
    """Read the offers; products that share one name, and so cannot be told apart, are merged.

    Raises:
        ConfigError: if a category is not there.
        UsageError: if no file is named.
        DataError: if there is no such file; it names file, row and column.
    """
    if order.source is None:
        message = "--from pricerunner needs --source PATH, the CSV file or its folder"
        raise UsageError(message)
    path = _find_csv(order.source)
    offers = _chosen(_read_offers(path), order.categories)
    offers_of: dict[str, list[_Offer]] = {}
    for offer in offers:
        offers_of.setdefault(normalise(offer.name), []).append(offer)
    products = {name: _product(same_name) for name, same_name in offers_of.items()}
    queries = [
        _query(offer, products[name])
        for name, same_name in offers_of.items()
        for offer in same_name
    ]
    queries.sort(key=lambda query: query.row)
    aliases = sum(len(p.attributes.get(ALIAS_IDS, "").split()) for p in products.values())
    merged = sum(ALIAS_IDS in product.attributes for product in products.values())
    return Delivery(
        products=Products(tuple(products.values()), (ALIAS_IDS,)),
        queries=queries,
        counts={"names shared by several products": merged, "products merged away": aliases},
    )


def _find_csv(source: Path) -> Path:
    if not source.is_dir():
        return source
    found = sorted([*source.glob("*.csv"), *source.glob("*.csv.gz")])
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        message = f"{source} must hold one .csv or .csv.gz file, found {names}; name the file"
        raise DataError(message)
    return found[0]


def _read_offers(path: Path) -> list[_Offer]:
    table = read_table(path)
    table.require(*COLUMNS)
    columns = [[entry.strip() for entry in table.columns[name]] for name in COLUMNS]
    offers = [_Offer(*values) for values in zip(table.row_numbers, *columns, strict=True)]
    first_index: dict[str, int] = {}
    for index, offer in enumerate(offers):
        _check(table, index, offer)
        if (first := first_index.setdefault(offer.offer_id, index)) != index:
            problem = f"{offer.offer_id!r} is the id of row {offers[first].row} as well; keep one"
            raise table.error(index, "product_id", problem)
    return offers


def _check(table: Table, index: int, offer: _Offer) -> None:
    values = (offer.offer_id, offer.cluster_id, normalise(offer.name), offer.category)
    for column, value in zip(("product_id", *COLUMNS[2:]), values, strict=True):
        if not value:
            problem = "is blank; take the row from the published file again"
            raise table.error(index, column, problem)
    for column, text in (("product_title", offer.title), ("cluster_label", offer.name)):
        if len(text) > MAX_TEXT_CHARACTERS:
            problem = f"is {len(text)} characters long, at most {MAX_TEXT_CHARACTERS} are read"
            raise table.error(index, column, f"{problem}; shorten it")


def _chosen(offers: Sequence[_Offer], categories: Sequence[str]) -> list[_Offer]:
    there = sorted({offer.category for offer in offers})
    for category in categories:
        if category not in there:
            message = f"there is no category {category!r}, only {', '.join(there)}; name these"
            raise ConfigError(message)
    return [offer for offer in offers if not categories or offer.category in categories]


def _product(same_name: Sequence[_Offer]) -> Product:
    """Return one product for all clusters of one name, under the smallest of their ids."""
    cluster_ids = sorted({o.cluster_id for o in same_name}, key=lambda i: (len(i), i))
    title = next(o.name for o in same_name if o.cluster_id == cluster_ids[0])
    times = Counter(offer.category for offer in same_name)
    category = min(times, key=lambda category: (-times[category], category))
    aliases = {ALIAS_IDS: " ".join(cluster_ids[1:])} if cluster_ids[1:] else {}
    return Product(cluster_ids[0], title, category, aliases)


def _query(offer: _Offer, product: Product) -> LabelledQuery:
    return LabelledQuery(
        query_id=offer.offer_id,
        text=offer.title,
        positives=(product.product_id,),
        split=None,
        user_id=None,
        grades={product.product_id: RELEVANT},
        row=offer.row,
    )
