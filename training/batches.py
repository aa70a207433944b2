"""Which queries and products share a step, with every known positive marked."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int, Int64

from service.contract.errors import DataError
from service.contract.tokens import TextTokeniser
from training.data.matches import LabelledQuery
from training.data.products import Products
from training.token_table import TokenTable, distinct, tokenise

NO_PRODUCT = -1


@dataclass(frozen=True)
class TrainingSet:
    """Tokens of the training queries and of the distinct product texts, by row.

    Products of one text share a row here: no text can tell them apart, so none of them may be
    another's negative.

    Attributes:
        queries: tokens of each query that has a positive, in the order of the query ids, so that
            a run follows from what the data say and not from the order of their rows.
        products: tokens of each distinct product text.
        positives: rows of the products that are right for each query, sorted.
        ignored: rows of the products that count as neither right nor wrong, by query row.
        row_of_product: row of each product of the catalogue.
    """

    queries: TokenTable
    products: TokenTable
    positives: tuple[tuple[int, ...], ...]
    ignored: Mapping[int, tuple[int, ...]]
    row_of_product: Int64[np.ndarray, " catalogue"]

    def queries_of_products(self) -> Int64[np.ndarray, " product"]:
        """Return how many training queries each product has."""
        asked = np.fromiter((row for rows in self.positives for row in rows), dtype=np.int64)
        return np.bincount(asked, minlength=len(self.products))


@dataclass(frozen=True)
class Batch:
    """One step's rows of the training set.

    Attributes:
        queries: rows of the queries.
        products: rows of the distinct products they are compared with, sorted.
        is_positive: true at every known positive of the batch, not only at the sampled one.
        is_ignored: true where a pair counts as neither right nor wrong.
        sampled: column of the positive drawn for each query.
    """

    queries: Int[np.ndarray, " query"]
    products: Int[np.ndarray, " product"]
    is_positive: Bool[np.ndarray, "query product"]
    is_ignored: Bool[np.ndarray, "query product"]
    sampled: Int[np.ndarray, " query"]


@dataclass(frozen=True)
class Companions:
    """The products a step compares its queries with, beside the drawn positives.

    Attributes:
        weights: weight of each product where a query has several positives to draw from;
            None draws them evenly.
        mined: rows of hard negatives of each query, -1 where there are fewer; None adds none.
        all_products: every product is compared with.
    """

    weights: Float64[np.ndarray, " product"] | None = None
    mined: Int64[np.ndarray, "query depth"] | None = None
    all_products: bool = False


def training_set(
    queries: Sequence[LabelledQuery],
    products: Products,
    tokeniser: TextTokeniser,
    *,
    product_text: Sequence[str],
    filtered: Mapping[str, frozenset[str]] | None = None,
) -> TrainingSet:
    """Tokenise what a run trains on.

    Args:
        queries: labelled queries of the training split.
        products: the catalogue.
        tokeniser: the encoder's.
        product_text: columns that make the text of a product.
        filtered: by query id, products that count as neither right nor wrong for it.

    Raises:
        DataError: if no query has a positive, or a query that has one is blank.
    """
    usable = sorted((q for q in queries if q.has_product), key=lambda query: query.query_id)
    if not usable:
        message = "no training query has a product; matches.* needs rows with split `train`"
        raise DataError(message)
    product_tokens = tokenise(tokeniser, products.texts(product_text))
    first_rows, row_of_each = distinct(product_tokens)
    row_of_id = dict(zip(products.product_ids(), row_of_each.tolist(), strict=True))
    query_tokens = tokenise(tokeniser, (query.text for query in usable))
    for query, tokens in zip(usable, query_tokens, strict=True):
        if tokens.is_blank:
            message = f"training query {query.query_id!r} (row {query.row}) is blank; remove it"
            raise DataError(message)
    return TrainingSet(
        queries=query_tokens,
        products=TokenTable.of(product_tokens[row] for row in first_rows.tolist()),
        positives=tuple(
            tuple(sorted({row_of_id[product_id] for product_id in query.positives}))
            for query in usable
        ),
        ignored=dict(_ignored(usable, filtered or {}, row_of_id)),
        row_of_product=row_of_each,
    )


def batches_per_epoch(queries: int, batch_size: int) -> int:
    """Return how many batches of at most ``batch_size`` queries an epoch has."""
    return -(-queries // batch_size)


def batch_bounds(queries: int, batches: int, number: int) -> tuple[int, int]:
    """Return where a batch begins and ends among queries cut into batches of nearly equal size.

    The first batches have one query more than the others where they cannot be equal.

    Args:
        queries: how many there are.
        batches: how many batches they are cut into, at least 1.
        number: which batch, from 0; ``batches`` itself begins at the end.
    """
    size, larger = divmod(queries, batches)
    begin, end = (n * size + min(n, larger) for n in (number, number + 1))
    return begin, end


def assemble(
    data: TrainingSet,
    rows: Int[np.ndarray, " query"],
    companions: Companions,
    *,
    seed: int,
    step: int,
) -> Batch:
    """Return the batch of these queries with one drawn positive each, and its companions."""
    drawn = _draw(data, rows, companions.weights, np.random.default_rng([seed, step, 1]))
    products = np.unique(drawn)
    if companions.all_products:
        products = np.arange(len(data.products))
    elif companions.mined is not None:
        products = np.unique(np.concatenate([drawn, companions.mined[rows].ravel()]))
        products = products[products != NO_PRODUCT]
    known = [data.positives[row] for row in rows.tolist()]
    ignored = [data.ignored.get(row, ()) for row in rows.tolist()] if data.ignored else []
    is_positive = _mask(known, products, len(rows))
    return Batch(
        queries=rows,
        products=products,
        is_positive=is_positive,
        is_ignored=_mask(ignored, products, len(rows)) & ~is_positive,
        sampled=np.searchsorted(products, drawn),
    )


def _ignored(
    queries: Sequence[LabelledQuery],
    filtered: Mapping[str, frozenset[str]],
    row_of_id: Mapping[str, int],
) -> Iterator[tuple[int, tuple[int, ...]]]:
    for row, query in enumerate(queries):
        product_ids = filtered.get(query.query_id)
        if product_ids:
            yield row, tuple(sorted({row_of_id[product_id] for product_id in product_ids}))


def _draw(
    data: TrainingSet,
    rows: Int[np.ndarray, " query"],
    weights: Float64[np.ndarray, " product"] | None,
    generator: np.random.Generator,
) -> Int64[np.ndarray, " query"]:
    drawn = np.empty(len(rows), dtype=np.int64)
    for place, (row, point) in enumerate(zip(rows, generator.random(len(rows)), strict=True)):
        positives = data.positives[row]
        if len(positives) == 1:
            drawn[place] = positives[0]
            continue
        each = np.ones(len(positives)) if weights is None else weights[list(positives)]
        shares = np.cumsum(each)
        drawn[place] = positives[int(np.searchsorted(shares, point * shares[-1], side="right"))]
    return drawn


def _mask(
    rows_of_queries: Sequence[Sequence[int]], products: Int[np.ndarray, " product"], queries: int
) -> Bool[np.ndarray, "query product"]:
    """Return true where a product is among those listed for a query; ``products`` are sorted."""
    mask = np.zeros((queries, len(products)), dtype=bool)
    counts = [len(rows) for rows in rows_of_queries]
    listed = np.fromiter((row for rows in rows_of_queries for row in rows), dtype=np.int64)
    query = np.repeat(np.arange(len(counts)), counts)
    column = np.minimum(np.searchsorted(products, listed), len(products) - 1)
    is_there = products[column] == listed
    mask[query[is_there], column[is_there]] = True
    return mask
