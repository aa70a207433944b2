"""The command `study`: a file of recipes in, a table, figures and pictures out."""

import argparse
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from service.contract.errors import DataError, SurematchError
from training.command import add_json, add_map, write_json
from training.console import complain, progress, say
from training.data.column_map import ColumnMap
from training.data.folders import DataFolder, read_data_folder
from training.data.table_writer import write_bytes
from training.study.jobs import Job, StudyData, jobs_of
from training.study.plan import Study, load_study
from training.study.processes import Children, Slot, share_cores
from training.study.report import markdown, run_line
from training.study.results import StudyResults
from training.study.schedule import Ended, carry_out

TABLE = "study.md"
FIGURES = "study.json"


class StudyFailedError(SurematchError):
    """Some runs of a study failed; the others are in its table."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``python -m training study`` and what runs it."""
    parser.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="TOML that says what to compare"
    )
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DATA", help="folder with products and matches"
    )
    add_map(parser)
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="a new folder, or that of an interrupted study to go on with",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="overrides",
        metavar="section.key=value",
        help="change a setting of every run, or of the study, as study.seeds=[0]; may be repeated",
    )
    parser.add_argument(
        "--jobs", type=_count, default=1, metavar="N", help="runs at once; default 1"
    )
    parser.add_argument(
        "--threads", type=_count, metavar="N", help="threads of each run; default cores / jobs"
    )
    add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Carry a study out; what is done already is not done again.

    Raises:
        StudyFailedError: if a run failed, after all others are done.
    """
    study = load_study(arguments.config, arguments.overrides)
    slots = share_cores(arguments.jobs, arguments.threads)
    data = read_data_folder(arguments.data, ColumnMap.parse(arguments.map))
    _check_splits(data)
    told = StudyData(arguments.data, data.digest(), arguments.map)
    jobs = jobs_of(study, told, arguments.out)
    results = StudyResults(study.section, str(data.path), told.digest, len(study.runs))
    _carry_out_all(study, jobs, slots, results, arguments.out)
    _draw(results, arguments.out)
    write_json(arguments.json, results.figures())
    say(f"\nfigures and pictures in {arguments.out}")
    if results.failures:
        message = (
            f"{len(results.failures)} of {len(jobs)} jobs failed (see {arguments.out / TABLE}); "
            "the same command tries them again"
        )
        raise StudyFailedError(message)


def _carry_out_all(
    study: Study, jobs: Sequence[Job], slots: Sequence[Slot], results: StudyResults, out: Path
) -> None:
    done_before = 0
    with (
        progress(len(jobs), study.section.name, unit="jobs") as shown,
        closing(carry_out(jobs, slots, Children())) as all_ended,
    ):
        for ended in all_ended:
            _note(ended, results)
            _write(results, out)
            if ended.is_new:
                shown.advance(1)
            else:
                done_before += 1
                shown.resume_at(done_before)
    say()
    for line in markdown(results).splitlines():
        say(line)


def _note(ended: Ended, results: StudyResults) -> None:
    name = ended.job.name
    if ended.figures is None:
        results.failures[name] = str(ended.error)
        complain(f"{name} failed: {ended.error}; see {ended.job.folder}")
        return
    results.add(ended.figures)
    say(run_line(name, ended.figures) + ("" if ended.is_new else " (done before)"))


def _write(results: StudyResults, out: Path) -> None:
    """Write what is known so far, so that a long study can be looked at on the way."""
    write_bytes(out / TABLE, markdown(results).encode())
    write_json(out / FIGURES, results.figures())


def _draw(results: StudyResults, out: Path) -> None:
    from training.study.plots import draw_study  # noqa: PLC0415  # not for --help

    draw_study(results, out)


def _check_splits(data: DataFolder) -> None:
    for split in ("train", "validation", "calibration", "test"):
        if not data.split(split):
            message = f"{data.path} has no query with split {split}; a study needs all four"
            raise DataError(message)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        message = f"{text!r} is no whole number from 1"
        raise argparse.ArgumentTypeError(message)
    return int(text)
