"""The two engines: texts to recommendations, and texts to embeddings."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float32

from service.batching.work import Work
from service.contract.decision import Reason
from service.contract.signals import IdentifierKind, IdentifierRule
from service.encoder import Encoder
from service.filters import ProductFilter
from service.recommender import Answer, Asked, Recommender, Rules, StageClock
from service.signals import QueryText


@dataclass(frozen=True, slots=True)
class RecommendAsk:
    """What is asked of one text; see `service.recommender.Asked`.

    Attributes:
        wanted: the products that it may get; None for all.
        rules: what happens to answers found by an identifier, where it is calibrated.
        query: the text in its normal form, with identifiers; None where no signal needs it.
    """

    k: int
    threshold: float | None
    wanted: ProductFilter | None = None
    rules: Rules = field(default_factory=dict[IdentifierKind, IdentifierRule])
    query: QueryText | None = None


class RecommendEngine:
    """Answers texts from one bundle."""

    def __init__(
        self, recommender: Recommender, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.recommender = recommender
        self._encoder = recommender.encoder
        self._clock = clock

    @property
    def max_padded_tokens(self) -> int:
        """Return the encoder's budget of the moment."""
        return self._encoder.budget.tokens

    @property
    def max_texts(self) -> int:
        """Return the most texts of a batch."""
        return self._encoder.max_texts

    @property
    def run_tokens(self) -> float:
        """Return what a run costs besides its tokens, in tokens."""
        return self._encoder.budget.run_tokens

    def answer(
        self, works: Sequence[Work[RecommendAsk, Answer]], clock: StageClock
    ) -> list[Answer | None]:
        """Return the answer of each text; None for one whose time was over before the search."""
        with clock.stage("encode"):
            embedded = self._encoder.encode_in_place([work.tokens for work in works])
        now = self._clock()
        wanted = [row for row, work in enumerate(works) if work.is_wanted(now)]
        asked = [self._asked(works[row], embedded.vectors[row]) for row in wanted]
        if len(wanted) == len(works):
            asked = [replace(one, on_device=embedded.on_device) for one in asked]
        found: list[Answer | None] = [None] * len(works)
        for row, answer in zip(wanted, self._answers(asked, clock), strict=True):
            found[row] = answer
        return found

    def failed(self, work: Work[RecommendAsk, Answer]) -> Answer:
        """Return the answer of a text that nothing could be made of."""
        truncated = work.tokens.truncated
        return Answer(reason=Reason.ENCODER_FAILED, truncated=truncated, recommendations=())

    def _asked(
        self, work: Work[RecommendAsk, Answer], embedding: Float32[np.ndarray, " dim"]
    ) -> Asked:
        ask = work.ask
        allowed = None if ask.wanted is None else self.recommender.catalogue.mask(ask.wanted)
        return Asked(
            work.tokens,
            embedding,
            ask.k,
            ask.threshold,
            allowed,
            query=ask.query,
            rules=ask.rules,
        )

    def _answers(self, asked: Sequence[Asked], clock: StageClock) -> list[Answer]:
        """Return the answers; those to a filter are held against the whole catalogue."""
        answers = self.recommender.answer(asked, clock=clock)
        filtered = [row for row, one in enumerate(asked) if one.allowed is not None]
        if not filtered:
            return answers
        whole = [replace(asked[row], allowed=None, k=1) for row in filtered]
        for row, best in zip(filtered, self.recommender.answer(whole, clock=clock), strict=True):
            answers[row] = answers[row].held_against(best)
        return answers


class EmbedEngine:
    """Embeds texts with one encoder."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder

    @property
    def max_padded_tokens(self) -> int:
        """Return the encoder's budget of the moment."""
        return self.encoder.budget.tokens

    @property
    def max_texts(self) -> int:
        """Return the most texts of a batch."""
        return self.encoder.max_texts

    @property
    def run_tokens(self) -> float:
        """Return what a run costs besides its tokens, in tokens."""
        return self.encoder.budget.run_tokens

    def answer(
        self, works: Sequence[Work[None, Float32[np.ndarray, " dim"]]], clock: StageClock
    ) -> list[Float32[np.ndarray, " dim"]]:
        """Return one unit embedding a text; NaN where the encoder failed on it."""
        with clock.stage("encode"):
            return list(self.encoder.encode_together([work.tokens for work in works]))

    def failed(
        self,
        work: Work[None, Float32[np.ndarray, " dim"]],  # noqa: ARG002  # all fail alike
    ) -> Float32[np.ndarray, " dim"]:
        """Return NaN: no embedding."""
        return np.full(self.encoder.dim, np.nan, dtype=np.float32)
