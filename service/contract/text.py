"""The one form of a text that training, calibration and serving all encode."""

import re
import unicodedata
from collections.abc import Iterable

NORMALISER_VERSION = 1
"""Raised whenever `normalise` gives another answer for any text."""

MAX_TEXT_CHARACTERS = 10_000
"""Longest text that is read at all; a model's own limit in tokens is far below it."""

_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]")


def normalise(text: str) -> str:
    r"""Return ``text`` in the form that is encoded: case-folded NFKC with single spaces.

    Lone surrogates become U+FFFD, control characters become spaces, and invisible format
    characters (zero-width spaces, directional marks, soft hyphens) are dropped. The result is
    a fixed point: normalising it again changes nothing. An empty result means a blank text.

    >>> normalise("  SONY\tWH-1000XM4\x00(Blk)\n")
    'sony wh-1000xm4 (blk)'
    >>> normalise("\u200b\u00a0")
    ''
    """
    folded = text.casefold() if text.isascii() else _fold(_without_lone_surrogates(text))
    return " ".join(_CONTROL.sub(" ", folded).split())


def join_product_text(values: Iterable[str | None]) -> str:
    """Return the text of a product that is encoded: its chosen columns, joined by spaces.

    >>> join_product_text(["Sony WH-1000XM4", None, " black "])
    'Sony WH-1000XM4 black'
    """
    return " ".join(value.strip() for value in values if value is not None and value.strip())


def _fold(text: str) -> str:
    visible = "".join(c for c in text if unicodedata.category(c) != "Cf")
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", visible).casefold())


def _without_lone_surrogates(text: str) -> str:
    """Join surrogate pairs into their character; put U+FFFD where half a pair stands alone."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
