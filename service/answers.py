"""What one query gets: products with their similarities, a decision and its reason."""

import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from service.contract.decision import Decision, Reason
from service.contract.signals import IdentifierKind
from service.signals import IdentifierStatus


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One product with its similarity, a cosine in [-1, 1]; ``row`` is its catalogue row.

    Attributes:
        score: what the order follows, in [0, 1]; None where that is the similarity.
        matched_by: the kind of identifier that named it; None where none did.
    """

    product_id: str
    title: str
    similarity: float
    row: int
    score: float | None = None
    matched_by: IdentifierKind | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What one query gets: its best products, and whether the first may go out alone.

    Attributes:
        identifier: what came of the query's identifiers; None where it has none.
        value: what was held against the threshold; None where nothing was found.
    """

    reason: Reason
    truncated: bool
    recommendations: tuple[Recommendation, ...]
    identifier: IdentifierStatus | None = None
    value: float | None = None

    @property
    def decision(self) -> Decision:
        """Return whether the first recommendation goes out without a person."""
        return self.reason.decision

    @property
    def similarity(self) -> float | None:
        """Return the similarity of the best product, or None where there is none."""
        return self.recommendations[0].similarity if self.recommendations else None

    @property
    def score(self) -> float | None:
        """Return the score of the best product, or None where there is no product or no score."""
        return self.recommendations[0].score if self.recommendations else None

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
