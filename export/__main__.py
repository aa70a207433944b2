"""Commands after training: build a bundle, evaluate it, answer queries, compare two bundles."""

import argparse
import sys

from export.asked_queries import read_labelled_queries, warn_of_repeats, warn_of_strangers
from export.options import (
    STANDARD_TARGETS,
    add_build_options,
    add_compare_options,
    add_demo_options,
    add_evaluate_options,
    add_recommend_options,
)
from service.contract.errors import UsageError
from training.command import run_command, write_json
from training.console import say
from training.data.column_map import ColumnMap
from training.data.matches import LabelledQuery, Query, read_queries
from training.data.tables import suffix_of


def main() -> int:
    """Run the command line and return its exit code."""
    return run_command(_parser())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m export", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    build = commands.add_parser("build", help="checkpoint and catalogue to a sealed bundle")
    add_build_options(build)
    build.set_defaults(run=lambda arguments: _build(arguments, build))
    for name, run, add_options, what in (
        ("evaluate", _evaluate, add_evaluate_options, "figures of the served path"),
        ("recommend", _recommend, add_recommend_options, "the service's answers for a file"),
        ("compare", _compare, add_compare_options, "what another bundle would answer otherwise"),
        ("demo", _demo, add_demo_options, "the whole job: train, export, serve, ask"),
    ):
        command = commands.add_parser(name, help=what)
        add_options(command)
        command.set_defaults(run=run)
    return parser


def _build(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    files = (arguments.products, arguments.calibration, arguments.validation)
    if any(files) if arguments.data else not all(files[:2]):
        parser.error("give --data, or --products with --calibration [--validation]")
    from export.build import Promise, build_bundle  # noqa: PLC0415  # torch is slow to import
    from export.encoder_variants.exported import Precision  # noqa: PLC0415
    from export.encoder_variants.served_form import Wanted  # noqa: PLC0415
    from export.index_choice import IndexWish  # noqa: PLC0415
    from export.labelled_data import read_labelled_data  # noqa: PLC0415
    from export.promises import promise_lines  # noqa: PLC0415
    from export.signals import SignalOptions  # noqa: PLC0415
    from training.checkpoint import load_checkpoint  # noqa: PLC0415
    from training.cut import cut_checkpoint  # noqa: PLC0415

    checkpoint = cut_checkpoint(load_checkpoint(arguments.checkpoint), arguments.dim)
    products, sets = read_labelled_data(arguments, checkpoint)
    further = arguments.further_targets
    promise = Promise(
        arguments.target_precision,
        arguments.confidence,
        STANDARD_TARGETS if further is None else further,
    )
    index = IndexWish(
        None if arguments.index == "auto" else arguments.index,
        recall=arguments.recall,
        memory_bytes=arguments.index_memory,
        seed=arguments.seed,
    )
    signals = SignalOptions(arguments.identifiers, arguments.lexical, arguments.score)
    wanted = Wanted(Precision(arguments.precision))
    bundle = build_bundle(
        checkpoint,
        products,
        sets,
        arguments.out,
        promise=promise,
        index=index,
        signals=signals,
        wanted=wanted,
    )
    calibration = bundle.manifest.calibration
    say(f"bundle {bundle.manifest.bundle_id} written to {arguments.out}")
    for line in promise_lines(bundle.manifest, shown=calibration.target_precision):
        say(line)
    write_json(
        arguments.json,
        {"bundle_id": bundle.manifest.bundle_id, **calibration.model_dump(mode="json")},
    )


def _evaluate(arguments: argparse.Namespace) -> None:
    from export.evaluate import evaluate  # noqa: PLC0415  # slow to import
    from export.plot import draw_evaluation, picture_kind  # noqa: PLC0415
    from service.opening import open_recommender  # noqa: PLC0415

    if arguments.plot:
        picture_kind(arguments.plot)  # say now, not after the work, that it cannot be drawn
    column_map = ColumnMap.parse(arguments.map)
    queries = read_labelled_queries(arguments.matches, column_map, split=arguments.split)
    warn_of_repeats(queries)
    recommender, manifest = open_recommender(arguments.bundle)
    warn_of_strangers(queries, recommender.catalogue.product_ids)
    evaluation = evaluate(
        recommender,
        manifest,
        queries,
        baselines=arguments.baselines,
        target_precision=arguments.target_precision,
    )
    for line in (*evaluation.table(), *evaluation.promises()):
        say(line)
    write_json(arguments.json, evaluation.figures())
    if arguments.plot:
        draw_evaluation(evaluation, arguments.plot)
        say(f"plot written to {arguments.plot}")


def _recommend(arguments: argparse.Namespace) -> None:
    from export.promises import promise_asked_for  # noqa: PLC0415  # slow to import
    from export.recommend import recommend_file  # noqa: PLC0415
    from service.opening import open_recommender  # noqa: PLC0415

    column_map = ColumnMap.parse(arguments.map)
    queries = read_queries(arguments.queries, column_map)
    column_map.check_all_applied()
    recommender, manifest = open_recommender(arguments.bundle)
    target = promise_asked_for(manifest, arguments.target_precision).target_precision
    deciding = recommender.with_threshold(
        manifest.threshold_at(target), rules=manifest.rules_at(target)
    )
    answers = recommend_file(deciding, queries, arguments.out, k=arguments.k)
    accepted = sum(answer.decision == "auto_accepted" for answer in answers)
    say(f"{len(answers)} queries answered, {accepted} auto-accepted; written to {arguments.out}")
    coverage = accepted / len(answers) if answers else None
    write_json(
        arguments.json,
        {
            "queries": len(answers),
            "accepted": accepted,
            "coverage": coverage,
            "target_precision": target,
        },
    )


def _compare(arguments: argparse.Namespace) -> None:
    queries = _queries_to_compare(arguments)
    from export.changes import Side, compare  # noqa: PLC0415  # slow to import
    from export.compare import changed_lines, report, side_figures, write_changed  # noqa: PLC0415
    from service.opening import open_recommender  # noqa: PLC0415

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
