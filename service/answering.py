"""From the texts of one request to their answers: cached, shared with others, or worked out."""

import asyncio
import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float32

from service.batching.admission import BusyError, QueueLimits, Speed
from service.batching.batcher import Batcher, BatchObserver
from service.batching.engines import RecommendAsk
from service.batching.ticket import DeadlineError, StoppedError, Ticket, Tickets
from service.batching.work import Lane, Work
from service.cache import NOTHING_GIVEN, AnswerCache, CacheKey, Given
from service.contract.decision import Reason
from service.contract.text import normalise
from service.contract.tokens import TextTokeniser, TokenisedText
from service.generation import Generation
from service.recommender import Answer, StageClock
from service.signals import QueryText

Ask = TypeVar("Ask")
Found = TypeVar("Found")
Made = TypeVar("Made")

INLINE_CHARACTERS = 4096
"""Texts of more characters together are tokenised in a thread, so that the loop stays free."""


@dataclass(slots=True)
class Call:
    """One request under way, in seconds of the monotonic clock.

    Attributes:
        lane: where its texts wait.
        arrived: when it came.
        deadline: when its answer is of no more use.
        clock: the seconds of its own stages, ``tokenise`` and ``queue``.
        ticket: what it waits for at the moment.
        spans: name, begin and end of what was done for it.
    """

    lane: Lane
    arrived: float
    deadline: float
    clock: StageClock = field(default_factory=StageClock)
    ticket: Ticket | None = None
    spans: list[tuple[str, float, float]] = field(default_factory=list[tuple[str, float, float]])

    def check(self, stage: str) -> float:
        """Return the seconds that are left before ``stage``.

        Raises:
            DeadlineError: if there are none.
        """
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise DeadlineError(stage)
        return left


@dataclass(frozen=True, slots=True)
class _FlightKey:
    """What two requests must have in common to wait for one work; a lane does not wait for another.

    Attributes:
        answer: the place of the answer in the cache.
        lane: where the work waits.
    """

    answer: CacheKey
    lane: Lane


