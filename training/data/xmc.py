"""Reads a set of the Extreme Classification Repository, such as LF-AmazonTitles-131K.

Source:
    K. Bhatia et al., "The extreme classification repository: multi-label datasets and code", 2016.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from service.contract.errors import DataError, UsageError
from service.contract.text import MAX_TEXT_CHARACTERS, normalise
from training.data.matches import RELEVANT, LabelledQuery
from training.data.products import Product, Products
from training.data.sources import Delivery, Order
from training.data.splits import CALIBRATION, TEST, TRAIN, VALIDATION, place, text_key
from training.data.xmc_layouts import (
    TEST_PREFIX,
    TRAIN_PREFIX,
    Published,
    PublishedSplit,
    read_published,
)

HELD_OUT_SHARE = 0.05
"""Share of the training texts set aside, where nobody says another."""

FILTER_PAIRS = "filter pairs of a query and a product (neither right nor wrong)"
IN_BOTH = "test queries whose text is in train as well (kept)"
CUT = f"texts cut to {MAX_TEXT_CHARACTERS:,} characters"
MENDED = "texts with characters that no table holds (replaced)"
NO_TITLE = "products without a title (left out)"
LOST_LABELS = "labels of products without a title (left out)"
BLANK_TRAIN = "training queries without a text (left out)"
EMPTY_TRAIN = "training queries without a product (left out)"
BLANK_TEST = "test queries without a text (kept)"
EMPTY_TEST = "test queries without a product (kept)"

_PREFIX_OF = {TRAIN: TRAIN_PREFIX, TEST: TEST_PREFIX}


def read_xmc(order: Order) -> Delivery:
    """Read a published set; its test split stays whole, a share of train is set aside.

    Half of that share becomes validation, half calibration; a text that test has as well stays
    in train. Ids are made from the rows, counted from 0 as the filter files do: ``trn-7``,
    ``tst-7`` and ``p-7``.

    Raises:
        UsageError: if no folder is named, or the share is out of its range.
        DataError: if a file is missing or wrong; it names file and row.
    """
    if order.source is None:
        message = "--from xmc needs --source PATH, the folder of a published set"
        raise UsageError(message)
    share = HELD_OUT_SHARE if order.held_out_share is None else order.held_out_share
    if not 0 <= share < 1:
        message = f"the held-out share is {share}; name one from 0 to below 1"
        raise UsageError(message)
    counts = Counter[str]()
    published = read_published(order.source, counts)
    titles = _storable(published.titles, counts)
    ids = [f"p-{column}" if normalise(title) else "" for column, title in enumerate(titles)]
    counts[NO_TITLE] = ids.count("")
    train, test = _read_queries(published, ids, counts)
    if not train:
        message = (
            f"{order.source} holds no training query that has a text and a product with a title; "
            "name the folder of a whole published set"
        )
        raise DataError(message)
    queries = [*_set_aside(train, test, share=share, seed=order.seed), *test]
    items = tuple(Product(i, title, None, {}) for i, title in zip(ids, titles, strict=True) if i)
    filtered = _filtered(published, ids, queries)
    counts[FILTER_PAIRS] = sum(map(len, filtered.values()))
    said = {words: n for words, n in counts.items() if n or words in (IN_BOTH, FILTER_PAIRS)}
    return Delivery(
        Products(items, ()), queries, counts=said, filtered=filtered, published_splits=True
    )


def _read_queries(
    published: Published, ids: Sequence[str], counts: Counter[str]
) -> tuple[list[LabelledQuery], list[LabelledQuery]]:
    """Return the training queries that can be trained on, and all of the test queries."""
    train = _trainable(_queries(published.train, TRAIN, ids, counts), counts)
    test = _queries(published.test, TEST, ids, counts)
    trained = {text_key(query.text) for query in train}
    counts[BLANK_TEST] = sum(not text_key(query.text) for query in test)
    counts[EMPTY_TEST] = sum(not query.has_product for query in test)
    counts[IN_BOTH] = sum(text_key(query.text) in trained for query in test)
    return train, test


def _storable(texts: Sequence[str], counts: Counter[str]) -> list[str]:
    """Return the texts as a data folder can hold them; the encoder reads them the same."""
    return [_stored(text, counts) for text in texts]


def _stored(text: str, counts: Counter[str]) -> str:
    mended = text.replace("\0", " ")
    if not mended.isascii():
        mended = mended.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    counts[MENDED] += mended != text
    counts[CUT] += len(mended) > MAX_TEXT_CHARACTERS
    return mended[:MAX_TEXT_CHARACTERS]


def _queries(
    published: PublishedSplit, split: str, ids: Sequence[str], counts: Counter[str]
) -> list[LabelledQuery]:
    """Return the queries of a published split; ``ids`` are empty for products left out."""
    queries: list[LabelledQuery] = []
    texts = _storable(published.texts, counts)
    for row, (text, labels) in enumerate(zip(texts, published.positives, strict=True)):
        positives = tuple(sorted(ids[label] for label in labels if ids[label]))
        counts[LOST_LABELS] += len(labels) - len(positives)
        queries.append(
            LabelledQuery(
                query_id=_query_id(_PREFIX_OF[split], row),
                text=text,
                positives=positives,
                split=split,
                user_id=None,
                grades=dict.fromkeys(positives, RELEVANT),
                row=row + 1,
            )
        )
    return queries


def _trainable(queries: Sequence[LabelledQuery], counts: Counter[str]) -> list[LabelledQuery]:
    with_text = [query for query in queries if text_key(query.text)]
    trainable = [query for query in with_text if query.has_product]
    counts[BLANK_TRAIN] = len(queries) - len(with_text)
    counts[EMPTY_TRAIN] = len(with_text) - len(trainable)
    return trainable


def _set_aside(
    train: Sequence[LabelledQuery], test: Sequence[LabelledQuery], *, share: float, seed: int
) -> list[LabelledQuery]:
    """Return the training queries, a share of their texts in validation and calibration."""
    tested = {text_key(query.text) for query in test}

    def split_of(key: str) -> str:
        at = 1.0 if key in tested else place(seed, "set aside", key)
        return VALIDATION if at < share / 2 else CALIBRATION if at < share else TRAIN

    return [replace(query, split=split_of(text_key(query.text))) for query in train]


def _filtered(
    published: Published, ids: Sequence[str], queries: Sequence[LabelledQuery]
) -> dict[str, frozenset[str]]:
    """Return the products that count as neither right nor wrong for each query kept."""
    kept = {query.query_id for query in queries}
    of_splits = ((TRAIN_PREFIX, published.train), (TEST_PREFIX, published.test))
    named = (
        (_query_id(prefix, row), frozenset(ids[column] for column in columns if ids[column]))
        for prefix, split in of_splits
        for row, columns in split.filtered.items()
    )
    return {query_id: there for query_id, there in named if there and query_id in kept}


def _query_id(prefix: str, row: int) -> str:
    return f"{prefix}-{row}"
