"""Whether another form of the encoder may stand in for fp32: by the decisions that it changes.

The answers of both forms to the validation queries are compared with each other, at the similarity
where fp32's reach the target precision. Calibration queries play no part, so that the choice leaves
the promise made from them what it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int64

from service.contract.tokens import TokenisedText
from service.encoder import Encoder
from training.metrics import coverage_at_precision

BEST = 10


@dataclass(frozen=True)
class Gate:
    """What a form of the encoder must keep to.

    Attributes:
        changed_share: largest share of the queries whose decision it may change; one query always
            may, since fewer cannot be told from none.
        recall_at_10: least share of fp32's best ten products among its own.
        least_queries: fewer say too little.
        most_queries: more are not asked.
        most_products: more are not looked through, beside one for each query.
    """

    changed_share: float = 0.005
    recall_at_10: float = 0.95
    least_queries: int = 100
    most_queries: int = 2000
    most_products: int = 5000

    def allowed(self, queries: int) -> int:
        """Return how many of so many queries may change."""
        return max(1, int(self.changed_share * queries))


@dataclass(frozen=True)
class GateTexts:
    """Queries that are asked, and products that are looked through.

    Attributes:
        positives: rows of ``products`` that are right for each query.
    """

    queries: Sequence[TokenisedText]
    products: Sequence[TokenisedText]
    positives: Sequence[frozenset[int]]


@dataclass(frozen=True)
class Embedded:
    """What one form of the encoder makes of `GateTexts`."""

    queries: Float32[np.ndarray, "query dim"]
    products: Float32[np.ndarray, "product dim"]

    @staticmethod
    def by(encoder: Encoder, texts: GateTexts) -> "Embedded":
        """Embed both; a row of NaN where the encoder fails."""
        return Embedded(encoder.encode(texts.queries), encoder.encode(texts.products))

    @property
    def failed(self) -> int:
        """Return how many texts have no unit vector."""
        return int(sum(np.isnan(rows).any(axis=1).sum() for rows in (self.queries, self.products)))


@dataclass(frozen=True)
class Difference:
    """How far the answers of one form are from those of fp32."""

    median_similarity_error: float
    max_similarity_error: float
    recall_at_10: float
    changed_decisions: int
    queries: int


@dataclass(frozen=True)
class _Answers:
    best: Int64[np.ndarray, " query"]
    similarity: Float32[np.ndarray, " query"]
    ten: Int64[np.ndarray, "query rank"]


def difference(expected: Embedded, found: Embedded, *, threshold: float | None) -> Difference:
    """Return how far ``found`` is from ``expected``.

    Args:
        expected: of fp32.
        found: of the other form.
        threshold: least similarity that is accepted, the same for both; None takes fp32's median,
            so that half of the queries count as accepted.
    """
    one, other = _answers(expected), _answers(found)
    least = float(np.median(one.similarity)) if threshold is None else threshold
    error = np.abs(one.similarity - other.similarity)
    return Difference(
        median_similarity_error=float(np.median(error)),
        max_similarity_error=float(error.max()),
        recall_at_10=_overlap(one.ten, other.ten),
        changed_decisions=int(_changed(one, other, least).sum()),
        queries=len(error),
    )


def gate_threshold(
    expected: Embedded, positives: Sequence[frozenset[int]], *, target_precision: float
) -> float | None:
    """Return the least similarity at which fp32's answers reach a precision, or None.

    It stands for the operating point, which is fixed later and on other queries.
    """
    answers = _answers(expected)
    is_correct = np.array(
        [best in right for best, right in zip(answers.best.tolist(), positives, strict=True)],
        dtype=bool,
    )
    similarity = answers.similarity.astype(np.float64)
    accepted = round(
        coverage_at_precision(similarity, is_correct, target_precision) * len(answers.best)
    )
    return float(np.sort(similarity)[-accepted]) if accepted else None


def verdict(found: Difference, gate: Gate) -> str:
    """Return why a form does not pass, or an empty text if it does."""
    changed, queries = found.changed_decisions, found.queries
    if queries < gate.least_queries:
        return f"only {queries} validation queries, {gate.least_queries} are needed to judge it"
    if changed > gate.allowed(queries):
        return (
            f"it changes {changed} of {queries} decisions ({changed / queries:.2%}), "
            f"{gate.allowed(queries)} are allowed"
        )
    if found.recall_at_10 < gate.recall_at_10:
        return f"recall at 10 against fp32 is {found.recall_at_10:.3f}, {gate.recall_at_10} needed"
    return ""


def _answers(vectors: Embedded) -> _Answers:
    similarity = vectors.queries @ vectors.products.T
    order = np.argsort(-similarity, axis=1, kind="stable")[:, :BEST]
    best = order[:, 0]
    return _Answers(best, similarity[np.arange(len(best)), best], order)


def _overlap(one: Int64[np.ndarray, "query rank"], other: Int64[np.ndarray, "query rank"]) -> float:
    shared = [len(set(a) & set(b)) for a, b in zip(one.tolist(), other.tolist(), strict=True)]
    return float(np.mean(shared)) / one.shape[1]


def _changed(one: _Answers, other: _Answers, threshold: float) -> Bool[np.ndarray, " query"]:
    before, after = one.similarity >= threshold, other.similarity >= threshold
    return (before != after) | (before & after & (one.best != other.best))
