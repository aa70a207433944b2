"""The token ids of many texts in a few flat arrays instead of a Python tuple each."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import overload

import numpy as np
from jaxtyping import Bool, Int, Int32, Int64

from service.contract.tokens import TextTokeniser, TokenisedText


@dataclass(frozen=True, eq=False)
class TokenTable(Sequence[TokenisedText]):
    """Texts as the encoder reads them, in about 60 bytes each: a title has a dozen tokens.

    It reads like a list of `TokenisedText`; each is made when it is asked for.

    Attributes:
        ids: the ids of all texts, one text after the other.
        offsets: where each text begins in ``ids``; the last number is where the last text ends.
        truncated: true for the texts of which tokens were cut off at the end.
        is_blank: true for the texts of which nothing was left to read.
    """

    ids: Int32[np.ndarray, " token"]
    offsets: Int64[np.ndarray, " bound"]
    truncated: Bool[np.ndarray, " text"]
    is_blank: Bool[np.ndarray, " text"]

    def __post_init__(self) -> None:
        for column in (self.ids, self.offsets, self.truncated, self.is_blank):
            column.flags.writeable = False

    @classmethod
    def of(cls, texts: Iterable[TokenisedText]) -> "TokenTable":
        """Return a table of the texts, each of which may be forgotten once it was read."""
        ids, offsets = array("i"), array("q", [0])
        truncated, is_blank = bytearray(), bytearray()
        for text in texts:
            ids.extend(text.ids)
            offsets.append(len(ids))
            truncated.append(text.truncated)
            is_blank.append(text.is_blank)
        return cls(
            ids=np.array(ids, dtype=np.int32),
            offsets=np.array(offsets, dtype=np.int64),
            truncated=np.array(truncated, dtype=bool),
            is_blank=np.array(is_blank, dtype=bool),
        )

    @property
    def lengths(self) -> Int32[np.ndarray, " text"]:
        """Return how many tokens each text has."""
        return np.diff(self.offsets).astype(np.int32)

    def take(self, rows: Iterable[int] | Int[np.ndarray, " row"]) -> list[TokenisedText]:
        """Return the texts of these rows, in the order of ``rows``."""
        return [self[int(row)] for row in rows]

    def __len__(self) -> int:
        return len(self.truncated)

    @overload
    def __getitem__(self, index: int) -> TokenisedText: ...

    @overload
    def __getitem__(self, index: slice) -> list[TokenisedText]: ...

    def __getitem__(self, index: int | slice) -> TokenisedText | list[TokenisedText]:
        if isinstance(index, slice):
            return self.take(range(*index.indices(len(self))))
        row = range(len(self))[index]  # from the end where negative, IndexError where absent
        return TokenisedText(
            ids=tuple(self.ids[self.offsets[row] : self.offsets[row + 1]].tolist()),
            truncated=bool(self.truncated[row]),
            is_blank=bool(self.is_blank[row]),
        )

    def __iter__(self) -> Iterator[TokenisedText]:
        return (self[row] for row in range(len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TokenTable):
            return NotImplemented
        return all(
            np.array_equal(own, others)
            for own, others in (
                (self.ids, other.ids),
                (self.offsets, other.offsets),
                (self.truncated, other.truncated),
                (self.is_blank, other.is_blank),
            )
        )

    def __hash__(self) -> int:
        return hash((self.ids.tobytes(), self.offsets.tobytes()))


def tokenise(tokeniser: TextTokeniser, texts: Iterable[str], *, block: int = 10_000) -> TokenTable:
    """Return the tokens of each text, in order, holding ``block`` texts at a time."""
    return TokenTable.of(_tokens(tokeniser, texts, block))


def distinct(
    table: TokenTable,
) -> tuple[Int64[np.ndarray, " group"], Int64[np.ndarray, " text"]]:
    """Return the groups of texts that have the same ids, in the sorted order of the ids.

    The order is that of Python's tuples, so it follows from what the texts are and not from the
    order of their rows.

    Returns:
        The first row of each group, and the group of each row.
    """
    group_of: dict[bytes, int] = {}
    for row, key in enumerate(_keys(table)):
        group_of.setdefault(key, row)
    in_order = sorted(group_of)
    rows_of_first = np.array([group_of[key] for key in in_order], dtype=np.int64)
    group_of.update((key, group) for group, key in enumerate(in_order))
    row_of_each = np.fromiter((group_of[key] for key in _keys(table)), np.int64, len(table))
    return rows_of_first, row_of_each


def _keys(table: TokenTable) -> Iterator[bytes]:
    """Yield the ids of each text as bytes, which compare as the tuples of the ids do."""
    key_of_all = table.ids.astype(">u4").tobytes()  # big end first: bytes compare like numbers
    return (key_of_all[4 * start : 4 * end] for start, end in pairwise(table.offsets.tolist()))


def _tokens(tokeniser: TextTokeniser, texts: Iterable[str], block: int) -> Iterator[TokenisedText]:
    remaining = iter(texts)
    while some := list(islice(remaining, block)):
        yield from tokeniser(some)
