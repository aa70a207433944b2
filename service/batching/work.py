"""One text on its way through the encoder, and the engine that answers it."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

from service.contract.tokens import TokenisedText
from service.recommender import StageClock

Ask = TypeVar("Ask")
Found = TypeVar("Found")

AGED_SHARE = 0.25
"""A text that waited for this share of its time goes first."""
MAX_PASSED_OVER = 4
"""As does one that so many batches passed over for younger texts of a better length."""


class Lane(StrEnum):
    """Where a text waits: a few queries of one request before the many of another."""

    INTERACTIVE = "interactive"
    BULK = "bulk"


class Engine(Protocol[Ask, Found]):
    """Answers batches of texts; only texts of one engine share a batch."""

    @property
    def max_padded_tokens(self) -> int:
        """Return the most tokens of a batch, padding included; one text may be longer."""
        ...

    @property
    def max_texts(self) -> int:
        """Return the most texts of a batch."""
        ...

    @property
    def run_tokens(self) -> float:
        """Return what a run costs besides its tokens, in tokens."""
        ...

    def answer(
        self, works: Sequence["Work[Ask, Found]"], clock: StageClock
    ) -> Sequence[Found | None]:
        """Return what each text gets; None for one that nobody waits for any more."""
        ...

    def failed(self, work: "Work[Ask, Found]") -> Found:
        """Return what a text gets that `answer` raises on."""
        ...


@dataclass(eq=False, slots=True)
class Work(Generic[Ask, Found]):
    """One text, once per answer that is needed, however many requests wait for it.

    Attributes:
        tokens: the text as the encoder reads it.
        engine: what answers it.
        ask: what else the engine must know.
        arrived: when it was made, in seconds of the batcher's clock.
        key: what it is the same as, for requests that ask the same; None where none may share it.
        deadline: when nobody waits any more; the latest one of its requests.
        due: its place in its lane: the earliest goes first.
        lane: where it waits.
        taken: when a batch took it; None while it waits.
        is_suspect: true once a batch with it got stuck; from then on it goes alone.
        passed_over: how many batches took a text that was due later.
        is_dropped: true once nobody waits for it.
        found: its answer; None until there is one, and for one that was dropped.
    """

    tokens: TokenisedText
    engine: Engine[Ask, Found]
    ask: Ask
    arrived: float
    deadline: float
    key: Hashable = None
    due: float = 0.0
    lane: Lane = Lane.INTERACTIVE
    taken: float | None = None
    passed_over: int = 0
    is_dropped: bool = False
    is_suspect: bool = False
    found: Found | None = field(default=None, repr=False)

    @property
    def length(self) -> int:
        """Return its tokens."""
        return len(self.tokens.ids)

    def is_wanted(self, now: float) -> bool:
        """Return whether somebody still waits for the answer."""
        return not self.is_dropped and now < self.deadline

    def is_aged(self, now: float) -> bool:
        """Return whether it has waited so long that it must go first."""
        if self.passed_over >= MAX_PASSED_OVER:
            return True
        return now - self.arrived >= AGED_SHARE * (self.deadline - self.arrived)
