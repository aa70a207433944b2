"""How well one threshold fits all categories: OPIS of an encoder, a block of queries at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from training.console import progress
from training.data.matches import LabelledQuery
from training.data.products import Products
from training.metrics import LEAST_POSITIVES, opis_from_histograms
from training.retrieval import EmbeddedTexts
from training.rules import Rules

FAR_RANGE = (0.01, 0.1)
"""Global false-accept rates between which thresholds are compared."""

BINS = 2000
"""Of a histogram of similarities over [-1, 1]."""

_LEVELS = ">"
_PAIRS_AT_ONCE = 2**22


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Queries with a category, and their pairs that are not negatives.

    Attributes:
        rows: place of each query among all queries, ascending.
        segment: number of each query's category.
        positives: (place among ``rows``, catalogue row) of each positive, by place.
        ignored: the same of each filtered pair.
    """

    rows: Int64[np.ndarray, " query"]
    segment: Int64[np.ndarray, " query"]
    positives: Int64[np.ndarray, "pair 2"]
    ignored: Int64[np.ndarray, "pair 2"]

    @property
    def segments(self) -> int:
        return int(self.segment.max(initial=-1)) + 1

    def can_be_compared(self) -> bool:
        counts = np.bincount(self.segment[self.positives[:, 0]], minlength=1)
        return int((counts >= LEAST_POSITIVES).sum()) > 1


def threshold_consistency(
    embedded: EmbeddedTexts,
    queries: Sequence[LabelledQuery],
    products: Products,
    *,
    rules: Rules | None = None,
    far_range: tuple[float, float] = FAR_RANGE,
) -> float | None:
    """Return OPIS across top-level categories; 0: one threshold fits all.

    A query belongs to the category of its first positive that has one; queries without are left
    out. Every other product of the catalogue is a negative of a query.

    Args:
        embedded: the queries and the catalogue.
        queries: labelled queries, those of ``embedded``.
        products: the catalogue, that of ``embedded``.
        rules: with filtered pairs, which are neither positive nor negative.
        far_range: global false-accept rates between which thresholds are compared.

    Returns:
        As `training.metrics.opis`; None where fewer than two categories have enough positives.
    """
    pairs = _pairs(queries, products, rules or Rules())
    if not pairs.can_be_compared():
        return None
    positives, negatives = _histograms(embedded, pairs)
    found = opis_from_histograms(positives, negatives, far_range)
    return None if np.isnan(found) else found


def _pairs(queries: Sequence[LabelledQuery], products: Products, rules: Rules) -> _Pairs:
    row_of = {product.product_id: row for row, product in enumerate(products.items)}
    tops = [(p.category or "").split(_LEVELS)[0].strip() for p in products.items]
    number_of: dict[str, int] = {}
    rows: list[int] = []
    segment: list[int] = []
    positives: list[tuple[int, int]] = []
    ignored: list[tuple[int, int]] = []
    for place, query in enumerate(queries):
        known = sorted(row_of[p] for p in rules.positives(query) if p in row_of)
        top = next((tops[row] for row in known if tops[row]), None)
        if top is None:
            continue
        positives += [(len(rows), row) for row in known]
        filtered = rules.filtered.get(query.query_id, frozenset())
        ignored += [(len(rows), row_of[p]) for p in filtered if p in row_of]
        rows.append(place)
        segment.append(number_of.setdefault(top, len(number_of)))
    return _Pairs(
        rows=np.array(rows, dtype=np.int64),
        segment=np.array(segment, dtype=np.int64),
        positives=np.array(positives, dtype=np.int64).reshape(-1, 2),
        ignored=np.array(ignored, dtype=np.int64).reshape(-1, 2),
    )


def _histograms(
    embedded: EmbeddedTexts, pairs: _Pairs
) -> tuple[Int64[np.ndarray, "segment bin"], Int64[np.ndarray, "segment bin"]]:
    """Return the counts of the positive and of the negative pairs by segment and similarity."""
    cells = pairs.segments * BINS
    positives, others = np.zeros((2, cells), dtype=np.int64)
    size = max(1, _PAIRS_AT_ONCE // len(embedded.products))
    with progress(len(pairs.rows), "consistency of thresholds", unit="queries") as shown:
        for start in range(0, len(pairs.rows), size):
            block = slice(start, start + size)
            similarity = embedded.queries[pairs.rows[block]] @ embedded.products.T
            cell = _bins(similarity) + BINS * pairs.segment[block, None]
            others += np.bincount(cell.ravel(), minlength=cells)
            found = np.bincount(_cells_of(pairs.positives, cell, start), minlength=cells)
            ignored = np.bincount(_cells_of(pairs.ignored, cell, start), minlength=cells)
            positives += found
            others -= found + ignored
            shown.advance(len(cell))
    return positives.reshape(-1, BINS), others.reshape(-1, BINS)


def _bins(similarity: Float32[np.ndarray, "query product"]) -> Int64[np.ndarray, "query product"]:
    return np.clip(((similarity + 1) * (BINS / 2)).astype(np.int64), 0, BINS - 1)


def _cells_of(
    pairs: Int64[np.ndarray, "pair 2"], cell: Int64[np.ndarray, "query product"], start: int
) -> Int64[np.ndarray, " pair"]:
    """Return the cells of the pairs whose query is in the block that begins at ``start``."""
    first, end = np.searchsorted(pairs[:, 0], [start, start + len(cell)])
    query, product = pairs[first:end].T
    return cell[query - start, product]
