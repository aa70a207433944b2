"""Which waiting texts share the next batch: the one due first, and others of about its length."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic

from service.batching.work import Ask, Found, Work

WINDOW = 256
"""So many of the texts that are due first are looked at for one batch."""


class Release(StrEnum):
    """Why a batch was not made larger."""

    IDLE = "idle"  # nothing else waited that could have shared it
    BUDGET = "budget"
    PADDING = "padding"  # what was left differs too much in length
    MAX_SIZE = "max_size"
    AGED = "aged"  # as one of these, around a text that had waited too long


@dataclass(frozen=True, slots=True)
class Batch(Generic[Ask, Found]):
    """Texts of one engine that are encoded together, at least one."""

    works: Sequence[Work[Ask, Found]]
    release: Release

    @property
    def width(self) -> int:
        """Return the tokens of the longest text."""
        return max(work.length for work in self.works)

    @property
    def real_tokens(self) -> int:
        """Return the tokens of all texts."""
        return sum(work.length for work in self.works)

    @property
    def padded_tokens(self) -> int:
        """Return the tokens that the encoder runs on, padding included."""
        return self.width * len(self.works)


def form_batch(waiting: Sequence[Work[Ask, Found]], *, now: float) -> Batch[Ask, Found]:
    """Return the next batch of texts that wait, without taking them away.

    The text that is due first always goes, or before it the first one that has aged; so no text
    waits for ever, whatever its length. Texts of its engine fill the batch up to the engine's
    limits, those nearest to it in length first, as long as the padding that a text brings costs
    less than a run of its own would. A batch is never held back to wait for more. A suspect goes
    alone.

    Args:
        waiting: texts that are wanted, at least one, the one due first in front.
        now: seconds of the clock that gave the texts their times.
    """
    window = waiting[:WINDOW]
    aged = next((work for work in window if work.is_aged(now)), None)
    head = aged or window[0]
    others = [
        work
        for work in window
        if work is not head
        and work.engine is head.engine
        and not (work.is_suspect or head.is_suspect)
    ]
    works, release = _fill(head, others)
    if aged is not None and release is not Release.IDLE:
        release = Release.AGED
    return Batch(works=works, release=release)


def note_passed_over(waiting: Sequence[Work[Ask, Found]], batch: Batch[Ask, Found]) -> None:
    """Count, for each text left behind, that a text which was due later went before it."""
    latest = max(work.due for work in batch.works)
    for work in waiting[:WINDOW]:
        if work.due >= latest:
            break
        work.passed_over += 1


def _fill(
    head: Work[Ask, Found], others: Sequence[Work[Ask, Found]]
) -> tuple[list[Work[Ask, Found]], Release]:
    """Return a batch around ``head``, and why it is no larger."""
    engine = head.engine
    works, width, release = [head], head.length, Release.IDLE
    nearest = sorted(others, key=lambda work: abs(work.length - head.length))  # stable: by due
    for work in nearest:
        if len(works) >= engine.max_texts:
            return works, Release.MAX_SIZE
        wider = max(width, work.length)
        padding = (wider - work.length) + (wider - width) * len(works)
        if wider * (len(works) + 1) > engine.max_padded_tokens:
            release = Release.BUDGET
        elif padding > engine.run_tokens:
            release = release if release is Release.BUDGET else Release.PADDING
        else:
            works.append(work)
            width = wider
    return works, release
