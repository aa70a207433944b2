"""Commands after training: build a bundle, evaluate it, answer a file of queries."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from service.contract.errors import DataError
from training.command import add_json, run_command, write_json
from training.console import complain, say
from training.data.column_map import ColumnMap
from training.data.matches import SPLITS, LabelledQuery, read_matches, read_queries


def main() -> int:
    """Run the command line and return its exit code."""
    return run_command(_parser())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m export", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_build(commands.add_parser("build", help="checkpoint and catalogue to a sealed bundle"))
    _add_evaluate(commands.add_parser("evaluate", help="figures of the served path"))
    _add_recommend(commands.add_parser("recommend", help="the service's answers for a file"))
    _add_demo(commands.add_parser("demo", help="the whole job: train, export, serve, ask"))
    return parser


def _add_build(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--checkpoint", type=Path, required=True, metavar="CHECKPOINT")
    parser.add_argument("--data", type=Path, metavar="DATA", help="data folder with splits")
    parser.add_argument("--products", type=Path, metavar="FILE", help="catalogue, without --data")
    parser.add_argument("--calibration", type=Path, metavar="FILE", help="labelled queries")
    parser.add_argument(
        "--validation",
        type=Path,
        metavar="FILE",
        help="labelled queries that give the thresholds to try; without it a seeded part of the "
        "calibration queries is set aside",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="BUNDLE")
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
    _add_map(parser)
    add_json(parser)
    parser.set_defaults(run=lambda arguments: _build(arguments, parser))


def _add_evaluate(parser: argparse.ArgumentParser) -> None:
    _add_bundle(parser)
    parser.add_argument("--matches", type=Path, required=True, metavar="FILE")
    parser.add_argument("--split", choices=SPLITS, help="only rows of this split; default: all")
    parser.add_argument(
        "--baselines",
        nargs="*",
        choices=("tfidf", "untrained"),
        default=["tfidf"],
        help="rows to set beside the bundle's; default tfidf",
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the curves to a PNG")
    _add_map(parser)
    add_json(parser)
    parser.set_defaults(run=_evaluate)


def _add_recommend(parser: argparse.ArgumentParser) -> None:
    _add_bundle(parser)
    parser.add_argument("--queries", type=Path, required=True, metavar="FILE")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    parser.add_argument("-k", type=_k, default=5, help="products a query, 1 to 100; default 5")
    _add_map(parser)
    add_json(parser)
    parser.set_defaults(run=_recommend)


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, metavar="DATA", help="a data folder of your own")
    parser.add_argument(
        "--work", type=Path, default=Path(".demo"), metavar="FOLDER", help="default .demo"
    )
    parser.set_defaults(run=_demo)


def _add_bundle(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bundle", type=Path, required=True, metavar="BUNDLE")


def _add_map(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="COLUMN=SOURCE[,SOURCE...]",
        help="rename or join columns, for example title=brand,name; may be repeated",
    )


def _share(text: str) -> float:
    value = float(text)
    if not 0 < value < 1:
        message = f"{text} is not between 0 and 1"
        raise argparse.ArgumentTypeError(message)
    return value


def _k(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 100:  # noqa: PLR2004  # the range of the REST interface
        message = f"{text} is not between 1 and 100"
        raise argparse.ArgumentTypeError(message)
    return value


def _build(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    files = arguments.products and arguments.calibration
    if bool(arguments.data) == bool(files) or (arguments.data and arguments.validation):
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
    from export.plot import draw_evaluation  # noqa: PLC0415
    from service.recommender import open_recommender  # noqa: PLC0415

    queries = _labelled_queries(arguments)
    recommender, manifest = open_recommender(arguments.bundle)
    _warn_of_strangers(queries, recommender.catalogue.product_ids)
    evaluation = evaluate(recommender, manifest, queries, baselines=arguments.baselines)
    for line in evaluation.table():
        say(line)
    say(manifest.calibration.explanation)
    write_json(arguments.json, evaluation.figures())
    if arguments.plot:
        draw_evaluation(evaluation, arguments.plot)
        say(f"plot written to {arguments.plot}")


def _labelled_queries(arguments: argparse.Namespace) -> list[LabelledQuery]:
    column_map = ColumnMap.parse(arguments.map)
    queries = read_matches(arguments.matches, column_map)
    column_map.check_all_applied()
    if arguments.split:
        queries = [query for query in queries if query.split == arguments.split]
    elif trained := sum(query.split == "train" for query in queries):
        complain(f"note: {trained} of {len(queries)} queries are training queries; see --split")
    if not queries:
        of_split = f" with split {arguments.split}" if arguments.split else ""
        message = f"{arguments.matches} holds no query{of_split}; give labelled queries"
        raise DataError(message)
    return queries


def _warn_of_strangers(queries: Sequence[LabelledQuery], product_ids: Sequence[str]) -> None:
    known = set(product_ids)
    strangers = sum(not known.issuperset(query.positives) for query in queries)
    if strangers:
        complain(
            f"note: {strangers} queries name a product that is not in the bundle's catalogue; "
            "such a product cannot be found and counts as missed"
        )


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


def _demo(arguments: argparse.Namespace) -> None:
    from export.demo import run_demo  # noqa: PLC0415  # slow to import

    run_demo(arguments.work, data=arguments.data)


if __name__ == "__main__":
    sys.exit(main())
