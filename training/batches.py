"""Which queries and products share a step, with every known positive marked."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from service.contract.errors import DataError
from service.contract.tokens import TextTokeniser, TokenisedText
from training.data.matches import LabelledQuery
from training.data.products import Products


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
    """

    queries: tuple[TokenisedText, ...]
    products: tuple[TokenisedText, ...]
    positives: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Batch:
    """One step's rows of the training set.

    Attributes:
        queries: rows of the queries.
        products: rows of the distinct products sampled for them, sorted.
        is_positive: true at every known positive of the batch, not only at the sampled one.
    """

    queries: Int[np.ndarray, " query"]
    products: Int[np.ndarray, " product"]
    is_positive: Bool[np.ndarray, "query product"]


def training_set(
    queries: Sequence[LabelledQuery],
    products: Products,
    tokeniser: TextTokeniser,
    *,
    product_text: Sequence[str],
) -> TrainingSet:
    """Tokenise what a run trains on.

    Raises:
        DataError: if no query has a positive, or a query that has one is blank.
    """
    usable = sorted((q for q in queries if q.has_product), key=lambda query: query.query_id)
    if not usable:
        message = "no training query has a product; matches.* needs rows with split `train`"
        raise DataError(message)
    product_tokens = tokeniser(products.texts(product_text))
    row_of_tokens = {ids: row for row, ids in enumerate(sorted({t.ids for t in product_tokens}))}
    row_of_id = {
        product.product_id: row_of_tokens[tokens.ids]
        for product, tokens in zip(products.items, product_tokens, strict=True)
    }
    distinct = {row_of_tokens[tokens.ids]: tokens for tokens in product_tokens}
    query_tokens = tokeniser([query.text for query in usable])
    for query, tokens in zip(usable, query_tokens, strict=True):
        if tokens.is_blank:
            message = f"training query {query.query_id!r} (row {query.row}) is blank; remove it"
            raise DataError(message)
    return TrainingSet(
        queries=tuple(query_tokens),
        products=tuple(distinct[row] for row in range(len(distinct))),
        positives=tuple(
            tuple(sorted({row_of_id[product_id] for product_id in query.positives}))
            for query in usable
        ),
    )


def batches_per_epoch(queries: int, batch_size: int) -> int:
    """Return how many batches of at most ``batch_size`` queries an epoch has."""
    return -(-queries // batch_size)


def assemble(data: TrainingSet, rows: Int[np.ndarray, " query"], *, seed: int, step: int) -> Batch:
    """Return the batch of these queries with one sampled positive each."""
    generator = np.random.default_rng([seed, step, 1])
    sampled = [int(generator.choice(data.positives[row])) for row in rows]
    products = np.unique(sampled)
    is_positive = np.array([np.isin(products, data.positives[row]) for row in rows])
    return Batch(queries=rows, products=products, is_positive=is_positive)
