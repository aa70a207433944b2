"""Offline commands: prepare a data folder, fit an encoder, evaluate it before export."""

import argparse
import sys
from pathlib import Path

from service.contract.errors import DataError
from training import labels_needed
from training.command import add_dim, add_json, add_map, run_command, write_json
from training.config import load_config
from training.console import complain, say
from training.data import prepare
from training.data.column_map import ColumnMap
from training.data.folders import DataFolder, read_data_folder
from training.data.matches import SPLITS
from training.report import consistency_line, ranking_table, retrieval_table
from training.rules import DEEP, Propensity
from training.study import command as study


def main() -> int:
    """Run the command line and return its exit code."""
    return run_command(_parser())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_prepare(commands.add_parser("prepare", help="make a data folder from a known source"))
    _add_fit(commands.add_parser("fit", help="train an encoder; resumes where it stopped"))
    _add_evaluate(commands.add_parser("evaluate", help="retrieval figures before export"))
    labels_needed.add_arguments(
        commands.add_parser("labels-needed", help="how many calibration labels a promise needs")
    )
    study.add_arguments(commands.add_parser("study", help="many runs, one table; resumes"))
    return parser


def _add_prepare(parser: argparse.ArgumentParser) -> None:
    prepare.add_arguments(parser)
    parser.set_defaults(run=prepare.run)


def _add_fit(parser: argparse.ArgumentParser) -> None:
    _add_data(parser)
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="CHECKPOINT",
        help="a new folder, or that of an interrupted run to go on with",
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="TOML with the settings to change; without it the recommended recipe",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="overrides",
        metavar="section.key=value",
        help="change one setting, for example run.epochs=8; may be repeated",
    )
    add_json(parser)
    parser.set_defaults(run=_fit)


def _add_evaluate(parser: argparse.ArgumentParser) -> None:
    _add_data(parser)
    parser.add_argument(
        "--checkpoint",
        type=Path,
        required=True,
        metavar="CHECKPOINT",
        help="folder that `fit` wrote",
    )
    parser.add_argument("--split", choices=SPLITS, default="test", help="default: test")
    parser.add_argument(
        "--propensity",
        default="0.55,1.5",
        metavar="A,B",
        help="of the propensity-scored precision; default: %(default)s; LF-AmazonTitles: 0.6,2.6",
    )
    add_dim(parser)
    add_json(parser)
    parser.set_defaults(run=_evaluate)


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DATA", help="folder with products and matches"
    )
    add_map(parser)


def _read_data(arguments: argparse.Namespace) -> DataFolder:
    return read_data_folder(arguments.data, ColumnMap.parse(arguments.map))


def _fit(arguments: argparse.Namespace) -> None:
    config = load_config(arguments.config, arguments.overrides)
    data = _read_data(arguments)
    from training.checkpoint import LOG  # noqa: PLC0415
    from training.loop import fit  # noqa: PLC0415  # torch takes seconds to import, --help none
    from training.run_log import last_figures  # noqa: PLC0415

    fit(config, data, arguments.out)
    write_json(arguments.json, last_figures(arguments.out / LOG))


def _evaluate(arguments: argparse.Namespace) -> None:
    from training.checkpoint import load_checkpoint  # noqa: PLC0415
    from training.comparison import TRAINED, compare  # noqa: PLC0415
    from training.cut import cut_checkpoint  # noqa: PLC0415

    propensity = Propensity.parse(arguments.propensity)
    data = _read_data(arguments)
    checkpoint = cut_checkpoint(load_checkpoint(arguments.checkpoint), arguments.dim)
    queries = data.split(arguments.split)
    if not queries:
        message = f"{arguments.data} has no query with split {arguments.split}; choose another"
        raise DataError(message)
    trained = sum(checkpoint.trained_on(query.text) for query in queries)
    if trained:
        complain(f"note: the encoder was trained on {trained} of these {len(queries)} queries")
    systems = compare(checkpoint, data, queries, propensity=propensity, depth=DEEP)
    for line in (*retrieval_table(systems), "", *ranking_table(systems), ""):
        say(line)
    say("oracle coverage: threshold chosen on these very queries, an upper bound, no promise")
    say(consistency_line(systems[TRAINED]["all"]["opis"]))
    write_json(arguments.json, {"split": arguments.split, "systems": systems})


if __name__ == "__main__":
    sys.exit(main())
