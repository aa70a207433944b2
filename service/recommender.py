"""Texts to recommendations with decisions: the served path, shared by HTTP and export."""

import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Float32, Int64

from service.catalogue import ServedProducts
from service.contract.decision import Decision, Reason, reason_for
from service.contract.errors import BundleCorruptError
from service.contract.golden import GoldenExample
from service.contract.tokens import TokenisedText
from service.encoder import Encoder
from service.retrievers import Retriever

MAX_K = 100
"""Most products that one query may ask for."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One product with its similarity, a cosine in [-1, 1]; ``row`` is its catalogue row."""

    product_id: str
    title: str
    similarity: float
    row: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What one query gets: its best products, and whether the first may go out alone."""

    reason: Reason
    truncated: bool
    recommendations: tuple[Recommendation, ...]

    @property
    def decision(self) -> Decision:
        """Return whether the first recommendation goes out without a person."""
        return self.reason.decision

    @property
    def similarity(self) -> float | None:
        """Return the similarity of the best product, or None where there is none."""
        return self.recommendations[0].similarity if self.recommendations else None

    def held_against(self, whole: "Answer") -> "Answer":
        """Return this answer from a part of the catalogue, accepted only if it is the whole's too.

        The promise was made on answers from the whole catalogue: one that a filter brings forward
        was never calibrated, however similar it is.

        Args:
            whole: the answer of the same text from all products.
        """
        if self.decision is not Decision.AUTO_ACCEPTED:
            return self
        if whole.recommendations[0].row == self.recommendations[0].row:
            return self
        return replace(self, reason=Reason.FILTER_EXCLUDES_BEST)


@dataclass(slots=True)
class StageClock:
    """Seconds spent in each stage of answering one body."""

    seconds: dict[str, float] = field(default_factory=dict[str, float])

    @contextmanager
    def stage(self, name: str) -> Generator[None]:
        """Time the block under ``name``: tokenise, queue, encode, search or decide."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started


@dataclass(frozen=True, slots=True)
class Asked:
    """A text as it comes from the encoder, and what is asked of it.

    Attributes:
        text: its tokens.
        embedding: its unit vector; NaN where the encoder failed on it, None for a blank text.
        k: most products of its answer, 1 to `MAX_K`.
        threshold: least similarity that is accepted; None accepts nothing.
        allowed: true at the catalogue rows that may be recommended; None allows all.
    """

    text: TokenisedText
    embedding: Float32[np.ndarray, " dim"] | None
    k: int
    threshold: float | None
    allowed: Bool[np.ndarray, " product"] | None = None


class Recommender:
    """Answers queries from one catalogue with one encoder and one threshold."""

    def __init__(
        self,
        encoder: Encoder,
        retriever: Retriever,
        catalogue: ServedProducts,
        *,
        threshold: float | None,
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

    def with_products(self, retriever: Retriever, catalogue: ServedProducts) -> "Recommender":
        """Return a recommender that shares everything with this one but the products."""
        return Recommender(self.encoder, retriever, catalogue, threshold=self.threshold)

    def with_threshold(self, threshold: float | None) -> "Recommender":
        """Return a recommender that shares everything with this one but the threshold."""
        return Recommender(self.encoder, self.retriever, self.catalogue, threshold=threshold)

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
            Asked(text, None if text.is_blank else next(embeddings), k, self.threshold)
            for text in tokenised
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
        with clock.stage("decide"):
            return [self._answer(one, nearest.get(row)) for row, one in enumerate(asked)]

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
                reason=answer.reason,
            )
            for text, tokens, embedding, answer in zip(
                texts, tokenised, embeddings, answers, strict=True
            )
        ]

    def _search(
        self, asked: Sequence["Asked"]
    ) -> Mapping[int, tuple[Float32[np.ndarray, " rank"], Int64[np.ndarray, " rank"]]]:
        """Return similarities and catalogue rows by query row; failed queries are left out."""
        encoded = {row: one.embedding for row, one in enumerate(asked) if one.embedding is not None}
        works = {row: vector for row, vector in encoded.items() if np.isfinite(vector).all()}
        together: dict[int, list[int]] = {}
        for row in works:  # texts that share one filter share one search
            together.setdefault(id(asked[row].allowed), []).append(row)
        nearest: dict[int, tuple[Float32[np.ndarray, " rank"], Int64[np.ndarray, " rank"]]] = {}
        for some in together.values():
            similarity, rows = self.retriever.search(
                np.stack([works[row] for row in some]),
                max(asked[row].k for row in some),
                allowed=asked[some[0]].allowed,
            )
            nearest.update(zip(some, zip(similarity, rows, strict=True), strict=True))
        return nearest

    def _answer(
        self,
        one: "Asked",
        nearest: tuple[Float32[np.ndarray, " rank"], Int64[np.ndarray, " rank"]] | None,
    ) -> Answer:
        text = one.text
        if nearest is None:
            reason = Reason.EMPTY_TEXT if text.is_blank else Reason.ENCODER_FAILED
            return Answer(reason=reason, truncated=text.truncated, recommendations=())
        rows: list[int] = nearest[1][: one.k].tolist()
        best = zip(nearest[0][: one.k].tolist(), rows, strict=True)
        recommendations = tuple(
            Recommendation(
                product_id=self.catalogue.product_ids[row],
                title=self.catalogue.titles[row],
                similarity=similarity,
                row=row,
            )
            for similarity, row in best
            if row >= 0
        )
        reason = self._reason(recommendations, one.threshold)
        return Answer(reason=reason, truncated=text.truncated, recommendations=recommendations)

    def _reason(self, recommendations: Sequence[Recommendation], threshold: float | None) -> Reason:
        if not recommendations:
            return Reason.NO_CANDIDATE
        best = recommendations[0]
        ambiguous = bool(self.catalogue.has_twin[best.row])
        reason = reason_for(best.similarity, threshold, is_ambiguous=ambiguous)
        is_stale = reason.decision is Decision.AUTO_ACCEPTED and self.catalogue.is_stale[best.row]
        return Reason.STALE_OPERATING_POINT if is_stale else reason
