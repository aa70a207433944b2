"""The options of `export build` for what a bundle knows besides embeddings."""

import argparse

from service.contract.signals import IdentifierKind


def add_signals(parser: argparse.ArgumentParser) -> None:
    """Add what `export build` takes for identifiers, words and the score."""
    parser.add_argument(
        "--identifiers",
        type=_identifiers,
        metavar="KIND=COLUMN,…",
        help="columns of the catalogue that hold identifiers, for example gtin=ean_code,mpn=part; "
        "or none; default the columns named gtin, ean, upc and mpn",
    )
    parser.add_argument(
        "--lexical",
        action="store_true",
        help="find candidates by their words (BM25) beside their embeddings",
    )
    parser.add_argument(
        "--score",
        action="store_true",
        help="order and decide by a score learnt on the validation queries, in place of the "
        "similarity",
    )


def _identifiers(text: str) -> list[tuple[IdentifierKind, str]]:
    found: list[tuple[IdentifierKind, str]] = []
    for part in [] if text == "none" else text.split(","):
        kind, is_pair, column = part.partition("=")
        if kind not in set(IdentifierKind) or not is_pair or not column:
            message = f"{part!r} is not gtin=COLUMN or mpn=COLUMN"
            raise argparse.ArgumentTypeError(message)
        found.append((IdentifierKind(kind), column))
    return found
