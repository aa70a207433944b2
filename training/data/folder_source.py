"""Reads anybody's own products and matches, in any kind of file, for `prepare`."""

from collections import Counter
from collections.abc import Sequence

from service.contract.errors import UsageError
from service.contract.text import normalise
from training.data.folders import check_splits, find_data_file, read_filtered
from training.data.matches import LabelledQuery, check_positives_exist, read_matches
from training.data.products import Products, read_products
from training.data.published_splits import has_published_splits
from training.data.sources import Delivery, Order
from training.data.splits import TRAIN, text_key

SHARED_TITLES = "products that share their title with another (kept apart)"
REPEATED_TEXTS = "queries that repeat a text within their split, train aside (kept)"


def read_folder(order: Order) -> Delivery:
    """Read ``products.*`` and ``matches.*`` of a folder; splits that are there are kept.

    So are the pairs of its ``filter.*``, and that its splits are those of a published set.

    Raises:
        UsageError: if no folder is named.
        ConfigError: if a mapping applied to neither file.
        DataError: if a file is missing or wrong; it names file, row and column.
    """
    if order.source is None:
        message = "--from folder needs --source PATH, a folder with products.* and matches.*"
        raise UsageError(message)
    products = read_products(find_data_file(order.source, "products"), order.column_map)
    path = find_data_file(order.source, "matches")
    queries = read_matches(path, order.column_map)
    order.column_map.check_all_applied()
    check_positives_exist(queries, products, path)
    counts = {SHARED_TITLES: _sharing_titles(products)}
    published = False
    if any(query.split for query in queries):
        published = has_published_splits(order.source)
        check_splits(queries, path, published_splits=published)
        counts[REPEATED_TEXTS] = _repeated_texts(queries)
    filtered = read_filtered(order.source, queries, products)
    return Delivery(products, queries, counts=counts, filtered=filtered, published_splits=published)


def _repeated_texts(queries: Sequence[LabelledQuery]) -> int:
    held_out = [text_key(query.text) for query in queries if query.split != TRAIN]
    return len(held_out) - len(set(held_out))


def _sharing_titles(products: Products) -> int:
    times = Counter(normalise(product.title) for product in products.items)
    return sum(number for number in times.values() if number > 1)