class Answering:
    """Answers requests on the event loop; the work itself is done by the batcher's threads."""

    def __init__(
        self,
        *,
        workers: int,
        limits: QueueLimits,
        speed: Speed,
        cache: AnswerCache,
        observer: BatchObserver,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.cache = cache
        self._observer = observer
        self._tickets = Tickets(loop)
        self._flights: dict[Hashable, Work[Any, Any]] = {}
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="tokenise")

        def deliver(works: Sequence[Work[Any, Any]]) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(self._deliver, works)

        self.batcher = Batcher(
            workers=workers, limits=limits, speed=speed, deliver=deliver, observer=observer
        )

    async def recommend(
        self,
        texts: Sequence[str],
        *,
        generation: Generation,
        ask: RecommendAsk,
        call: Call,
        target_precision: float | None = None,
        given: Sequence[Given] | None = None,
    ) -> list[Answer]:
        """Return one answer a text, in order, all of them from one generation.

        Raises:
            BusyError: if so much waits that these texts may not.
            DeadlineError: if the call's time is over.
            StoppedError: if the service stops.
        """
        tokeniser = generation.bundle.recommender.encoder.tokeniser
        names = await self._off_loop_if_long(_normalised, texts)
        keys = [
            CacheKey(
                generation.manifest.bundle_id,
                generation.number,
                name,
                ask.k,
                target_precision,
                ask.wanted,
                own,
            )
            for name, own in zip(names, given or [NOTHING_GIVEN] * len(names), strict=True)
        ]
        found = [self.cache.get(key) for key in keys]
        asked = [row for row, answer in enumerate(found) if answer is None]
        tokens = await self._tokenise([names[row] for row in asked], tokeniser, call)
        works: dict[int, Work[RecommendAsk, Answer]] = {}
        for row, text in zip(asked, tokens, strict=True):
            if text.is_blank:
                found[row] = Answer(Reason.EMPTY_TEXT, text.truncated, ())
            else:
                key = _FlightKey(keys[row], call.lane) if self.cache.is_on else None
                works[row] = Work(
                    text,
                    generation.recommend,
                    replace(ask, query=QueryText(names[row], *keys[row].given)),
                    call.arrived,
                    deadline=call.deadline,
                    key=key,
                )
        answers = await self._answers(works, call)
        return [answer or answers[row] for row, answer in enumerate(found)]

    async def embed(
        self, texts: Sequence[TokenisedText], *, generation: Generation, call: Call
    ) -> list[Float32[np.ndarray, " dim"] | None]:
        """Return one unit embedding a text; NaN where the encoder failed, None for a blank one.

        Raises:
            BusyError: if so much waits that these texts may not.
            DeadlineError: if the call's time is over.
            StoppedError: if the service stops.
        """
        works = {
            row: Work(text, generation.embed, None, call.arrived, deadline=call.deadline)
            for row, text in enumerate(texts)
            if not text.is_blank
        }
        found = await self._answers(works, call)
        return [found.get(row) for row in range(len(texts))]

    async def tokenise(
        self, texts: Sequence[str], *, generation: Generation, call: Call
    ) -> list[TokenisedText]:
        """Return the tokens of raw texts, in order."""
        names = await self._off_loop_if_long(_normalised, texts)
        return await self._tokenise(names, generation.bundle.recommender.encoder.tokeniser, call)

    async def prove(self, generation: Generation, *, seconds: float) -> bool:
        """Return whether a text of our own comes back within ``seconds``, ahead of all others."""
        now = time.monotonic()
        text = generation.embed.encoder.tokeniser.of_normalised(["ready"])[0]
        work = Work(text, generation.embed, None, arrived=now, deadline=now + seconds)
        ticket = self._tickets.issue([work], seconds=seconds)
        self.batcher.queue.admit_first(work)
        try:
            await ticket.wait()
        except (DeadlineError, StoppedError):
            return False
        finally:
            self.batcher.queue.drop(self._tickets.give_back(ticket, [work]), lane=Lane.INTERACTIVE)
        return work.found is not None

    def close(self) -> None:
        """Stop; requests that still wait get `StoppedError`."""
        self.batcher.close()
        self._tickets.fail_all(StoppedError())
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _answers(self, works: Mapping[int, Work[Ask, Found]], call: Call) -> dict[int, Found]:
        """Return the answer of each work by its row.

        A text that its other requests let go just as this one joined them is asked once more.
        """
        found: dict[int, Found] = {}
        while works:
            left = call.check("queue")
            shared = self._admit(works, call)
            await self._wait(shared.values(), call, seconds=left)
            found |= {row: work.found for row, work in shared.items() if work.found is not None}
            works = {row: _again(work) for row, work in works.items() if row not in found}
        return found

    def _admit(
        self, works: Mapping[int, Work[Ask, Found]], call: Call
    ) -> dict[int, Work[Ask, Found]]:
        """Let works wait; return what to wait for: each itself, or the same one under way."""
        shared: dict[int, Work[Ask, Found]] = {}
        fresh: list[Work[Ask, Found]] = []
        for row, work in works.items():
            flight = self._flights.get(work.key)
            if flight is not None and self.batcher.queue.extend(flight, work.deadline):
                shared[row] = flight
                self._observer.coalesced()
                continue
            shared[row] = work
            fresh.append(work)
            if work.key is not None:
                self._flights[work.key] = work
                self._observer.missed()
        try:
            self.batcher.admit(fresh, lane=call.lane, deadline=call.deadline)
        except BusyError:
            self._land(fresh)
            raise
        return shared

    async def _wait(self, works: Iterable[Work[Any, Any]], call: Call, *, seconds: float) -> None:
        """Wait for works that were admitted; whatever ends the wait, let go of them."""
        submitted = time.monotonic()
        mine = list(set(works))
        ticket = call.ticket = self._tickets.issue(mine, seconds=seconds)
        try:
            await ticket.wait()
        finally:
            left = self._tickets.give_back(ticket, mine)
            self._land(left)
            self.batcher.queue.drop(left, lane=call.lane)
            self.batcher.queue.leave(call.lane)
            ended = time.monotonic()
            taken = [work.taken for work in mine if work.taken is not None]
            begun = max(submitted, min(taken, default=ended))
            call.clock.seconds["queue"] = begun - submitted
            call.spans += [("queue", submitted, begun), ("batches", begun, ended)]

    def _deliver(self, works: Sequence[Work[Any, Any]]) -> None:
        for work in works:
            if isinstance(work.key, _FlightKey) and isinstance(work.found, Answer):
                self.cache.put(work.key.answer, work.found)
        self._land(works)
        self._tickets.deliver(works)

    def _land(self, works: Iterable[Work[Any, Any]]) -> None:
        """Let nobody join these works any more."""
        for work in works:
            if self._flights.get(work.key) is work:
                del self._flights[work.key]

    async def _tokenise(
        self, names: Sequence[str], tokeniser: TextTokeniser, call: Call
    ) -> list[TokenisedText]:
        call.check("tokenise")
        started = time.monotonic()
        with call.clock.stage("tokenise"):
            tokens = await self._off_loop_if_long(tokeniser.of_normalised, names)
        call.spans.append(("tokenise", started, time.monotonic()))
        self._observer.tokenised([len(text.ids) for text in tokens])
        return tokens

    async def _off_loop_if_long(
        self, work: Callable[[Sequence[str]], list[Made]], texts: Sequence[str]
    ) -> list[Made]:
        if sum(map(len, texts)) <= INLINE_CHARACTERS:
            return work(texts)
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, texts)


def _normalised(texts: Sequence[str]) -> list[str]:
    return [normalise(text) for text in texts]


def _again(work: Work[Ask, Found]) -> Work[Ask, Found]:
    return Work(
        work.tokens, work.engine, work.ask, work.arrived, deadline=work.deadline, key=work.key
    )
