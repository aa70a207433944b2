"""Commands after training: build a bundle, evaluate it, answer queries, compare two bundles."""

import argparse
import math
import sys
from pathlib import Path

from export.asked_queries import read_labelled_queries, warn_of_repeats, warn_of_strangers
from service.contract.errors import UsageError
from training.command import add_json, add_map, run_command, write_json
from training.console import say
from training.data.column_map import ColumnMap
from training.data.matches import SPLITS, LabelledQuery, Query, read_queries
from training.data.tables import suffix_of


def main() -> int:
    """Run the command line and return its exit code."""
    return run_command(_parser())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m export", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_build(commands.add_parser("build", help="checkpoint and catalogue to a sealed bundle"))
    _add_evaluate(commands.add_parser("evaluate", help="figures of the served path"))
    _add_recommend(commands.add_parser("recommend", help="the service's answers for a file"))
    _add_compare(commands.add_parser("compare", help="what another bundle would answer otherwise"))
    _add_demo(commands.add_parser("demo", help="the whole job: train, export, serve, ask"))
    return parser


def _add_build(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--checkpoint",
        type=Path,
        required=True,
        metavar="CHECKPOINT",
        help="folder that `python -m training fit` wrote",
    )
    parser.add_argument(
        "--data", type=Path, metavar="DATA", help="data folder with products and matches in splits"
    )
    parser.add_argument(
        "--products", type=Path, metavar="FILE", help="in place of --data: the catalogue"
    )
    parser.add_argument(
        "--calibration",
        type=Path,
        metavar="FILE",
        help="in place of --data: the labelled queries that the promise is made from",
    )
    parser.add_argument(
        "--validation",
        type=Path,
        metavar="FILE",
        help="labelled queries that give the thresholds to try; without it a seeded part of the "
        "calibration queries is set aside",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="BUNDLE", help="a new folder for the bundle"
    )
    parser.add_argument(
        "--target-precision",
        type=_share,
        default=0.95,
        metavar="SHARE",
        help="precision to promise among accepted answers; default 0.95",
    )
    parser.add_argument(
        "--confidence",
        type=_share,
        default=0.95,
        metavar="SHARE",
        help="confidence of that promise; default 0.95",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the part set aside; default 0")
    add_map(parser)
    add_json(parser)
    parser.set_defaults(run=lambda arguments: _build(arguments, parser))


def _add_evaluate(parser: argparse.ArgumentParser) -> None:
    _add_bundle(parser)
    parser.add_argument(
        "--matches", type=Path, required=True, metavar="FILE", help="labelled queries"
    )
    parser.add_argument("--split", choices=SPLITS, help="only rows of this split; default: all")
    parser.add_argument(
        "--baselines",
        nargs="*",
        choices=("tfidf", "bm25", "untrained"),
        default=["tfidf"],
        help="rows to set beside the bundle's, none if empty; default tfidf",
    )
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw the curves to a .png, .svg or .pdf"
    )
    add_map(parser)
    add_json(parser)
    parser.set_defaults(run=_evaluate)


def _add_recommend(parser: argparse.ArgumentParser) -> None:
    _add_bundle(parser)
    parser.add_argument(
        "--queries", type=Path, required=True, metavar="FILE", help="columns query_id and text"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="answers; its suffix says the kind"
    )
    parser.add_argument("-k", type=_k, default=5, help="products a query, 1 to 100; default 5")
    add_map(parser)
    add_json(parser)
    parser.set_defaults(run=_recommend)


def _add_compare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--bundle",
        type=Path,
        action="append",
        default=[],
        dest="bundles",
        metavar="BUNDLE",
        help="given twice: bundle A that answers now, then bundle B that would replace it",
    )
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument("--queries", type=Path, metavar="FILE", help="columns query_id and text")
    asked.add_argument(
        "--matches",
        type=Path,
        metavar="FILE",
        help="in place of --queries: labelled queries, which tell better from worse",
    )
    parser.add_argument("--split", choices=SPLITS, help="of --matches: only rows of this split")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="every changed query; its suffix says the kind"
    )
    add_map(parser)
    add_json(parser)
    parser.set_defaults(run=_compare)


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, metavar="DATA", help="a data folder of your own")
    parser.add_argument(
        "--work", type=Path, default=Path(".demo"), metavar="FOLDER", help="default .demo"
    )
    parser.set_defaults(run=_demo)


def _add_bundle(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--bundle",
        type=Path,
        required=True,
        metavar="BUNDLE",
        help="folder that `python -m export build` wrote",
    )


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < 1:
        message = f"{text} is not between 0 and 1, for example 0.95"
        raise argparse.ArgumentTypeError(message)
    return value


