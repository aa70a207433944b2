"""Lines of the log: one change each, with a checksum that runs on from the line before."""

import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from service.contract.errors import ChangesCorruptError
from service.products.change import Change, ProductRecord

FORMAT = 1
"""Raised whenever an older release could misread a log."""
CHECKSUM_DIGITS = 8


@dataclass(frozen=True, slots=True)
class ReadLog:
    """What a log holds.

    Attributes:
        changes: in the order they were kept.
        size: bytes up to the end of the last whole line.
        checksum: of that line, from which the next one goes on.
    """

    changes: Sequence[Change]
    size: int
    checksum: int


def header() -> tuple[bytes, int]:
    """Return the first line of every log, and its checksum."""
    return _line({"surematch_changes": FORMAT}, 0)


def written(changes: Sequence[Change], checksum: int) -> tuple[bytes, int]:
    """Return the lines of changes behind a line of this checksum, and the last one's checksum."""
    lines: list[bytes] = []
    for change in changes:
        line, checksum = _line(_fields(change), checksum)
        lines.append(line)
    return b"".join(lines), checksum


def read_log(content: bytes) -> ReadLog:
    """Return the changes of a log, without a last line that was not written to its end.

    Such a line was never answered: whoever sent it knows that it may be lost. It has no line
    feed, and whatever has one was written whole; so a byte that differs anywhere else is an error
    and never a loss.

    Raises:
        ChangesCorruptError: if a line is not what was written, or the log is no log of this
            release.
    """
    changes: list[Change] = []
    size = checksum = 0
    for number, line in enumerate(_whole_lines(content), start=1):
        fields, checksum = _parsed(line, checksum, number)
        if number == 1:
            _check_header(fields)
        else:
            changes.append(_change(fields, after=changes[-1].sequence if changes else 0))
        size += len(line) + 1
    if not size:
        message = "has no first line; the folder holds something else, or the file was cut"
        raise ChangesCorruptError(message)
    _check_tail(content[size:], checksum)
    return ReadLog(changes, size, checksum)


def _whole_lines(content: bytes) -> Iterator[bytes]:
    return iter(content.split(b"\n")[:-1])


def _line(fields: object, before: int) -> tuple[bytes, int]:
    # escaped: a text may hold line breaks and half a surrogate pair
    body = json.dumps(fields, separators=(",", ":")).encode("ascii")
    checksum = zlib.crc32(body, before)
    return b"%08x %s\n" % (checksum, body), checksum


def _parsed(line: bytes, before: int, number: int) -> tuple[dict[str, object], int]:
    checksum = _checksum_of(line, before)
    if checksum is None:
        message = f"line {number} is not what was written, though lines follow it or it is whole"
        raise ChangesCorruptError(message)
    return json.loads(line[CHECKSUM_DIGITS + 1 :]), checksum


def _checksum_of(line: bytes, before: int) -> int | None:
    """Return the checksum of a line that fits the one before it; None if it is damaged."""
    checksum = zlib.crc32(line[CHECKSUM_DIGITS + 1 :], before)
    return checksum if line[: CHECKSUM_DIGITS + 1] == b"%08x " % checksum else None


def _check_header(fields: dict[str, object]) -> None:
    found = fields.get("surematch_changes")
    if found != FORMAT:
        message = f"has format {found!r}, this release reads {FORMAT}; use the matching release"
        raise ChangesCorruptError(message)


def _check_tail(tail: bytes, checksum: int) -> None:
    """Refuse a last line that is whole but for its line feed: that byte was altered."""
    if tail and _checksum_of(tail[:-1], checksum) is not None:
        message = "the line feed at its end was altered"
        raise ChangesCorruptError(message)


def _fields(change: Change) -> dict[str, object]:
    fields: dict[str, object] = {
        "sequence": change.sequence,
        "time": change.time,
        "op": "delete" if change.product is None else "put",
        "product_id": change.product_id,
    }
    if change.product is not None:
        fields |= {"title": change.product.title, "values": dict(change.product.values)}
    return fields


def _change(fields: dict[str, object], *, after: int) -> Change:
    """Return the change of a line whose checksum is right.

    Raises:
        ChangesCorruptError: if it is none, or not newer than the one before it.
    """
    match fields:
        case {
            "sequence": int(sequence),
            "time": str(time),
            "op": "delete" | "put" as op,
            "product_id": str(product_id),
            **rest,
        } if sequence > after:
            product = None if op == "delete" else _record(rest)
            return Change(sequence, time, product_id, product)
        case _:
            message = f"a line after change {after} holds no newer change"
            raise ChangesCorruptError(message)


def _record(rest: dict[str, object]) -> ProductRecord:
    match rest:
        case {"title": str(title), "values": dict(values)}:
            return ProductRecord(title, {str(name): str(value) for name, value in values.items()})
        case _:
            message = "a line puts a product without a title"
            raise ChangesCorruptError(message)
