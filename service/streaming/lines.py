"""Lines out of bytes that come in pieces: numbered, bounded, the same however they are cut."""

import re
from dataclasses import dataclass

_BLANK = re.compile(rb"[ \t\r\n]*+")


@dataclass(frozen=True, slots=True)
class Line:
    """One line that is not blank.

    Attributes:
        number: its place among all lines, from 1; blank ones are counted, but are no `Line`.
        content: its bytes from the first that is not blank up to the line break; None where
            there are more than there may be.
    """

    number: int
    content: bytes | None


class LineBuffer:
    """Holds the bytes that came and were not taken as lines yet.

    At most ``max_bytes`` are taken in altogether. What comes after them is thrown away, and so is
    the line that they break off in.
    """

    def __init__(self, *, max_line_bytes: int, max_bytes: int) -> None:
        self._max_line_bytes = max_line_bytes
        self._room = max_bytes
        self._held = bytearray()
        self._searched = 0
        self._counted = 0
        self._is_skipping = False
        self._has_ended = False
        self._is_cut = False

    @property
    def has_ended(self) -> bool:
        """Return whether no line comes that is not held already."""
        return self._has_ended or self._is_cut

    @property
    def is_cut(self) -> bool:
        """Return whether more came than may come, or was to come."""
        return self._is_cut

    @property
    def next_number(self) -> int:
        """Return the number of the first line that was not taken."""
        return self._counted + 1

    def feed(self, piece: bytes) -> None:
        """Take in the next bytes."""
        self._held += piece[: self._room]
        self._is_cut = self._is_cut or len(piece) > self._room
        self._room -= min(len(piece), self._room)

    def end(self) -> None:
        """Take what is held for all that comes; the last line needs no line break."""
        self._has_ended = True

    def cut(self) -> None:
        """Take in nothing more; a line that has not come to its end is none."""
        self._is_cut = True

    def take(self) -> Line | None:
        """Return the next line; None if there is none, or not to its end yet."""
        if self._is_skipping and not self._skip_rest():
            return None
        self._skip_blank()
        end = self._held.find(b"\n", self._searched)
        if end >= 0:
            return self._cut(end, end + 1)
        if len(self._held) > self._max_line_bytes:
            self._is_skipping = True
            return self._cut(len(self._held), len(self._held))
        if self._has_ended and not self._is_cut and self._held:
            return self._cut(len(self._held), len(self._held))
        self._searched = len(self._held)
        return None

    def _cut(self, end: int, after: int) -> Line:
        """Take the bytes before ``end`` out as a line, and those before ``after`` with them."""
        content = bytes(self._held[:end]) if end <= self._max_line_bytes else None
        del self._held[:after]
        self._searched = 0
        self._counted += 1
        return Line(self._counted, content)

    def _skip_blank(self) -> None:
        """Let go of what is blank before the next line, however much, without a loop over it."""
        match = _BLANK.match(self._held)
        end = match.end() if match else 0
        self._counted += self._held.count(b"\n", 0, end)
        del self._held[:end]

    def _skip_rest(self) -> bool:
        """Let go of the rest of a line that is too long; return whether its end is reached."""
        end = self._held.find(b"\n")
        del self._held[: end + 1 if end >= 0 else len(self._held)]
        self._is_skipping = end < 0
        return not self._is_skipping
