import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.contract.errors import ChangesCorruptError
from service.products.change import Change, ProductRecord
from service.products.lines import header, read_log, written

words = st.text(max_size=12)
records = st.none() | st.builds(
    ProductRecord, title=words, values=st.dictionaries(words, words, max_size=3)
)
histories = st.lists(st.tuples(words, records), max_size=5).map(
    lambda given: [
        Change(place, "2026-11-21T10:00:00+00:00", product_id, product)
        for place, (product_id, product) in enumerate(given, start=1)
    ]
)


def log_of(changes: list[Change]) -> bytes:
    first, checksum = header()
    return first + written(changes, checksum)[0]


THREE = [
    Change(1, "2026-11-21T10:00:00+00:00", "p-1", ProductRecord("Sony", {"brand": "Sony"})),
    Change(2, "2026-11-21T10:00:01+00:00", "p/2", None),
    Change(3, "2026-11-21T10:00:02+00:00", "p\n3", ProductRecord("\ud800 é\n", {})),
]


@given(histories)
def test_what_is_written_is_read_whatever_its_texts(changes: list[Change]) -> None:
    content = log_of(changes)
    read = read_log(content)

    assert (list(read.changes), read.size) == (changes, len(content))
    assert content.count(b"\n") == 1 + len(changes)


def test_lines_written_in_two_goes_are_those_written_in_one() -> None:
    first, checksum = header()
    one, checksum = written(THREE[:1], checksum)
    two, _ = written(THREE[1:], checksum)

    assert first + one + two == log_of(THREE)


def test_a_log_cut_anywhere_behind_its_first_line_keeps_every_whole_line() -> None:
    content = log_of(THREE)
    for end in range(len(header()[0]), len(content) + 1):
        read = read_log(content[:end])

        assert list(read.changes) == THREE[: content[:end].count(b"\n") - 1]
        assert content[: read.size].endswith(b"\n")


def test_zeros_behind_the_last_line_are_a_line_that_was_not_written() -> None:
    assert list(read_log(log_of(THREE) + bytes(4096)).changes) == THREE


@pytest.mark.parametrize("flip", [0x01, 0x20, 0x80])
def test_a_byte_that_was_altered_anywhere_is_an_error_and_never_a_loss(flip: int) -> None:
    content = log_of(THREE)
    for place in range(len(content)):
        altered = bytearray(content)
        altered[place] ^= flip
        with pytest.raises(ChangesCorruptError):
            read_log(bytes(altered))


@pytest.mark.parametrize("order", [(0, 2), (1, 0, 2), (0, 0, 1, 2), (1, 2)])
def test_whole_lines_that_are_missing_moved_or_doubled_are_an_error(order: tuple[int, ...]) -> None:
    lines = log_of(THREE).splitlines(keepends=True)
    content = lines[0] + b"".join(lines[1:][place] for place in order)

    with pytest.raises(ChangesCorruptError, match=f"line {2 + (order[0] == 0)}"):
        read_log(content)


def test_a_log_of_another_format_names_both() -> None:
    body = header()[0][9:-1].replace(b":1", b":9")
    with pytest.raises(ChangesCorruptError, match="format 9, this release reads 1"):
        read_log(b"%08x %s\n" % (zlib.crc32(body), body))


@pytest.mark.parametrize("content", [b"", b"\n", b"hello", b"hello\n"])
def test_what_is_no_log_is_an_error(content: bytes) -> None:
    with pytest.raises(ChangesCorruptError):
        read_log(content)
