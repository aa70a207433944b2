"""An engine for tests of the batcher: answers with the text itself, and misbehaves on request."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from service.batching.work import Work
from service.contract.tokens import TokenisedText
from service.recommender import StageClock

POISON = 666
"""A text whose first token this is makes every batch that holds it raise."""


@dataclass(eq=False)
class EchoEngine:
    """Answers each text with its tokens; one with `POISON` raises, alone or in a batch.

    Attributes:
        gate: each batch waits until it is set.
        begun: set once a batch has begun.
        batches: lengths of the texts of each batch that did not raise.
    """

    max_padded_tokens: int = 64
    max_texts: int = 100
    run_tokens: float = 1000.0
    gate: threading.Event = field(default_factory=threading.Event)
    begun: threading.Event = field(default_factory=threading.Event)
    batches: list[list[int]] = field(default_factory=list[list[int]])

    def __post_init__(self) -> None:
        self.gate.set()

    def answer(
        self, works: Sequence[Work[None, tuple[int, ...]]], clock: StageClock
    ) -> list[tuple[int, ...]]:
        """Return the tokens of each text."""
        with clock.stage("encode"):
            self.begun.set()
            self.gate.wait()
            if any(work.tokens.ids[0] == POISON for work in works):
                message = "poison in the batch"
                raise RuntimeError(message)
        self.batches.append([work.length for work in works])
        return [work.tokens.ids for work in works]

    def failed(self, work: Work[None, tuple[int, ...]]) -> tuple[int, ...]:  # noqa: ARG002
        """Return no tokens."""
        return ()


def text_of(length: int, *, first: int = 1) -> TokenisedText:
    """Return a text of so many tokens."""
    return TokenisedText(ids=(first, *[2] * (length - 1)), truncated=False, is_blank=False)


def work_of(
    engine: EchoEngine,
    length: int,
    *,
    first: int = 1,
    arrived: float = 0.0,
    deadline: float = 1e9,
) -> Work[None, tuple[int, ...]]:
    """Return a text that nobody has let in yet."""
    return Work(text_of(length, first=first), engine, None, arrived, deadline)
