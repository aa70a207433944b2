"""Lines of text files as others publish them: parted by line feeds alone, not always in UTF-8."""

import gzip
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from service.contract.errors import DataError

NOT_UTF8 = "lines that are not UTF-8 (read as Latin-1)"


def read_lines(path: Path, counts: Counter[str]) -> Iterator[str]:
    r"""Yield the lines of a file, unzipped where its name ends in ``.gz``, one at a time.

    Only ``\n`` and ``\r\n`` end a line: U+0085, U+2028 and the like stay inside it. A line that
    is not UTF-8 is read as Latin-1 and counted.

    Args:
        path: the file.
        counts: what was done to how many rows, added to.

    Raises:
        DataError: if the file cannot be read.
    """
    for number, line in enumerate(_byte_lines(path)):
        data = line.removesuffix(b"\n").removesuffix(b"\r")
        try:
            text = data.decode("utf-8" if number else "utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("latin-1")
            counts[NOT_UTF8] += 1
        yield text


def exactly(lines: list[str], needed: int, *, path: Path, needed_by: str) -> list[str]:
    """Return the lines, of which there must be ``needed``; one blank line at the end may follow.

    Raises:
        DataError: if there are more or fewer.
    """
    if len(lines) == needed + 1 and not lines[-1].strip():
        return lines[:-1]
    if len(lines) != needed:
        message = (
            f"{path} holds {len(lines)} lines, {needed_by} needs {needed}; "
            "take both from one release and copy them whole"
        )
        raise DataError(message)
    return lines


def find_text(folder: Path, *names: str) -> Path | None:
    """Return the first file of these names, each also with ``.gz``; None if there is none."""
    there = (folder / f"{name}{suffix}" for name in names for suffix in ("", ".gz"))
    return next((path for path in there if path.is_file()), None)


def _byte_lines(path: Path) -> Iterator[bytes]:
    try:
        with gzip.open(path) if path.name.endswith(".gz") else path.open("rb") as file:
            yield from file
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        message = f"{path} is not a whole gzip file ({error}); copy or compress it again"
        raise DataError(message) from error
    except OSError as error:
        message = f"{path} cannot be read ({error.strerror}); name a file that can be read"
        raise DataError(message) from error
