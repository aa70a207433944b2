import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.streaming.lines import Line, LineBuffer

MAX_LINE = 6
MAX = 40

pieces_of_lines = st.lists(
    st.sampled_from([b"\n", b"a", b" ", b"\r\n", b"\t", b"long line", b"\n\n", b"{}", b"\x0b"])
).map(b"".join)
places = st.lists(st.integers(0, MAX + 10))


def cut(data: bytes, at: Sequence[int]) -> list[bytes]:
    """Return the bytes in pieces, cut at these places."""
    ends = [0, *sorted(min(place, len(data)) for place in at), len(data)]
    return [data[start:end] for start, end in pairwise(ends)]


def taken(buffer: LineBuffer) -> Iterator[Line]:
    while (line := buffer.take()) is not None:
        yield line


def lines_of(pieces: Sequence[bytes], *, max_bytes: int = MAX) -> tuple[list[Line], int, bool]:
    """Return the lines, the number after the last of them, and whether there was too much."""
    buffer = LineBuffer(max_line_bytes=MAX_LINE, max_bytes=max_bytes)
    found: list[Line] = []
    for piece in pieces:
        buffer.feed(piece)
        found += taken(buffer)
    buffer.end()
    return [*found, *taken(buffer)], buffer.next_number, buffer.is_cut


def slowly(data: bytes) -> tuple[list[Line], int, bool]:
    """Return the same as `lines_of`, worked out from the whole."""
    kept, is_cut = data[:MAX], len(data) > MAX
    *whole, rest = kept.split(b"\n")
    is_line = [*([True] * len(whole)), not is_cut or len(rest.lstrip(b" \t\r")) > MAX_LINE]
    found = [
        Line(number, content if len(content) <= MAX_LINE else None)
        for number, content in enumerate((one.lstrip(b" \t\r") for one in [*whole, rest]), start=1)
        if content and is_line[number - 1]
    ]
    return found, max(len(whole), found[-1].number if found else 0) + 1, is_cut


@pytest.mark.parametrize(
    ("data", "lines", "next_number"),
    [
        (b"", [], 1),
        (b"\n", [], 2),
        (b"a", [Line(1, b"a")], 2),
        (b"a\n", [Line(1, b"a")], 2),
        (b"a\nb", [Line(1, b"a"), Line(2, b"b")], 3),
        (b"a\r\nb\r\n", [Line(1, b"a\r"), Line(2, b"b\r")], 3),
        (b"\n \t\r\n\na", [Line(4, b"a")], 5),
        (b"  a b \n", [Line(1, b"a b ")], 2),
        (b"a\n   ", [Line(1, b"a")], 2),
        (b"123456\n", [Line(1, b"123456")], 2),
        (b"1234567\na\n", [Line(1, None), Line(2, b"a")], 3),
        (b"1234567", [Line(1, None)], 2),
        (b"           1\n", [Line(1, b"1")], 2),
        (b"1           \n", [Line(1, None)], 2),
        (b"a\rb\x0b\n", [Line(1, b"a\rb\x0b")], 2),
        (b"\x00\n", [Line(1, b"\x00")], 2),
    ],
)
def test_bytes_are_these_lines(data: bytes, lines: list[Line], next_number: int) -> None:
    assert lines_of([data]) == (lines, next_number, False)


@given(pieces_of_lines, places)
def test_lines_are_the_same_however_the_bytes_are_cut(data: bytes, at: list[int]) -> None:
    assert lines_of(cut(data, at)) == slowly(data)
    assert lines_of([data]) == slowly(data)


@given(pieces_of_lines.filter(lambda data: len(data) <= MAX), places)
def test_each_line_that_is_not_blank_is_taken_once(data: bytes, at: list[int]) -> None:
    lines, next_number, _ = lines_of(cut(data, at))

    texts = data.split(b"\n")
    assert [line.number for line in lines] == [
        number for number, text in enumerate(texts, start=1) if re.search(rb"[^ \t\r]", text)
    ]
    assert next_number >= len(lines) + 1


@pytest.mark.parametrize(
    ("data", "lines", "next_number"),
    [
        (b"a\nbb", [Line(1, b"a")], 2),
        (b"ab\nb", [Line(1, b"ab")], 2),
        (b"abcd", [], 1),
        (b"\n\n\n\n", [], 4),
    ],
)
def test_the_line_in_which_too_much_came_is_none(
    data: bytes, lines: list[Line], next_number: int
) -> None:
    assert lines_of([data], max_bytes=3) == (lines, next_number, True)


def test_as_much_as_may_come_is_not_too_much() -> None:
    assert lines_of([b"a\nb", b""], max_bytes=3) == ([Line(1, b"a"), Line(2, b"b")], 3, False)


def test_a_line_that_is_too_long_is_taken_before_it_ends_and_only_once() -> None:
    buffer = LineBuffer(max_line_bytes=MAX_LINE, max_bytes=1000)
    buffer.feed(b"1234567")
    first = list(taken(buffer))
    for _ in range(10):
        buffer.feed(b"1234567")
    rest = list(taken(buffer))
    buffer.feed(b"\nb\n")

    assert (first, rest) == ([Line(1, None)], [])
    assert list(taken(buffer)) == [Line(2, b"b")]


def test_nothing_is_held_of_what_is_blank_or_too_long() -> None:
    buffer = LineBuffer(max_line_bytes=MAX_LINE, max_bytes=10**6)
    for piece in (b" " * 1000, b"x" * 1000, b"x" * 1000):
        buffer.feed(piece)
        list(taken(buffer))

    assert buffer.next_number == 2
    assert len(vars(buffer)["_held"]) == 0


def test_a_cut_leaves_whole_lines_and_nothing_else() -> None:
    buffer = LineBuffer(max_line_bytes=MAX_LINE, max_bytes=1000)
    buffer.feed(b"a\nb")
    buffer.cut()

    assert list(taken(buffer)) == [Line(1, b"a")]
    assert (buffer.has_ended, buffer.next_number) == (True, 2)