def _k(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 100:  # noqa: PLR2004  # as in the REST interface
        message = f"{text} is not a whole number from 1 to 100"
        raise argparse.ArgumentTypeError(message)
    return int(text)


def _build(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    files = (arguments.products, arguments.calibration, arguments.validation)
    if any(files) if arguments.data else not all(files[:2]):
        parser.error("give --data, or --products with --calibration [--validation]")
    from export.build import Promise, build_bundle  # noqa: PLC0415  # torch is slow to import
    from export.labelled_data import read_labelled_data  # noqa: PLC0415
    from training.checkpoint import load_checkpoint  # noqa: PLC0415

    checkpoint = load_checkpoint(arguments.checkpoint)
    products, sets = read_labelled_data(arguments, checkpoint)
    promise = Promise(arguments.target_precision, arguments.confidence)
    bundle = build_bundle(checkpoint, products, sets, arguments.out, promise=promise)
    calibration = bundle.manifest.calibration
    say(f"bundle {bundle.manifest.bundle_id} written to {arguments.out}")
    say(calibration.explanation)
    write_json(
        arguments.json,
        {"bundle_id": bundle.manifest.bundle_id, **calibration.model_dump(mode="json")},
    )


def _evaluate(arguments: argparse.Namespace) -> None:
    from export.evaluate import evaluate  # noqa: PLC0415  # slow to import
    from export.plot import draw_evaluation, picture_kind  # noqa: PLC0415
    from service.recommender import open_recommender  # noqa: PLC0415

    if arguments.plot:
        picture_kind(arguments.plot)  # say now, not after the work, that it cannot be drawn
    column_map = ColumnMap.parse(arguments.map)
    queries = read_labelled_queries(arguments.matches, column_map, split=arguments.split)
    warn_of_repeats(queries)
    recommender, manifest = open_recommender(arguments.bundle)
    warn_of_strangers(queries, recommender.catalogue.product_ids)
    evaluation = evaluate(recommender, manifest, queries, baselines=arguments.baselines)
    for line in evaluation.table():
        say(line)
    say(manifest.calibration.explanation)
    write_json(arguments.json, evaluation.figures())
    if arguments.plot:
        draw_evaluation(evaluation, arguments.plot)
        say(f"plot written to {arguments.plot}")


def _recommend(arguments: argparse.Namespace) -> None:
    from export.recommend import recommend_file  # noqa: PLC0415  # slow to import
    from service.recommender import open_recommender  # noqa: PLC0415

    column_map = ColumnMap.parse(arguments.map)
    queries = read_queries(arguments.queries, column_map)
    column_map.check_all_applied()
    recommender, _ = open_recommender(arguments.bundle)
    answers = recommend_file(recommender, queries, arguments.out, k=arguments.k)
    accepted = sum(answer.decision == "auto_accepted" for answer in answers)
    say(f"{len(answers)} queries answered, {accepted} auto-accepted; written to {arguments.out}")
    coverage = accepted / len(answers) if answers else None
    write_json(
        arguments.json, {"queries": len(answers), "accepted": accepted, "coverage": coverage}
    )


def _compare(arguments: argparse.Namespace) -> None:
    queries = _queries_to_compare(arguments)
    from export.changes import Side, compare  # noqa: PLC0415  # slow to import
    from export.compare import changed_lines, report, side_figures, write_changed  # noqa: PLC0415
    from service.recommender import open_recommender  # noqa: PLC0415

    a, b = (Side(*open_recommender(folder)) for folder in arguments.bundles)
    labelled = [query for query in queries if isinstance(query, LabelledQuery)]
    for name, side in (("A", a), ("B", b)):
        catalogue = f"the catalogue of bundle {name}"
        warn_of_strangers(labelled, side.product_ids, catalogue=catalogue)
    comparison = compare(a, b, queries)
    if arguments.out:
        write_changed(arguments.out, comparison, with_labels=bool(labelled))
    for line in (*report(a, b, comparison), *changed_lines(comparison, arguments.out)):
        say(line)
    sides = {"bundle_a": side_figures(a), "bundle_b": side_figures(b)}
    write_json(arguments.json, {**sides, **comparison.figures()})


def _queries_to_compare(arguments: argparse.Namespace) -> list[Query] | list[LabelledQuery]:
    """Say now, not after the work, what is wrong with the options; return the queries."""
    if len(arguments.bundles) != 2:  # noqa: PLR2004
        found = len(arguments.bundles)
        message = f"two bundles are needed, --bundle names {found}; write --bundle A --bundle B"
        raise UsageError(message)
    if arguments.split and arguments.queries:
        message = "--split means nothing for --queries; leave it out, or give --matches"
        raise UsageError(message)
    if arguments.out:
        suffix_of(arguments.out)
    column_map = ColumnMap.parse(arguments.map)
    if arguments.matches:
        return read_labelled_queries(arguments.matches, column_map, split=arguments.split)
    queries = read_queries(arguments.queries, column_map)
    column_map.check_all_applied()
    return queries


def _demo(arguments: argparse.Namespace) -> None:
    from export.demo import run_demo  # noqa: PLC0415  # slow to import

    run_demo(arguments.work, data=arguments.data)


if __name__ == "__main__":
    sys.exit(main())
