"""The options of each command, read without loading anything heavy."""

import argparse
import math
from pathlib import Path

from export.index_options import add_index
from export.signal_options import add_signals
from training.command import add_dim, add_json, add_map
from training.data.matches import SPLITS

PRECISIONS = ("auto", "fp32", "fp16", "int8")
STANDARD_TARGETS = (0.90, 0.95, 0.98)
"""Precisions that a bundle promises, as far as its calibration queries allow, unless told else."""


def add_build_options(parser: argparse.ArgumentParser) -> None:
    """Add what `export build` takes."""
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
        help="precision to promise among accepted answers by default; default 0.95",
    )
    parser.add_argument(
        "--further-targets",
        type=_targets,
        action="extend",
        metavar="SHARES",
        help="precisions to promise as well, each by a threshold of its own that a caller may ask "
        "for: a comma list, may be repeated, or none; default those of 0.9, 0.95 and 0.98 that "
        "are not --target-precision; one that cannot be promised is recorded with the reason",
    )
    parser.add_argument(
        "--confidence",
        type=_share,
        default=0.95,
        metavar="SHARE",
        help="confidence of each promise by itself, not of all of them together; default 0.95",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of all that is drawn by chance; default 0"
    )
    add_index(parser)
    add_dim(parser)
    add_signals(parser)
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="fp32",
        help="numbers of the encoder: int8 for CPUs, fp16 for CUDA, each refused where its answers "
        "to the validation queries differ from fp32's; auto: int8 where it passes and pays, else "
        "fp32; default fp32",
    )
    add_map(parser)
    add_json(parser)


def add_evaluate_options(parser: argparse.ArgumentParser) -> None:
    """Add what `export evaluate` takes."""
    _add_bundle(parser)
    _add_target(parser)
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


def add_recommend_options(parser: argparse.ArgumentParser) -> None:
    """Add what `export recommend` takes."""
    _add_bundle(parser)
    _add_target(parser)
    parser.add_argument(
        "--queries", type=Path, required=True, metavar="FILE", help="columns query_id and text"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="answers; its suffix says the kind"
    )
    parser.add_argument("-k", type=_k, default=5, help="products a query, 1 to 100; default 5")
    add_map(parser)
    add_json(parser)


def add_compare_options(parser: argparse.ArgumentParser) -> None:
    """Add what `export compare` takes."""
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


def add_demo_options(parser: argparse.ArgumentParser) -> None:
    """Add what `export demo` takes."""
    parser.add_argument("--data", type=Path, metavar="DATA", help="a data folder of your own")
    parser.add_argument(
        "--work", type=Path, default=Path(".demo"), metavar="FOLDER", help="default .demo"
    )


def _add_bundle(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--bundle",
        type=Path,
        required=True,
        metavar="BUNDLE",
        help="folder that `python -m export build` wrote",
    )


def _add_target(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--target-precision",
        type=_share,
        metavar="SHARE",
        help="which promise of the bundle decides; default: the one chosen at its build",
    )


def _targets(text: str) -> list[float]:
    return [] if text == "none" else [_share(part) for part in text.split(",")]


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
