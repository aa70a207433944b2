"""Says how many calibration labels a promise needs: the command ``labels-needed``."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from service.contract.errors import DataError, UsageError
from training.command import add_json, write_json
from training.console import say, table
from training.report import percent

if TYPE_CHECKING:
    from training.label_plan import Pilot

TARGETS = (0.90, 0.95, 0.98, 0.99)
"""Precisions that are planned for where none is asked for."""

HEAD = ("promise", "labels", "of them accepted", "coverage", "precision", "least, none wrong")


@dataclass(frozen=True)
class Need:
    """What one promise needs; no ``queries`` where the pilot shows no way to keep it.

    Attributes:
        target_precision: the precision to promise.
        queries: calibration queries to label.
        accepted: how many of them must be accepted.
        coverage: share that is expected to be accepted.
        precision: precision that is expected of the accepted.
        zero_error_minimum: accepted queries needed even if none is wrong.
        why_not: why there is no number, and what would help.
    """

    target_precision: float
    queries: int | None
    accepted: int | None
    coverage: float | None
    precision: float | None
    zero_error_minimum: int | None
    why_not: str | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    pilot = parser.add_argument_group("the pilot, one of three")
    for name, what in (
        ("queries", "labelled queries asked"),
        ("accepted", "how many of them the threshold accepted"),
        ("wrong", "how many of the accepted were wrong"),
    ):
        pilot.add_argument(f"--pilot-{name}", type=int, metavar="N", help=what)
    pilot.add_argument(
        "--figures", type=Path, metavar="FILE", help="what `python -m export evaluate --json` wrote"
    )
    pilot.add_argument(
        "--answers",
        type=Path,
        metavar="FILE",
        help="a table with similarity and is_correct (true, false) of each query's best product, "
        "such as the answers of `python -m export recommend` with a column added; tells the most",
    )
    parser.add_argument(
        "--target-precision",
        type=float,
        metavar="SHARE",
        help=f"precision to promise; default: each of {', '.join(map(str, TARGETS))}",
    )
    parser.add_argument(
        "--confidence", type=float, default=0.95, metavar="SHARE", help="of it; default 0.95"
    )
    parser.add_argument(
        "--power",
        type=float,
        default=0.8,
        metavar="SHARE",
        help="probability that so many labels are enough; default 0.8",
    )
    add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run the command and say what each promise needs.

    Raises:
        DataError: if a file is wrong.
        UsageError: if an option is out of its range, or not exactly one pilot is given.
    """
    _check_shares(arguments)
    demands = {"confidence": arguments.confidence, "power": arguments.power}
    asked = arguments.target_precision
    pilot = _read_pilot(arguments)
    needs = [
        labels_needed(pilot, target_precision=target, **demands)
        for target in (TARGETS if asked is None else (asked,))
    ]
    for line in _lines(pilot, needs, **demands):
        say(line)
    plans = list(map(asdict, needs))
    write_json(arguments.json, {**demands, "pilot_queries": pilot.queries, "plans": plans})


def labels_needed(
    pilot: "Pilot", *, target_precision: float, confidence: float, power: float
) -> Need:
    """Return what a promise needs, judged from a pilot."""
    from training.label_plan import accepted_needed  # noqa: PLC0415  # scipy is slow to import

    least = accepted_needed(1.0, target_precision=target_precision, confidence=confidence)
    plan = pilot.plan(target_precision=target_precision, confidence=confidence, power=power)
    if plan is None:
        why = _why_not(pilot, target_precision, least)
        return Need(target_precision, None, None, None, None, least, why)
    return Need(target_precision, **asdict(plan), zero_error_minimum=least, why_not=None)


def _check_shares(arguments: argparse.Namespace) -> None:
    for name in ("target_precision", "confidence", "power"):
        share = getattr(arguments, name)
        if share is not None and not 0 < share < 1:
            option = f"--{name.replace('_', '-')}"
            message = f"{option} {share} is not between 0 and 1; write a share such as 0.95"
            raise UsageError(message)


def _why_not(pilot: "Pilot", target: float, least: int | None) -> str:
    from training.label_plan import MOST_ACCEPTED, estimated_precision  # noqa: PLC0415

    if least is None:
        return f"more than {MOST_ACCEPTED} accepted queries are needed even if none is wrong"
    if not pilot.counts:
        return "no answer of the pilot can be accepted; label queries that have one"
    best = max(estimated_precision(*counts) for counts in pilot.counts)
    if best > target:
        return (
            f"{best:.2%} is so close to the target that more than {MOST_ACCEPTED} accepted "
            "queries are needed; train a better encoder or promise less"
        )
    most = max(accepted for accepted, _ in pilot.counts)
    if most < least and any(1 - wrong / accepted > target for accepted, wrong in pilot.counts):
        return (
            f"a pilot with {most} accepted queries is too small to tell; label until at least "
            f"{least} are accepted, then ask again"
        )
    return (
        f"the best precision that the pilot shows, {best:.1%}, is not above the target, so more "
        "labels would not help; train a better encoder, accept less or promise less"
    )


def _lines(
    pilot: "Pilot", needs: Sequence[Need], *, confidence: float, power: float
) -> Sequence[str]:
    known = f"{len(pilot.counts)} thresholds"
    if len(pilot.counts) == 1:
        known = "{} accepted, {} of them wrong".format(*pilot.counts[0])
    why_not = [
        f"{percent(need.target_precision)}: {need.why_not}"
        for need in needs
        if need.why_not is not None
    ]
    return [
        f"pilot: {pilot.queries} queries, {known}",
        f"calibration labels that are enough with {percent(power)} probability, for a promise "
        f"with {percent(confidence)} confidence:",
        *table(HEAD, list(map(_row, needs))),
        *why_not,
        "precision is estimated as if half an answer more were wrong; the validation queries, "
        "which give the thresholds to try, come on top",
    ]


def _row(need: Need) -> list[str]:
    least = "-" if need.zero_error_minimum is None else str(need.zero_error_minimum)
    target = percent(need.target_precision)
    if need.coverage is None or need.precision is None:
        return [target, "out of reach", "-", "-", "-", least]
    expected = [f"{need.coverage:.1%}", f"{need.precision:.1%}"]
    return [target, str(need.queries), str(need.accepted), *expected, least]


def _read_pilot(arguments: argparse.Namespace) -> "Pilot":
    """Return the one pilot that is given."""
    from training.pilots import pilot_of_answers, pilot_of_counts, pilot_of_figures  # noqa: PLC0415

    counts = (arguments.pilot_queries, arguments.pilot_accepted, arguments.pilot_wrong)
    given = [any(n is not None for n in counts), bool(arguments.figures), bool(arguments.answers)]
    if sum(given) != 1 or (given[0] and None in counts):
        message = (
            "give one pilot: --pilot-queries, --pilot-accepted and --pilot-wrong, "
            "or --figures FILE, or --answers FILE"
        )
        raise UsageError(message)
    if arguments.figures:
        return pilot_of_figures(arguments.figures)
    if arguments.answers:
        return pilot_of_answers(arguments.answers)
    try:
        return pilot_of_counts(*counts)
    except DataError as error:  # here the counts are options
        raise UsageError(str(error)) from error
