"""The answers of two bundles to the same queries: what changed, and how dangerous that is."""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from export.served_answers import answer_all
from service.contract.decision import Decision
from service.contract.manifest import Manifest
from service.recommender import Answer, Recommender
from training.data.matches import LabelledQuery, Query

ACCEPTED = Decision.AUTO_ACCEPTED


class Change(StrEnum):
    """How the second answer to a query differs from the first; the most dangerous kind first.

    An answer that stays in review with the same best product has not changed, whatever its reason.
    """

    ACCEPTED_OTHER_PRODUCT = "accepted_other_product"
    REVIEW_TO_ACCEPTED = "review_to_accepted"
    ACCEPTED_TO_REVIEW = "accepted_to_review"
    REVIEW_OTHER_PRODUCT = "review_other_product"


@dataclass(frozen=True)
class Side:
    """One of the two bundles that are compared."""

    recommender: Recommender
    manifest: Manifest

    @property
    def product_ids(self) -> frozenset[str]:
        """Return the ids of its catalogue."""
        return frozenset(self.recommender.catalogue.product_ids)


@dataclass(frozen=True, slots=True)
class AnswerPair:
    """The answers of bundle A and bundle B to one query."""

    query: Query | LabelledQuery
    a: Answer
    b: Answer

    @property
    def same_product(self) -> bool:
        """Return whether both name the same best product, or both none."""
        return best_product(self.a) == best_product(self.b)

    @property
    def change(self) -> Change | None:
        """Return what changed from A to B, or None where nothing did."""
        if self.a.decision is not self.b.decision:
            to_accepted = self.b.decision is ACCEPTED
            return Change.REVIEW_TO_ACCEPTED if to_accepted else Change.ACCEPTED_TO_REVIEW
        if self.same_product:
            return None
        accepted = self.a.decision is ACCEPTED
        return Change.ACCEPTED_OTHER_PRODUCT if accepted else Change.REVIEW_OTHER_PRODUCT


@dataclass(frozen=True)
class Comparison:
    """Every query with both answers, in the order of the queries.

    Attributes:
        only_in_a: ids of products that only the catalogue of bundle A has.
        only_in_b: ids of products that only the catalogue of bundle B has.
    """

    pairs: Sequence[AnswerPair]
    only_in_a: Set[str]
    only_in_b: Set[str]

    def changed(self) -> list[AnswerPair]:
        """Return the queries whose best product or decision changed, in their order."""
        return [pair for pair in self.pairs if pair.change is not None]

    def by_danger(self) -> list[AnswerPair]:
        """Return the changed queries, the most dangerous kind of change first."""
        kinds = list(Change)
        return sorted(self.changed(), key=lambda pair: kinds.index(pair.change or kinds[-1]))

    def lonely_products(self, pair: AnswerPair) -> list[str]:
        """Return which of a pair's best products is in one catalogue only: ``a``, ``b``, both."""
        sides = (("a", pair.a, self.only_in_a), ("b", pair.b, self.only_in_b))
        return [name for name, answer, lonely in sides if best_product(answer) in lonely]

    def figures(self) -> dict[str, Any]:
        """Return all counts; ``labels`` is None where the queries have none."""
        same = sum(pair.same_product for pair in self.pairs)
        return {
            "queries": len(self.pairs),
            "same_best_product": same,
            "changed_best_product": len(self.pairs) - same,
            "changed": len(self.changed()),
            "decisions": self._decisions(),
            "similarity_shift": _similarity_shift(self.pairs),
            "products_only_in_a": len(self.only_in_a),
            "products_only_in_b": len(self.only_in_b),
            "changed_with_a_product_of_one_catalogue": sum(
                bool(self.lonely_products(pair)) for pair in self.changed()
            ),
            "labels": _label_figures(self.pairs),
        }

    def _decisions(self) -> dict[str, int]:
        """Return how many queries went from which decision to which; together they are all."""
        changes = [pair.change for pair in self.pairs]
        unchanged = [pair for pair in self.pairs if pair.change is None]
        still_accepted = sum(pair.b.decision is ACCEPTED for pair in unchanged)
        still_in_review = len(unchanged) - still_accepted
        return {
            "accepted_other_product": changes.count(Change.ACCEPTED_OTHER_PRODUCT),
            "review_to_accepted": changes.count(Change.REVIEW_TO_ACCEPTED),
            "accepted_to_review": changes.count(Change.ACCEPTED_TO_REVIEW),
            "review_to_review": changes.count(Change.REVIEW_OTHER_PRODUCT) + still_in_review,
            "accepted_same_product": still_accepted,
        }


def compare(a: Side, b: Side, queries: Sequence[Query] | Sequence[LabelledQuery]) -> Comparison:
    """Ask both bundles every query."""
    texts = [query.text for query in queries]
    answers = [
        answer_all(side.recommender, texts, k=1, what=f"bundle {name}")
        for name, side in (("A", a), ("B", b))
    ]
    return Comparison(
        pairs=list(map(AnswerPair, queries, *answers)),
        only_in_a=a.product_ids - b.product_ids,
        only_in_b=b.product_ids - a.product_ids,
    )


def best_product(answer: Answer) -> str | None:
    """Return the id of the best product, or None where there is none."""
    return answer.recommendations[0].product_id if answer.recommendations else None


def is_correct(query: LabelledQuery, answer: Answer) -> bool:
    """Return whether the best product is a positive of the query."""
    return best_product(answer) in query.positives


def _similarity_shift(pairs: Sequence[AnswerPair]) -> dict[str, Any]:
    """Return how much B's best similarity exceeds A's, over queries that have both."""
    shifts = [
        pair.b.similarity - pair.a.similarity
        for pair in pairs
        if pair.a.similarity is not None and pair.b.similarity is not None
    ]
    low, median, high = np.percentile(shifts, (5, 50, 95)).tolist() if shifts else (None,) * 3
    return {"queries": len(shifts), "percentile_5": low, "median": median, "percentile_95": high}


def _label_figures(pairs: Sequence[AnswerPair]) -> dict[str, Any] | None:
    labelled = [
        (pair.query, pair.a, pair.b) for pair in pairs if isinstance(pair.query, LabelledQuery)
    ]
    if not labelled:
        return None
    right = [(is_correct(query, a), is_correct(query, b)) for query, a, b in labelled]
    return {
        "right_to_wrong": right.count((True, False)),
        "wrong_to_right": right.count((False, True)),
        "a": _figures_of_one([(query, a) for query, a, _ in labelled]),
        "b": _figures_of_one([(query, b) for query, _, b in labelled]),
    }


def _figures_of_one(answers: Sequence[tuple[LabelledQuery, Answer]]) -> dict[str, Any]:
    """Return what `export evaluate` calls by the same names."""
    answerable = [is_correct(query, answer) for query, answer in answers if query.has_product]
    accepted = [
        is_correct(query, answer) for query, answer in answers if answer.decision is ACCEPTED
    ]
    return {
        "precision_at_1": sum(answerable) / len(answerable) if answerable else None,
        "accepted": len(accepted),
        "wrong": len(accepted) - sum(accepted),
        "coverage": len(accepted) / len(answers),
        "accepted_precision": sum(accepted) / len(accepted) if accepted else None,
    }
