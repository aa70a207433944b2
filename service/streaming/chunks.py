"""A few lines of a stream on their way: parsed, answered together, and each written for itself."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.requests import Request

from service.access.bucket import RateLimitError
from service.access.door import Caller
from service.answering import Call
from service.batching.admission import BusyError
from service.batching.engines import RecommendAsk
from service.batching.work import Lane
from service.bodies import invalid_request, parse_body
from service.generation import Generation
from service.line_schemas import AnsweredLine, FailedLine, LineError, QueryLine, StreamOptions
from service.problems import Code, FieldError, ProblemError, problem_of
from service.recommender import Answer
from service.refusals import count_error
from service.replies import result_of
from service.schemas import MAX_LINE_BYTES, Query
from service.serving import Serving
from service.streaming.lines import Line

CHUNK_LINES = 32
CHUNK_RECOMMENDATIONS = 2000
"""Lines of a chunk are written on the event loop; where each is long, there are fewer."""
FIRST_STEP_SECONDS = 0.05
"""A chunk that the queue is too full for asks again after so long, then after twice that."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StreamTerms:
    """What all chunks of one stream share, from its first line to its last.

    Attributes:
        request: that the stream came with.
        serving: the state of the app.
        caller: who sent it.
        generation: what answers it.
        options: what is asked of every query.
        seconds: how long a chunk may take, and how long the client may neither send nor read.
    """

    request: Request
    serving: Serving
    caller: Caller
    generation: Generation
    options: StreamOptions
    seconds: float

    @property
    def target_precision(self) -> float:
        """Return the promise that its answers are decided under."""
        return self.generation.target_of(self.caller.target_precision)

    @property
    def chunk_lines(self) -> int:
        """Return the most lines of a chunk."""
        return min(CHUNK_LINES, CHUNK_RECOMMENDATIONS // self.options.k)


@dataclass(frozen=True)
class WrittenChunk:
    """What the client gets for a chunk.

    Attributes:
        content: one line for each that came.
        answers: those among them that are answers.
        errors: how many are none.
    """

    content: bytes
    answers: Sequence[Answer]
    errors: int


class ChunkAnswerer:
    """Answers the chunks of one stream; whatever goes wrong is said on the lines it concerns."""

    def __init__(self, terms: StreamTerms) -> None:
        self._terms = terms
        self._turn = asyncio.Lock()

    async def answer(self, lines: Sequence[Line]) -> WrittenChunk:
        """Return what the client gets for ``lines``."""
        queries: dict[int, Query] = {}
        errors: dict[int, LineError] = {}
        for line in lines:
            try:
                queries[line.number] = _query_of(line)
            except ProblemError as problem:
                errors[line.number] = _error_of(problem)
        answers: Mapping[int, Answer] = {}
        try:
            await self._pay(len(lines))
            answers = await self._answers(queries)
        except Exception as failure:  # the stream goes on, so these lines must say that they failed
            errors |= dict.fromkeys(queries, self._count_failure(failure))
        written = [
            FailedLine(line=number, error=errors[number])
            if number in errors
            else self._answered(number, queries[number], answers[number])
            for number in (line.number for line in lines)
        ]
        content = "".join(f"{line.model_dump_json()}\n" for line in written).encode()
        return WrittenChunk(content, list(answers.values()), errors=len(errors))

    async def _pay(self, lines: int) -> None:
        """Count lines, bad ones too, against the caller's rate; wait for it where it is too fast.

        Raises:
            RateLimitError: if the wait would take longer than a chunk may.
        """
        async with self._turn:  # so that a later chunk does not go first
            until = time.monotonic() + self._terms.seconds
            while True:
                try:
                    self._terms.serving.door.spend(self._terms.caller, lines)
                except RateLimitError as error:
                    if time.monotonic() + error.retry_after_seconds > until:
                        raise
                    await asyncio.sleep(error.retry_after_seconds)
                else:
                    return

    async def _answers(self, queries: Mapping[int, Query]) -> Mapping[int, Answer]:
        """Return the answer of each query, once there is room in the queue.

        Raises:
            DeadlineError: if that takes too long.
            StoppedError: if the service stops.
        """
        if not queries:
            return {}
        now = time.monotonic()
        call = Call(Lane.BULK, now, now + self._terms.seconds)
        step = FIRST_STEP_SECONDS
        while True:
            try:
                found = await self._ask(list(queries.values()), call)
            except BusyError as error:
                left = call.check("queue")
                await asyncio.sleep(min(step, error.retry_after_seconds, left))
                step *= 2
            else:
                self._terms.serving.metrics.time_stages(call.clock.seconds)
                return dict(zip(queries, found, strict=True))

    async def _ask(self, queries: Sequence[Query], call: Call) -> list[Answer]:
        terms = self._terms
        terms.serving.refuse_if_full(Lane.BULK)  # before the texts are tokenised in vain
        target = terms.target_precision
        threshold = terms.generation.thresholds[target]
        return await terms.serving.answering.recommend(
            [query.text for query in queries],
            generation=terms.generation,
            ask=RecommendAsk(terms.options.k, threshold, rules=terms.generation.rules[target]),
            call=call,
            target_precision=target,
            given=[query.given for query in queries],
        )

    def _count_failure(self, failure: Exception) -> LineError:
        problem = problem_of(self._terms.request, failure)
        count_error(self._terms.serving.metrics, failure, problem.code)
        if problem.code is Code.INTERNAL_ERROR:
            logger.error("lines of a stream failed", exc_info=failure)
        return _error_of(problem)

    def _answered(self, number: int, query: Query, answer: Answer) -> AnsweredLine:
        bundle = self._terms.generation.bundle
        result = result_of(
            query,
            answer,
            bundle.recommender.catalogue,
            target_precision=self._terms.target_precision,
            fields=self._terms.options.fields,
        )
        return AnsweredLine.of(number, bundle.manifest.bundle_id, result)


def _query_of(line: Line) -> Query:
    """Return the query on a line.

    Raises:
        ProblemError: if there is none.
    """
    if line.content is None:
        what = f"must have at most {MAX_LINE_BYTES} bytes"
        raise invalid_request([FieldError(where="line", what=what)])
    return parse_body(QueryLine, line.content, whole="line").root


def _error_of(problem: ProblemError) -> LineError:
    return LineError(code=problem.code, detail=problem.detail)
