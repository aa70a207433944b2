"""How good ranked answers are: ranking and oracle coverage, for seen and unseen products."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
from jaxtyping import Bool, Float, Float32, Int64, Shaped

from training.data.matches import LabelledQuery
from training.data.products import Products
from training.metrics import (
    COVERAGE_PRECISIONS,
    PROPENSITY_RANKS,
    RankedHits,
    WeightedHits,
    area_under_risk_coverage,
    coverage_at_precision,
)
from training.rules import BEST, DEEP, Rules, Search


@dataclass(frozen=True)
class CatalogueTexts:
    """The products to choose from: id and encoded text of each, by catalogue row."""

    product_ids: Sequence[str]
    texts: Sequence[str]

    @staticmethod
    def of(products: Products, product_text: Sequence[str]) -> "CatalogueTexts":
        """Return the texts that the columns ``product_text`` make of each product."""
        return CatalogueTexts(products.product_ids(), products.texts(product_text))


@dataclass(frozen=True)
class RankedAnswers:
    """The best products of each query.

    Attributes:
        product_ids: ids of the best products of each query, best first; none for a blank text.
        similarity: of the best product; NaN where the answer can never be accepted because the
            text is blank or the best product is one of several with the same text.
        depth: how many products were asked for; a small catalogue gives fewer.
    """

    product_ids: tuple[tuple[str, ...], ...]
    similarity: Float[np.ndarray, " query"]
    depth: int = BEST


@dataclass(frozen=True)
class JudgedQueries:
    """Ranked answers compared with the labels.

    Attributes:
        similarity: as in `RankedAnswers`.
        is_correct: true where the best product is a positive.
        recall: share of the positives among the best ten; NaN without positives.
        has_product: true where the query has a positive.
        is_seen: true where a positive had a training query.
        hits: where the positives stand in the ranking; None where only the best is known.
        weighted: the same by inverse propensity; None where no propensity is known.
        named_by: kind of identifier that names the best product, empty where none does; None
            where no query has any.
    """

    similarity: Float[np.ndarray, " query"]
    is_correct: Bool[np.ndarray, " query"]
    recall: Float[np.ndarray, " query"]
    has_product: Bool[np.ndarray, " query"]
    is_seen: Bool[np.ndarray, " query"]
    hits: RankedHits | None = None
    weighted: WeightedHits | None = None
    named_by: Shaped[np.ndarray, " query"] | None = None

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
            self.hits.where(mask) if self.hits else None,
            self.weighted.where(mask) if self.weighted else None,
            None if self.named_by is None else self.named_by[mask],
        )

    def groups(self) -> dict[str, "JudgedQueries"]:
        """Return all queries, then those of products seen and not seen in training."""
        return {
            "all": self,
            "seen": self.where(self.has_product & self.is_seen),
            "unseen": self.where(self.has_product & ~self.is_seen),
        }


def judge(
    queries: Sequence[LabelledQuery],
    answers: RankedAnswers,
    trained_products: Set[str],
    *,
    rules: Rules | None = None,
) -> JudgedQueries:
    """Compare the answers with the labels, query by query.

    Args:
        queries: labelled queries.
        answers: to these queries; products that ``rules`` filter are not among them.
        trained_products: products that count as seen.
        rules: what counts beside the labels.
    """
    rules = rules or Rules()
    positives = [rules.positives(query) for query in queries]
    hits = _hits(positives, answers)
    has_product = hits.positives > 0
    found = hits.is_hit[:, :BEST].sum(axis=1)
    return JudgedQueries(
        similarity=answers.similarity,
        is_correct=hits.is_hit[:, 0],
        recall=np.where(has_product, found / np.maximum(hits.positives, 1), np.nan),
        has_product=has_product,
        is_seen=np.array([not trained_products.isdisjoint(p) for p in positives], dtype=bool),
        hits=hits,
        weighted=_weighted(positives, answers, rules.weights) if rules.weights else None,
    )


def _hits(positives: Sequence[Set[str]], answers: RankedAnswers) -> RankedHits:
    is_hit = np.zeros((len(positives), answers.depth), dtype=bool)
    for row, (wanted, best) in enumerate(zip(positives, answers.product_ids, strict=True)):
        if wanted:
            marks = [product_id in wanted for product_id in best[: answers.depth]]
            is_hit[row, : len(marks)] = marks
    return RankedHits(is_hit, np.array([len(wanted) for wanted in positives], dtype=np.int64))


def _weighted(
    positives: Sequence[Set[str]], answers: RankedAnswers, weights: Mapping[str, float]
) -> WeightedHits:
    ranks = max(PROPENSITY_RANKS)
    gained, attainable = np.zeros((2, len(positives), ranks))
    for row, (wanted, best) in enumerate(zip(positives, answers.product_ids, strict=True)):
        gains = [weights[p] if p in wanted else 0.0 for p in best[:ranks]]
        most = sorted((weights[p] for p in wanted), reverse=True)[:ranks]
        gained[row, : len(gains)], attainable[row, : len(most)] = gains, most
    return WeightedHits(gained, attainable)


def retrieval_figures(judged: JudgedQueries) -> dict[str, Any]:
    """Return counts and measures of ranking and of oracle coverage; None where undefined.

    Measures of ranking are over queries with a product, those of coverage over all queries.
    ``recall_at_100`` is there if answers go that far.
    """
    answerable = judged.where(judged.has_product)
    has_any = len(answerable) > 0
    return {
        "queries": len(judged),
        "precision_at_1": float(answerable.is_correct.mean()) if has_any else None,
        "recall_at_10": float(answerable.recall.mean()) if has_any else None,
        **_ranking_figures(judged.hits),
        "propensity_scored_precision": {
            str(k): _defined(judged.weighted.precision_at(k)) if judged.weighted else None
            for k in PROPENSITY_RANKS
        },
        "oracle_coverage": {
            f"{precision:.2f}": coverage_at_precision(
                judged.similarity, judged.is_correct, precision
            )
            if len(judged)
            else None
            for precision in COVERAGE_PRECISIONS
        },
        "risk_coverage_area": area_under_risk_coverage(judged.similarity, judged.is_correct)
        if len(judged)
        else None,
    }


def _ranking_figures(hits: RankedHits | None) -> dict[str, float | None]:
    if hits is None:
        return dict.fromkeys(("precision_at_3", "precision_at_5", "ndcg_at_10", "mrr_at_10"))
    figures = {
        "precision_at_3": hits.precision_at(3),
        "precision_at_5": hits.precision_at(5),
        "ndcg_at_10": hits.ndcg_at(BEST),
        "mrr_at_10": hits.mean_reciprocal_rank(BEST),
    }
    if hits.is_hit.shape[1] >= DEEP:
        figures["recall_at_100"] = hits.recall_at(DEEP)
    return {name: _defined(figure) for name, figure in figures.items()}


def _defined(figure: float) -> float | None:
    return None if np.isnan(figure) else figure


def nearest(
    query_embeddings: Float32[np.ndarray, "query dim"],
    product_embeddings: Float32[np.ndarray, "product dim"],
    *,
    search: Search | None = None,
) -> tuple[Float32[np.ndarray, "query rank"], Int64[np.ndarray, "query rank"]]:
    """Return the best products of each query, best first, equal ones in catalogue order.

    They are as many as ``search`` must reach for, ten without one.
    """
    k = (search or Search()).reach(len(product_embeddings))
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
    search: Search | None = None,
) -> RankedAnswers:
    """Return answers from similarities and catalogue rows, best first.

    Args:
        similarity: of each query with its best products.
        rows: catalogue rows of these products.
        product_ids: id of each catalogue row.
        has_twin: true where another product has the same text.
        is_blank: true where the query has no text to go by.
        search: how many products are kept, and which are passed over.
    """
    search = search or Search()
    is_kept = _kept(rows, product_ids, search.passed_over)
    is_kept[is_blank] = False
    first = is_kept.argmax(axis=1)[:, None]
    best = np.take_along_axis(rows, first, 1)[:, 0]
    never = ~is_kept.any(axis=1) | has_twin[best]
    return RankedAnswers(
        product_ids=tuple(
            tuple(str(product_ids[row]) for row in found[kept][: search.depth].tolist())
            for found, kept in zip(rows, is_kept, strict=True)
        ),
        similarity=np.where(never, np.nan, np.take_along_axis(similarity, first, 1)[:, 0]),
        depth=search.depth,
    )


def _kept(
    rows: Int64[np.ndarray, "query rank"],
    product_ids: Sequence[str],
    passed_over: Sequence[Set[str]],
) -> Bool[np.ndarray, "query rank"]:
    is_kept = np.ones(rows.shape, dtype=bool)
    for query, products in enumerate(passed_over):
        if products:
            is_kept[query] = [product_ids[row] not in products for row in rows[query].tolist()]
    return is_kept


def twins(texts: Sequence[Any]) -> Bool[np.ndarray, " product"]:
    """Return true where another product has an equal (normalised or tokenised) text."""
    counts: dict[Any, int] = {}
    for text in texts:
        counts[text] = counts.get(text, 0) + 1
    return np.array([counts[text] > 1 for text in texts], dtype=bool)


def figures_by_group(judged: JudgedQueries) -> Mapping[str, dict[str, Any]]:
    """Return `retrieval_figures` of all, seen and unseen queries."""
    return {name: retrieval_figures(group) for name, group in judged.groups().items()}
