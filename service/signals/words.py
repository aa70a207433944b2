"""A text as the exact signals read it: words, words with digits, runs of three characters."""

import re
from dataclasses import dataclass
from functools import cached_property

_WORD = re.compile(r"[^\W_]+")
_LEAST_INSIDE = 3
"""A shorter word with digits counts only where it stands alone."""
_RUN = 3


def words_of(text: str) -> list[str]:
    """Return the runs of letters and digits in a normalised text, in order.

    >>> words_of("sony wh-1000xm4 (blk)")
    ['sony', 'wh', '1000xm4', 'blk']
    """
    return _WORD.findall(text)


@dataclass(frozen=True)
class ReadText:
    """One normalised text, taken apart once.

    Attributes:
        words: its distinct words.
        compact: its letters and digits, without anything between them.
    """

    words: frozenset[str]
    compact: str

    @classmethod
    def of(cls, text: str) -> "ReadText":
        """Return a text that `service.contract.text.normalise` gave, taken apart."""
        words = words_of(text)
        return cls(frozenset(words), "".join(words))

    @cached_property
    def numbers(self) -> frozenset[str]:
        """Return the words that hold a digit: sizes, years and most names of models."""
        return frozenset(word for word in self.words if any(c.isdigit() for c in word))

    @cached_property
    def runs(self) -> frozenset[str]:
        """Return every run of three characters of the compact text."""
        return frozenset(
            self.compact[at : at + _RUN] for at in range(max(1, len(self.compact) - _RUN + 1))
        )

    def has_number(self, number: str) -> bool:
        """Return whether a word with digits stands here, alone or inside a longer model name."""
        return number in self.words or (len(number) >= _LEAST_INSIDE and number in self.compact)
