"""What speaks for a candidate besides its cosine: one row of numbers for each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from service.signals.words import ReadText

TEXT_FEATURES = (
    "similarity",
    "similarity_lead",
    "query_words_found",
    "product_words_found",
    "query_numbers_found",
    "product_numbers_found",
    "run_overlap",
)
"""What is known of any candidate."""
LEXICAL_FEATURES = ("lexical", "lexical_lead")
"""What a lexical index knows beside that."""


@dataclass(frozen=True)
class Candidates:
    """What is known of the candidates of one query; one entry a product, in one order.

    Attributes:
        similarity: cosine with the query.
        texts: of the products.
        lexical: BM25 score as a share of the query's own; None without a lexical index.
    """

    similarity: Float64[np.ndarray, " candidate"]
    texts: Sequence[ReadText]
    lexical: Float64[np.ndarray, " candidate"] | None = None


def feature_names(*, has_lexical: bool) -> tuple[str, ...]:
    """Return what each column of `features` holds."""
    return TEXT_FEATURES + (LEXICAL_FEATURES if has_lexical else ())


def features(query: ReadText, found: Candidates) -> Float64[np.ndarray, "candidate feature"]:
    """Return the features of each candidate, columns as in `feature_names`.

    A lead is the distance to the best of the other candidates: positive for the first one only.
    Shares of words are in [0, 1], and 1 where there is nothing to be found.
    """
    shares = np.array([_shares(query, text) for text in found.texts], dtype=np.float64)
    columns = [found.similarity, lead(found.similarity), *shares.T]
    if found.lexical is not None:
        columns += [found.lexical, lead(found.lexical)]
    return np.stack(columns, axis=1)


def lead(values: Float64[np.ndarray, " candidate"]) -> Float64[np.ndarray, " candidate"]:
    """Return how far each value is above the best of the others; 0 where there is no other."""
    if len(values) < 2:  # noqa: PLR2004  # a lead needs another one
        return np.zeros_like(values)
    second, first = np.partition(values, -2)[-2:]
    return np.where(values == first, first - second, values - first)


def _shares(query: ReadText, product: ReadText) -> tuple[float, float, float, float, float]:
    common = len(query.words & product.words)
    runs = len(query.runs & product.runs)
    return (
        common / max(len(query.words), 1),
        common / max(len(product.words), 1),
        _numbers_found(query, product),
        _numbers_found(product, query),
        2 * runs / (len(query.runs) + len(product.runs)),
    )


def _numbers_found(wanted: ReadText, there: ReadText) -> float:
    if not wanted.numbers:
        return 1.0
    return sum(map(there.has_number, wanted.numbers)) / len(wanted.numbers)
