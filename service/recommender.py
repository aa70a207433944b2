"""Texts to recommendations with decisions: the served path, shared by HTTP and export."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float32

from service.answers import Answer, Recommendation, StageClock
from service.catalogue import ServedProducts
from service.contract.decision import Decision, Reason, reason_for
from service.contract.errors import BundleCorruptError
from service.contract.golden import GoldenExample
from service.contract.signals import IdentifierKind, IdentifierRule
from service.contract.text import normalise
from service.contract.tokens import TokenisedText
from service.embedded import OnDevice
from service.encoder import Encoder
from service.retrievers import Retriever
from service.retrievers.in_place import search_where_they_lie
from service.signals import (
    IdentifierStatus,
    Nearest,
    QueryText,
    Ranking,
    Signals,
    by_similarity,
)

Rules = Mapping[IdentifierKind, IdentifierRule]

MAX_K = 100
"""Most products that one query may ask for."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A text as it comes from the encoder, and what is asked of it.

    Attributes:
        text: its tokens.
        embedding: its unit vector; NaN where the encoder failed on it, None for a blank text.
        k: most products of its answer, 1 to `MAX_K`.
        threshold: least similarity that is accepted; None accepts nothing.
        allowed: true at the catalogue rows that may be recommended; None allows all.
        query: the text in its normal form, with identifiers; None where no signal needs it.
        rules: what happens to answers found by an identifier, where it is calibrated.
        on_device: the vectors of all texts that are asked together, in their order, where the
            encoder left them; None where they are not all there.
    """

    text: TokenisedText
    embedding: Float32[np.ndarray, " dim"] | None
    k: int
    threshold: float | None
    allowed: Bool[np.ndarray, " product"] | None = None
    query: QueryText | None = None
    rules: Rules = field(default_factory=dict[IdentifierKind, IdentifierRule])
    on_device: OnDevice | None = None


class Recommender:
    """Answers queries from one catalogue with one encoder and one threshold.

    Attributes:
        signals: what is known of queries besides their embeddings; None for nothing.
        rules: what happens to answers found by an identifier, where it is calibrated.
    """

    def __init__(
        self,
        encoder: Encoder,
        retriever: Retriever,
        catalogue: ServedProducts,
        *,
        threshold: float | None,
        signals: Signals | None = None,
        rules: Rules | None = None,
    ) -> None:
        if not 0 < retriever.products == len(catalogue) or retriever.dim != encoder.dim:
            message = (
                f"the index holds {retriever.products} products of {retriever.dim} numbers, the "
                f"catalogue {len(catalogue)} and the encoder {encoder.dim}; build the bundle again"
            )
            raise BundleCorruptError(message)
        self.encoder = encoder
        self.retriever = retriever
        self.catalogue = catalogue
        self.threshold = threshold
        self.signals = signals
        self.rules: Rules = rules or {}

    def with_products(
        self,
        retriever: Retriever,
        catalogue: ServedProducts,
        *,
        signals: Signals | None = None,
    ) -> "Recommender":
        """Return a recommender that shares everything with this one but the products.

        Args:
            retriever: of the products there are now.
            catalogue: what is known of them.
            signals: those of this one with the same changes; see `Signals.with_changes`.
        """
        return Recommender(
            self.encoder,
            retriever,
            catalogue,
            threshold=self.threshold,
            signals=signals,
            rules=self.rules,
        )

    def with_threshold(
        self, threshold: float | None, *, rules: Rules | None = None
    ) -> "Recommender":
        """Return a recommender that shares everything with this one but what it accepts."""
        return Recommender(
            self.encoder,
            self.retriever,
            self.catalogue,
            threshold=threshold,
            signals=self.signals,
            rules=rules,
        )

    def recommend(
        self, texts: Sequence[str], *, k: int = 5, clock: StageClock | None = None
    ) -> list[Answer]:
        """Return one answer a text, in order; no text can fail another's answer.

        Args:
            texts: raw query texts; blank ones get an answer without recommendations.
            k: most products of an answer, 1 to 100.
            clock: gets the seconds of each stage.

        Raises:
            ValueError: if ``k`` is out of its range.
        """
        if not 1 <= k <= MAX_K:
            message = f"k is {k}, it must be 1 to {MAX_K}"
            raise ValueError(message)
        clock = clock or StageClock()
        with clock.stage("tokenise"):
            tokenised = self.encoder.tokenise(texts)
        with clock.stage("encode"):
            readable = [text for text in tokenised if not text.is_blank]
            embeddings = iter(self.encoder.encode(readable))
        asked = [
            Asked(
                tokens,
                None if tokens.is_blank else next(embeddings),
                k,
                self.threshold,
                query=QueryText(normalise(text)) if self.signals else None,
                rules=self.rules,
            )
            for text, tokens in zip(texts, tokenised, strict=True)
        ]
        return self.answer(asked, clock=clock)

    def answer(self, asked: Sequence["Asked"], *, clock: StageClock | None = None) -> list[Answer]:
        """Return one answer a text that is encoded already, in order.

        Args:
            asked: texts with their embeddings.
            clock: gets the seconds of the stages ``search`` and ``decide``.
        """
        clock = clock or StageClock()
        with clock.stage("search"):
            nearest = self._search(asked)
            ranked = {row: self._ranked(asked[row], found) for row, found in nearest.items()}
        with clock.stage("decide"):
            return [self._answer(one, ranked.get(row)) for row, one in enumerate(asked)]

    def replay(self, texts: Sequence[str]) -> list[GoldenExample]:
        """Return what the served path makes of each text, step by step."""
        tokenised = self.encoder.tokenise(texts)
        embeddings = self.encoder.encode(tokenised)
        answers = self.recommend(texts, k=1)
        return [
            GoldenExample(
                text=text,
                ids=tokens.ids,
                embedding=() if tokens.is_blank else tuple(embedding.tolist()),
                product_id=answer.recommendations[0].product_id if answer.recommendations else None,
                similarity=answer.similarity,
                score=answer.score,
                reason=answer.reason,
            )
            for text, tokens, embedding, answer in zip(
                texts, tokenised, embeddings, answers, strict=True
            )
        ]

    def _search(self, asked: Sequence["Asked"]) -> Mapping[int, Nearest]:
        """Return the nearest products by query row; failed queries are left out."""
        encoded = {row: one.embedding for row, one in enumerate(asked) if one.embedding is not None}
        works = {row: vector for row, vector in encoded.items() if np.isfinite(vector).all()}
        together: dict[int, list[int]] = {}
        for row in works:  # texts that share one filter share one search
            together.setdefault(id(asked[row].allowed), []).append(row)
        depth = 1 if self.signals is None else self.signals.depth
        nearest: dict[int, Nearest] = {}
        for some in together.values():
            allowed = asked[some[0]].allowed
            similarity, rows = search_where_they_lie(
                self.retriever,
                np.stack([works[row] for row in some]),
                max(depth, *(asked[row].k for row in some)),
                allowed=allowed,
                there=asked[some[0]].on_device,
            )
            for place, row in enumerate(some):
                nearest[row] = Nearest(works[row], similarity[place], rows[place], allowed)
        return nearest

    def _ranked(self, one: "Asked", nearest: Nearest) -> Ranking:
        """Return the products of a query in the order of its answer."""
        if self.signals is None or one.query is None:
            return by_similarity(one.query, nearest)
        return self.signals.rank(one.query, nearest, self.retriever)

    def _answer(self, one: "Asked", ranking: Ranking | None) -> Answer:
        text = one.text
        if ranking is None:
            reason = Reason.EMPTY_TEXT if text.is_blank else Reason.ENCODER_FAILED
            return Answer(reason=reason, truncated=text.truncated, recommendations=())
        return Answer(
            reason=self._reason(one, ranking),
            truncated=text.truncated,
            recommendations=self._recommendations(ranking, one.k),
            identifier=None if ranking.match is None else ranking.match.status,
            value=None if ranking.best is None else ranking.best.value,
        )

    def _recommendations(self, ranking: Ranking, k: int) -> tuple[Recommendation, ...]:
        similarity: list[float] = ranking.similarity[:k].tolist()
        rows: list[int] = ranking.rows[:k].tolist()
        score = [None] * len(rows) if ranking.score is None else ranking.score[:k].tolist()
        named = () if ranking.match is None else ranking.match.rows
        kind = None if ranking.match is None else ranking.match.kind
        return tuple(
            Recommendation(
                product_id=self.catalogue.product_ids[row],
                title=self.catalogue.titles[row],
                similarity=own,
                row=row,
                score=value,
                matched_by=kind if row in named else None,
            )
            for own, row, value in zip(similarity, rows, score, strict=True)
        )

    def _reason(self, one: "Asked", ranking: Ranking) -> Reason:
        best, match = ranking.best, ranking.match
        if best is None:
            return Reason.NO_CANDIDATE
        if match is not None and match.status is IdentifierStatus.AMBIGUOUS:
            return Reason.AMBIGUOUS_PRODUCT
        rule = None if match is None or match.row is None else match.rule_in(one.rules)
        if rule is IdentifierRule.ACCEPTED:
            return self._unless_stale(Reason.IDENTIFIER_MATCH, int(ranking.rows[0]))
        if rule is not None and (rule is IdentifierRule.REVIEW or best.row != ranking.rows[0]):
            return Reason.IDENTIFIER_UNPROVEN
        ambiguous = bool(self.catalogue.has_twin[best.row])
        reason = reason_for(best.value, one.threshold, is_ambiguous=ambiguous)
        return self._unless_stale(reason, best.row)

    def _unless_stale(self, reason: Reason, row: int) -> Reason:
        is_stale = reason.decision is Decision.AUTO_ACCEPTED and self.catalogue.is_stale[row]
        return Reason.STALE_OPERATING_POINT if is_stale else reason
