"""Texts to recommendations with decisions: the served path, shared by HTTP and export."""

import math
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64

from service.catalogue import Catalogue
from service.contract import bundle as bundles
from service.contract.decision import Decision, Reason, reason_for
from service.contract.errors import BundleCorruptError, DataError
from service.contract.golden import GoldenExample, differences, read_golden
from service.contract.manifest import Manifest
from service.contract.tokens import TextTokeniser, TokenisedText
from service.encoder import Encoder
from service.index import ProductIndex

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


class Recommender:
    """Answers queries from one catalogue with one encoder and one threshold."""

    def __init__(
        self,
        encoder: Encoder,
        index: ProductIndex,
        catalogue: Catalogue,
        *,
        threshold: float | None,
    ) -> None:
        if not 0 < index.products == len(catalogue) or index.dim != encoder.dim:
            message = (
                f"the index holds {index.products} products of {index.dim} numbers, the catalogue "
                f"{len(catalogue)} and the encoder {encoder.dim}; build the bundle again"
            )
            raise BundleCorruptError(message)
        self.encoder = encoder
        self.index = index
        self.catalogue = catalogue
        self.threshold = threshold

    def with_threshold(self, threshold: float | None) -> "Recommender":
        """Return a recommender that shares everything with this one but the threshold."""
        return Recommender(self.encoder, self.index, self.catalogue, threshold=threshold)

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
            readable = [row for row, text in enumerate(tokenised) if not text.is_blank]
            embeddings = self.encoder.encode([tokenised[row] for row in readable])
        with clock.stage("search"):
            nearest = self._search(readable, embeddings, k)
        with clock.stage("decide"):
            return [self._answer(text, nearest.get(row)) for row, text in enumerate(tokenised)]

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
        self, readable: Sequence[int], embeddings: Float32[np.ndarray, "query dim"], k: int
    ) -> Mapping[int, tuple[Float32[np.ndarray, " rank"], Int64[np.ndarray, " rank"]]]:
        """Return similarities and catalogue rows by query row; failed queries are left out."""
        works = np.isfinite(embeddings).all(axis=1)
        if not works.any():
            return {}
        similarity, rows = self.index.search(np.ascontiguousarray(embeddings[works]), k)
        queries = np.asarray(readable)[works]
        return dict(zip(queries.tolist(), zip(similarity, rows, strict=True), strict=True))

    def _answer(
        self,
        text: TokenisedText,
        nearest: tuple[Float32[np.ndarray, " rank"], Int64[np.ndarray, " rank"]] | None,
    ) -> Answer:
        if nearest is None:
            reason = Reason.EMPTY_TEXT if text.is_blank else Reason.ENCODER_FAILED
            return Answer(reason=reason, truncated=text.truncated, recommendations=())
        recommendations = tuple(
            Recommendation(
                product_id=self.catalogue.product_ids[row],
                title=self.catalogue.titles[row],
                similarity=similarity,
                row=row,
            )
            for similarity, row in zip(nearest[0].tolist(), nearest[1].tolist(), strict=True)
            if row >= 0
        )
        reason = self._reason(recommendations)
        return Answer(reason=reason, truncated=text.truncated, recommendations=recommendations)

    def _reason(self, recommendations: Sequence[Recommendation]) -> Reason:
        if not recommendations:
            return reason_for(math.nan, self.threshold, is_ambiguous=False)
        best = recommendations[0]
        ambiguous = bool(self.catalogue.has_twin[best.row])
        return reason_for(best.similarity, self.threshold, is_ambiguous=ambiguous)


def load_recommender(bundle: bundles.Bundle) -> Recommender:
    """Return the recommender of a verified bundle, before its golden examples are replayed.

    Raises:
        BundleCorruptError: if a file is not what it must be, or two of them do not fit.
    """
    try:
        tokeniser = TextTokeniser.from_file(bundle.path(bundles.TOKENIZER))
    except DataError as error:
        raise BundleCorruptError(str(error)) from error
    return Recommender(
        Encoder(bundle.path(bundles.ENCODER), tokeniser),
        ProductIndex.from_file(bundle.path(bundles.INDEX)),
        Catalogue.from_file(bundle.path(bundles.CATALOGUE)),
        threshold=bundle.manifest.threshold,
    )


def open_recommender(folder: Path) -> tuple[Recommender, Manifest]:
    """Return the recommender of a bundle that is whole and still gives its recorded answers.

    Raises:
        BundleCorruptError: if a file was altered, or a golden example's answer changed.
        BundleIncompatibleError: if the bundle was made for another release.
    """
    bundle = bundles.open_bundle(folder)
    recommender = load_recommender(bundle)
    check_golden(recommender, bundle)
    return recommender, bundle.manifest


def check_golden(recommender: Recommender, bundle: bundles.Bundle) -> None:
    """Replay the golden examples of ``bundle``.

    Raises:
        BundleCorruptError: if an answer is not the recorded one.
    """
    recorded = read_golden(bundle.path(bundles.GOLDEN))
    replayed = recommender.replay([example.text for example in recorded])
    found = differences(recorded, replayed, bundle.manifest.golden_tolerance)
    if found:
        message = (
            f"bundle {bundle.folder} does not give its own golden answers on this machine: "
            f"{found[0]} ({len(found)} of {len(recorded)} differ); build the bundle here"
        )
        raise BundleCorruptError(message)
