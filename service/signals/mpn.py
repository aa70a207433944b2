"""Manufacturers' part numbers (MPN): the form in which two of them are compared."""

import re

from service.contract.text import normalise

LEAST = 4
"""Fewer letters and digits are too likely to mean something else."""
LEAST_DIGITS = 6
"""As are fewer digits without a letter: a year, a size, a price."""
_PARTS = re.compile(r"[\s,;|()\[\]\"']+")


def mpn_of(entry: str) -> str | None:
    """Return letters and digits of a part number, or None for what could be any word or number.

    >>> mpn_of("WH-1000XM4/B"), mpn_of("Black"), mpn_of("2024")
    ('wh1000xm4b', None, None)
    """
    return _compared(normalise(entry))


def mpns_in(text: str) -> list[str]:
    """Return what may be part numbers in a normalised text: its parts between blanks and brackets.

    >>> mpns_in("sony wh-1000xm4 (blk, 2024)")
    ['wh1000xm4']
    """
    found = (_compared(part) for part in _PARTS.split(text))
    return list(dict.fromkeys(one for one in found if one is not None))


def _compared(part: str) -> str | None:
    letters = "".join(c for c in part if c.isalnum())
    digits = sum(c.isdigit() for c in letters)
    is_number_alone = digits == len(letters)
    if not digits or len(letters) < (LEAST_DIGITS if is_number_alone else LEAST):
        return None
    return letters
