"""A pilot of labelled answers, from counts, from figures of an evaluation, or answer by answer."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from service.contract.decision import NEVER_ACCEPTED
from service.contract.errors import DataError
from training.data.tables import Table, read_table
from training.label_plan import Pilot

YES_OR_NO: Mapping[str, bool] = {"true": True, "1": True, "false": False, "0": False}
"""What the column ``is_correct`` may hold, in any case."""


def pilot_of_counts(queries: int, accepted: int, wrong: int) -> Pilot:
    """Return the pilot that knows what one threshold accepted.

    Raises:
        DataError: if the counts do not fit each other, or nothing was accepted.
    """
    if not 0 <= wrong <= accepted <= queries:
        message = (
            f"a pilot of {queries} queries, {accepted} accepted and {wrong} wrong cannot be; each "
            "number is at most the one before"
        )
        raise DataError(message)
    if not accepted:
        message = "a pilot that accepted nothing tells nothing of the precision; give --answers"
        raise DataError(message)
    return Pilot(queries, [(accepted, wrong)])


def pilot_of_figures(path: Path) -> Pilot:
    """Return the pilot of the figures that `python -m export evaluate --json` writes.

    Raises:
        DataError: if they lack a count, or nothing was accepted.
    """
    try:
        figures: Any = json.loads(path.read_bytes())
        queries, accepted = int(figures["queries"]), int(figures["accepted"])
        precision = float(figures["accepted_precision"]) if accepted else 1.0
        wrong = round(accepted * (1 - precision))
    except OSError as error:
        message = f"{path} cannot be read ({error.strerror}); name a file that can be read"
        raise DataError(message) from error
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        message = (
            f"{path} holds no queries, accepted and accepted_precision ({type(error).__name__}: "
            f"{error}); give what `python -m export evaluate --json` wrote"
        )
        raise DataError(message) from error
    try:
        return pilot_of_counts(queries, accepted, wrong)
    except DataError as error:
        message = f"{path}: {error}"
        raise DataError(message) from error


def pilot_of_answers(path: Path) -> Pilot:
    """Return the pilot of a table of answers, of which those of rank 1 count.

    Columns: ``similarity`` (empty where a query has no answer) and ``is_correct``; optional
    ``rank`` and ``reason`` as `python -m export recommend` writes them.

    Raises:
        DataError: if it is no such table; it names file, row and column.
    """
    answers = read_table(path)
    answers.require("similarity", "is_correct")
    ranks, reasons = answers.optional("rank"), answers.optional("reason")
    rows = [row for row, rank in enumerate(ranks) if rank.strip() in ("", "1")]
    if not rows:
        message = f"{path} holds no answer; give at least one row"
        raise DataError(message)
    similarity = [
        math.nan if reasons[row].strip() in NEVER_ACCEPTED else _similarity(answers, row)
        for row in rows
    ]
    is_correct = [_is_correct(answers, row) for row in rows]
    return Pilot.of_answers(np.array(similarity), np.array(is_correct))


def _similarity(answers: Table, row: int) -> float:
    written = answers.columns["similarity"][row].strip()
    try:
        similarity = float(written or "nan")
    except ValueError:
        similarity = math.inf
    if math.isinf(similarity) or (written and math.isnan(similarity)):
        raise answers.error(row, "similarity", f"{written!r} is no number; write one or nothing")
    return similarity


def _is_correct(answers: Table, row: int) -> bool:
    written = answers.columns["is_correct"][row].strip().lower()
    if not written and not answers.columns["similarity"][row].strip():
        return False  # a query without an answer, which nobody can call right
    if written not in YES_OR_NO:
        raise answers.error(row, "is_correct", f"{written!r} is unknown; write true or false")
    return YES_OR_NO[written]
