"""Changes of many products in one body, a line each: a bad line harms no other."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.requests import Request

from service.batching.admission import BusyError
from service.batching.ticket import DeadlineError, StoppedError
from service.bodies import invalid_request, parse_body
from service.line_schemas import LineError
from service.problems import FieldError, ProblemError, problem_of
from service.product_changes import Changing, operation_of, problem_of_outcome
from service.product_schemas import (
    MAX_PRODUCT_BYTES,
    AnsweredChange,
    ChangeLine,
    DeleteLine,
    FailedChange,
    PutLine,
)
from service.products.change import WantedChange
from service.products.outcomes import Operation, Outcome

CHUNK_LINES = 128
"""So many are encoded, kept and served together."""
FIRST_STEP_SECONDS = 0.05
"""A chunk that the queue is too full for asks again after so long, then after twice that."""


@dataclass(frozen=True)
class ReadLines:
    """What the lines of a body ask for.

    Attributes:
        wanted: the changes, by the number of their line.
        superseded: of these, the lines whose product a later one has as well.
        failed: what is wrong with the other lines.
    """

    wanted: Mapping[int, WantedChange]
    superseded: frozenset[int]
    failed: Mapping[int, LineError]


def read_lines(body: bytes, changing: Changing) -> ReadLines:
    """Return what the lines of a body ask for; for a thread."""
    wanted: dict[int, WantedChange] = {}
    failed: dict[int, LineError] = {}
    for number, line in enumerate(body.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            wanted[number] = _wanted(line, changing)
        except ProblemError as problem:
            failed[number] = LineError(code=problem.code, detail=problem.detail)
    last = {one.product_id: number for number, one in wanted.items()}
    superseded = wanted.keys() - set(last.values())
    return ReadLines(wanted, frozenset(superseded), failed)


async def make_changes(lines: ReadLines, changing: Changing, request: Request) -> bytes:
    """Return what is said of each line, in order, once all are done with."""
    said: dict[int, AnsweredChange | FailedChange] = {
        number: FailedChange(line=number, outcome=Outcome.INVALID, error=error)
        for number, error in lines.failed.items()
    }
    for number in lines.superseded:
        said[number] = _answered(number, lines.wanted[number], Outcome.SUPERSEDED)
    _count_undone(lines, changing)
    numbers = [number for number in lines.wanted if number not in lines.superseded]
    for start in range(0, len(numbers), CHUNK_LINES):
        chunk = {number: lines.wanted[number] for number in numbers[start : start + CHUNK_LINES]}
        said |= await _made(chunk, changing, request)
    return "".join(f"{said[number].model_dump_json()}\n" for number in sorted(said)).encode()


async def _made(
    chunk: Mapping[int, WantedChange], changing: Changing, request: Request
) -> dict[int, AnsweredChange]:
    wanted = list(chunk.values())
    try:
        outcomes = await _when_there_is_room(wanted, changing)
    except (BusyError, DeadlineError, StoppedError) as error:
        problem = problem_of(request, error)
        why = LineError(code=problem.code, detail=problem.detail)
        for one in wanted:
            changing.serving.metrics.count_product_change(operation_of(one), Outcome.NOT_DONE)
        return {
            number: _answered(number, one, Outcome.NOT_DONE, why) for number, one in chunk.items()
        }
    return {
        number: _answered(number, one, outcome, _why(outcome))
        for (number, one), outcome in zip(chunk.items(), outcomes, strict=True)
    }


async def _when_there_is_room(wanted: Sequence[WantedChange], changing: Changing) -> list[Outcome]:
    """Return what became of changes, whose texts wait until the queue takes them.

    Raises:
        DeadlineError: if the call's time is over.
        StoppedError: if the service stops.
    """
    step = FIRST_STEP_SECONDS
    while True:
        try:
            return await changing.make(wanted)
        except BusyError as error:
            left = changing.call.check("queue")
            await asyncio.sleep(min(step, error.retry_after_seconds, left))
            step *= 2


def _wanted(line: bytes, changing: Changing) -> WantedChange:
    """Return the change that a line asks for.

    Raises:
        ProblemError: if there is none, or its product cannot be one of this catalogue.
    """
    if len(line) > MAX_PRODUCT_BYTES:
        what = f"must have at most {MAX_PRODUCT_BYTES} bytes"
        raise invalid_request([FieldError(where="line", what=what)])
    change: PutLine | DeleteLine = parse_body(ChangeLine, line, whole="line").root
    if isinstance(change, PutLine):
        changing.check(change)
    return change.wanted


def _answered(
    number: int, wanted: WantedChange, outcome: Outcome, error: LineError | None = None
) -> AnsweredChange:
    return AnsweredChange(
        line=number,
        op=operation_of(wanted),
        product_id=wanted.product_id,
        outcome=outcome,
        error=error,
    )


def _why(outcome: Outcome) -> LineError | None:
    problem = problem_of_outcome(outcome)
    return None if problem is None else LineError(code=problem.code, detail=problem.detail)


def _count_undone(lines: ReadLines, changing: Changing) -> None:
    """Count the lines that come to nothing; what a line that cannot be read wants is unknown."""
    count = changing.serving.metrics.count_product_change
    for _ in lines.failed:
        count(Operation.PUT, Outcome.INVALID)
    for number in lines.superseded:
        count(operation_of(lines.wanted[number]), Outcome.SUPERSEDED)
