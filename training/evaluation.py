"""How good ranked answers are: ranking and oracle coverage, for seen and unseen products."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
from jaxtyping import Bool, Float, Float32, Int64

from training.data.matches import LabelledQuery
from training.data.splits import is_seen
from training.metrics import COVERAGE_PRECISIONS, coverage_at_precision

BEST = 10
"""How many products of a query are looked at."""


@dataclass(frozen=True)
class CatalogueTexts:
    """The products to choose from: id and encoded text of each, by catalogue row."""

    product_ids: Sequence[str]
    texts: Sequence[str]


@dataclass(frozen=True)
class RankedAnswers:
    """The best products of each query.

    Attributes:
        product_ids: ids of the best products of each query, best first; none for a blank text.
        similarity: of the best product; NaN where the answer can never be accepted because the
            text is blank or the best product is one of several with the same text.
    """

    product_ids: tuple[tuple[str, ...], ...]
    similarity: Float[np.ndarray, " query"]


@dataclass(frozen=True)
class JudgedQueries:
    """Ranked answers compared with the labels.

    Attributes:
        similarity: as in `RankedAnswers`.
        is_correct: true where the best product is a positive.
        recall: share of the positives among the best ten; NaN without positives.
        has_product: true where the query has a positive.
        is_seen: true where a positive had a training query.
    """

    similarity: Float[np.ndarray, " query"]
    is_correct: Bool[np.ndarray, " query"]
    recall: Float[np.ndarray, " query"]
    has_product: Bool[np.ndarray, " query"]
    is_seen: Bool[np.ndarray, " query"]

    def __len__(self) -> int:
        return len(self.similarity)

    def where(self, mask: Bool[np.ndarray, " query"]) -> "JudgedQueries":
        """Return the queries that ``mask`` picks."""
        return JudgedQueries(
            self.similarity[mask],
            self.is_correct[mask],
            self.recall[mask],
            self.has_product[mask],
            self.is_seen[mask],
        )

    def groups(self) -> dict[str, "JudgedQueries"]:
        """Return all queries, then those of products seen and not seen in training."""
        return {
            "all": self,
            "seen": self.where(self.has_product & self.is_seen),
            "unseen": self.where(self.has_product & ~self.is_seen),
        }


def judge(
    queries: Sequence[LabelledQuery], answers: RankedAnswers, trained_products: Set[str]
) -> JudgedQueries:
    """Compare the answers with the labels, query by query."""
    is_correct = np.zeros(len(queries), dtype=bool)
    recall = np.full(len(queries), np.nan)
    for row, (query, best) in enumerate(zip(queries, answers.product_ids, strict=True)):
        positives = set(query.positives)
        is_correct[row] = bool(best) and best[0] in positives
        if positives:
            recall[row] = len(positives.intersection(best[:BEST])) / len(positives)
    return JudgedQueries(
        similarity=answers.similarity,
        is_correct=is_correct,
        recall=recall,
        has_product=np.array([query.has_product for query in queries], dtype=bool),
        is_seen=np.array([is_seen(query, trained_products) for query in queries], dtype=bool),
    )


def retrieval_figures(judged: JudgedQueries) -> dict[str, Any]:
    """Return counts, precision at 1, recall at 10 and oracle coverage; None where undefined.

    Precision and recall are over queries with a product; coverage is over all queries.
    """
    answerable = judged.where(judged.has_product)
    has_any = len(answerable) > 0
    return {
        "queries": len(judged),
        "precision_at_1": float(answerable.is_correct.mean()) if has_any else None,
        "recall_at_10": float(answerable.recall.mean()) if has_any else None,
        "oracle_coverage": {
            f"{precision:.2f}": coverage_at_precision(
                judged.similarity, judged.is_correct, precision
            )
            if len(judged)
            else None
            for precision in COVERAGE_PRECISIONS
        },
    }


def nearest(
    query_embeddings: Float32[np.ndarray, "query dim"],
    product_embeddings: Float32[np.ndarray, "product dim"],
) -> tuple[Float32[np.ndarray, "query rank"], Int64[np.ndarray, "query rank"]]:
    """Return the ten best products of each query, best first, equal ones in catalogue order."""
    k = min(BEST, len(product_embeddings))
    similarity, rows = faiss.knn(
        query_embeddings, product_embeddings, k, metric=faiss.METRIC_INNER_PRODUCT
    )
    order = np.lexsort((rows, -similarity), axis=1)
    return np.take_along_axis(similarity, order, 1), np.take_along_axis(rows, order, 1)


def ranked(
    similarity: Float[np.ndarray, "query rank"],
    rows: Int64[np.ndarray, "query rank"],
    *,
    product_ids: Sequence[str],
    has_twin: Bool[np.ndarray, " product"],
    is_blank: Bool[np.ndarray, " query"],
) -> RankedAnswers:
    """Return answers from similarities and catalogue rows, best first.

    Args:
        similarity: of each query with its best products.
        rows: catalogue rows of these products.
        product_ids: id of each catalogue row.
        has_twin: true where another product has the same text.
        is_blank: true where the query has no text to go by.
    """
    never = is_blank | has_twin[rows[:, 0]]
    return RankedAnswers(
        product_ids=tuple(
            () if blank else tuple(str(product_ids[row]) for row in best)
            for blank, best in zip(is_blank.tolist(), rows.tolist(), strict=True)
        ),
        similarity=np.where(never, np.nan, similarity[:, 0]),
    )


def twins(texts: Sequence[Any]) -> Bool[np.ndarray, " product"]:
    """Return true where another product has an equal (normalised or tokenised) text."""
    counts: dict[Any, int] = {}
    for text in texts:
        counts[text] = counts.get(text, 0) + 1
    return np.array([counts[text] > 1 for text in texts], dtype=bool)


def figures_by_group(judged: JudgedQueries) -> Mapping[str, dict[str, Any]]:
    """Return `retrieval_figures` of all, seen and unseen queries."""
    return {name: retrieval_figures(group) for name, group in judged.groups().items()}
