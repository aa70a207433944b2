"""The promises of a bundle as people read them, and the one that a command was asked to use."""

from collections.abc import Generator
from typing import Any

import numpy as np

from service.contract.decision import Decision, decide
from service.contract.errors import ConfigError
from service.contract.manifest import FurtherPoint, Manifest
from service.contract.signals import IdentifierRule
from service.recommender import Rules
from training.console import table
from training.evaluation import JudgedQueries
from training.report import percent, ratio

HEAD = ("promised precision", "threshold", "calibration coverage", "lower bound")
HEAD_HERE = ("coverage here", "precision here")


def promise_asked_for(manifest: Manifest, target_precision: float | None) -> FurtherPoint:
    """Return the promise that ``--target-precision`` names; the default where it is left out.

    Raises:
        ConfigError: if the bundle was not built for this precision; it says for which it was.
    """
    try:
        return manifest.promise_at(target_precision)
    except KeyError as error:
        raise ConfigError(*error.args) from error


def promise_lines(
    manifest: Manifest, *, shown: float, judged: JudgedQueries | None = None
) -> Generator[str]:
    """Yield the sentence of one promise, the table of all, and why any other is missing.

    Args:
        manifest: what the bundle promises.
        shown: target precision of the promise whose sentence comes first.
        judged: answers to labelled queries; two columns say how each threshold fares on them.
    """
    promises = sorted(manifest.calibration.promises, key=lambda promise: promise.target_precision)
    yield manifest.promise_at(shown).explanation
    default = manifest.calibration.target_precision
    rows = [
        _row(
            promise,
            manifest.coverage_at(promise.target_precision),
            _reached(manifest, promise, judged),
            is_default=promise.target_precision == default,
        )
        for promise in promises
    ]
    yield from table(HEAD if judged is None else HEAD + HEAD_HERE, rows)
    for promise in promises:
        if promise.operating_point is None and promise.target_precision != shown:
            yield f"{percent(promise.target_precision)}: {promise.explanation}"


def accepted_counts(
    judged: JudgedQueries, threshold: float | None, *, rules: Rules | None = None
) -> dict[str, Any]:
    """Return what a threshold, and the rules for identifiers, accept of these queries.

    ``coverage`` is accepted / queries, None without queries; ``accepted_precision`` is the right
    share of the accepted, None where nothing was accepted.
    """
    is_accepted = np.array(
        [decide(s, threshold) is Decision.AUTO_ACCEPTED for s in judged.similarity], dtype=bool
    )
    for kind, rule in (rules or {}).items():
        if judged.named_by is not None:
            is_accepted[judged.named_by == kind.value] = rule is IdentifierRule.ACCEPTED
    accepted = int(is_accepted.sum())
    wrong = int((is_accepted & ~judged.is_correct).sum())
    return {
        "accepted": accepted,
        "wrong": wrong,
        "coverage": accepted / len(judged) if len(judged) else None,
        "accepted_precision": 1 - wrong / accepted if accepted else None,
    }


def _row(
    promise: FurtherPoint, coverage: float, reached: dict[str, Any] | None, *, is_default: bool
) -> list[str]:
    point = promise.operating_point
    row = [percent(promise.target_precision) + (" (default)" if is_default else "")]
    if point is None:
        row += ["none", ratio(coverage) if coverage else "-", "-"]
    else:
        row += [f"{point.threshold:.4f}", ratio(coverage), ratio(point.precision_lower_bound)]
    if reached is not None:
        row += [ratio(reached["coverage"]), ratio(reached["accepted_precision"])]
    return row


def _reached(
    manifest: Manifest, promise: FurtherPoint, judged: JudgedQueries | None
) -> dict[str, Any] | None:
    """Return what one promise accepts of these queries, where there are any."""
    if judged is None:
        return None
    target = promise.target_precision
    rules = manifest.rules_at(target)
    return accepted_counts(judged, manifest.threshold_at(target), rules=rules)
