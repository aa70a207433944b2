"""What a command shows a person: lines, tables and progress; the only place that prints."""

import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager

from tqdm import tqdm

PLAIN_INTERVAL_SECONDS = 10.0
"""How often progress is said where standard error is no terminal."""


def say(line: str = "") -> None:
    """Write one line for people to standard output."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def complain(line: str) -> None:
    """Write one line to standard error: what went wrong, or what deserves a look."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def first_line(error: BaseException) -> str:
    r"""Return what an error of a library says, cut to one line; its kind where it says nothing.

    >>> first_line(ValueError("no such layer\nsee the manual"))
    'no such layer'
    >>> first_line(KeyError())
    'KeyError'
    """
    return next(iter(str(error).splitlines()), type(error).__name__)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table with aligned columns; the first column is text."""
    widths = [max(3, *(len(row[i]) for row in [head, *rows])) for i in range(len(head))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]

    def line(row: Sequence[str]) -> str:
        cells = [row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]
        return "| " + " | ".join(cells) + " |"

    return [line(head), line(rule), *map(line, rows)]


class Progress:
    """A progress bar on a terminal, a plain line every few seconds elsewhere."""

    def __init__(self, total: int, what: str, unit: str) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._bar = tqdm(
            total=total,
            desc=what,
            unit=unit,
            dynamic_ncols=True,
            disable=not self._is_terminal,
            leave=False,
        )
        self._total, self._what, self._unit = total, what, unit
        self._done = 0
        self._first_done = 0
        self._started = self._said = time.monotonic()

    def resume_at(self, done: int) -> None:
        """Start at ``done`` without counting it as work of this run."""
        self._done = self._first_done = done
        self._bar.n = self._bar.initial = done
        self._bar.refresh()

    def advance(self, amount: int, figures: Mapping[str, str] | None = None) -> None:
        """Count ``amount`` more units as done and show the latest figures beside them."""
        self._done += amount
        if figures:
            self._bar.set_postfix(figures, refresh=False)
        self._bar.update(amount)
        now = time.monotonic()
        if not self._is_terminal and (
            now - self._said >= PLAIN_INTERVAL_SECONDS or self._done >= self._total
        ):
            self._said = now
            complain(self._line(now - self._started, figures or {}))

    def close(self) -> None:
        """Take the bar off the terminal."""
        self._bar.close()

    def _line(self, seconds: float, figures: Mapping[str, str]) -> str:
        rate = (self._done - self._first_done) / max(seconds, 1e-9)
        left = (self._total - self._done) / max(rate, 1e-9)
        shown = "".join(f", {name} {value}" for name, value in figures.items())
        return (
            f"{self._what}: {self._done}/{self._total} {self._unit}, "
            f"{rate:.1f} {self._unit}/s, {left:.0f} s left{shown}"
        )


@contextmanager
def progress(total: int, what: str, *, unit: str) -> Generator[Progress]:
    """Show progress of ``what`` over ``total`` units while the block runs."""
    shown = Progress(total, what, unit)
    try:
        yield shown
    finally:
        shown.close()
