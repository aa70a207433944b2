"""Global Trade Item Numbers (GTIN; EAN and UPC are kinds of it): check digits, and where they are.

Source: GS1 General Specifications, section 7.9, "Check digit calculations".
"""

import re
from dataclasses import dataclass

LENGTHS = (8, 12, 13, 14)
LONGEST = 14
MAX_PARTS = 5
"""A number is printed in so many groups of digits at most, as an ISBN is."""
_DIGITS = re.compile(r"[0-9]+")
_PLAIN = re.compile(r"(?<![^\W_])[0-9]{12,14}(?![^\W_])")
_GROUP = r"(?<![^\W_])[0-9]+(?![^\W_])"  # no part of a word such as a model's name
_SEPARATED = re.compile(rf"{_GROUP}(?:[ \-\u2010-\u2013]{_GROUP})*")
_SEPARATORS = re.compile(r"[ \-\u2010-\u2013]")


@dataclass(frozen=True, slots=True)
class FoundGtins:
    """What a text holds of GTINs.

    Attributes:
        valid: in their form of 14 digits, each once.
        wrong: numbers of 12 to 14 digits whose check digit is wrong.
    """

    valid: tuple[str, ...]
    wrong: int


def is_valid(digits: str) -> bool:
    """Return whether 8, 12, 13 or 14 digits end with their check digit; zeros alone do not count.

    >>> is_valid("4006381333931"), is_valid("4006381333932"), is_valid("00000000")
    (True, False, False)
    """
    if len(digits) not in LENGTHS or not digits.strip("0"):
        return False
    weighted = sum(int(d) * (3 if at % 2 == 0 else 1) for at, d in enumerate(reversed(digits[:-1])))
    return (weighted + int(digits[-1])) % 10 == 0


def digits_of(entry: str) -> str | None:
    """Return the digits of an entry that is nothing but a number of a GTIN's length, or None.

    >>> digits_of("5 901234 123457"), digits_of("4.0064E+12"), digits_of("123")
    ('5901234123457', None, None)
    """
    digits = _SEPARATORS.sub("", entry.strip())
    is_number = _DIGITS.fullmatch(digits) is not None and len(digits) in LENGTHS
    return digits if is_number else None


def gtin_of(entry: str) -> str | None:
    """Return the 14 digits of an entry that is one valid GTIN, or None.

    >>> gtin_of("0-12345-67890-5"), gtin_of("012345678906")
    ('00012345678905', None)
    """
    digits = digits_of(entry)
    return digits.zfill(LONGEST) if digits is not None and is_valid(digits) else None


def gtins_in(text: str) -> FoundGtins:
    """Return the GTINs in a normalised text, plain or in groups of digits.

    A number is whole groups of digits: no part of a longer run of digits is taken for one.

    >>> gtins_in("sony 4 905524 930016 black").valid
    ('04905524930016',)
    """
    valid: dict[str, None] = {}
    for match in _SEPARATED.finditer(text):
        valid.update(dict.fromkeys(_in_groups(_SEPARATORS.split(match.group()))))
    wrong = sum(not is_valid(plain) for plain in _PLAIN.findall(text))
    return FoundGtins(tuple(valid), wrong)


def _in_groups(groups: list[str]) -> list[str]:
    """Return every valid GTIN that neighbouring groups of digits make."""
    found: list[str] = []
    for first in range(len(groups)):
        digits = ""
        for group in groups[first : first + MAX_PARTS]:
            digits += group
            if len(digits) > LONGEST:
                break
            if is_valid(digits):
                found.append(digits.zfill(LONGEST))
    return found
