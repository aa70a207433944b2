"""The options that say which index a bundle gets."""

import argparse
import math

from service.contract.retriever_record import Family

GIGABYTE = 10**9


def add_index(parser: argparse.ArgumentParser) -> None:
    """Add ``--index``, ``--recall`` and ``--index-memory``."""
    parser.add_argument(
        "--index",
        type=_family,
        default="auto",
        metavar="FAMILY",
        help=f"of the products: auto, {', '.join(Family)}; default auto: exact for small "
        "catalogues, else the fastest by what is measured at the build",
    )
    parser.add_argument(
        "--recall",
        type=_recall,
        default=0.99,
        metavar="SHARE",
        help="share of the ten exactly nearest products that the index must find; default 0.99",
    )
    parser.add_argument(
        "--index-memory",
        type=_bytes,
        metavar="GB",
        help="the most memory that the index may take, in 10^9 bytes; default no limit",
    )


def _family(text: str) -> Family | str:
    if text == "auto":
        return text
    try:
        return Family(text)
    except ValueError:
        message = f"{text} is none of auto, {', '.join(Family)}"
        raise argparse.ArgumentTypeError(message) from None


def _recall(text: str) -> float:
    value = _number(text)
    if not 0 < value <= 1:
        message = f"{text} is not above 0 and at most 1, for example 0.99"
        raise argparse.ArgumentTypeError(message)
    return value


def _bytes(text: str) -> int:
    value = _number(text)
    if not 0 < value < math.inf:
        message = f"{text} is no number of gigabytes, for example 1.5"
        raise argparse.ArgumentTypeError(message)
    return int(value * GIGABYTE)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
