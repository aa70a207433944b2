import json
from collections.abc import Callable
from datetime import date, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from training.data.table_formats import (
    Content,
    RowError,
    parse_delimited,
    parse_json_lines,
    parse_parquet,
)


def parquet(**columns: pa.Array) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue().to_pybytes()


def parse_csv(data: bytes) -> Content:
    return parse_delimited(data, delimiter=",")


def test_a_byte_order_mark_is_no_part_of_the_first_name() -> None:
    assert parse_delimited(b"\xef\xbb\xbftitle\nSony\n", delimiter=",").columns == {
        "title": ["Sony"]
    }
    assert parse_json_lines(b'\xef\xbb\xbf{"title": "Sony"}\n').columns == {"title": ["Sony"]}


def test_an_entry_in_quotes_may_hold_line_breaks_and_rows_keep_the_line_they_begin_in() -> None:
    content = parse_delimited(b'id,title\r\n1,"two\r\nlines"\r\n\r\n2,"a ""b"""\r\n', delimiter=",")

    assert content.columns == {"id": ["1", "2"], "title": ["two\r\nlines", 'a "b"']}
    assert content.row_numbers == [2, 5]


def test_a_header_may_have_spaces_around_its_names() -> None:
    assert list(parse_delimited(b"id, title \n1,a\n", delimiter=",").columns) == ["id", "title"]


def test_an_entry_far_beyond_the_usual_limit_is_read() -> None:
    long = "x" * 300_000

    assert parse_delimited(f"id\n{long}\n".encode(), delimiter=",").columns == {"id": [long]}


@pytest.mark.parametrize(
    ("data", "where", "problem"),
    [
        (b"", "", "holds no header"),
        (b"\n\n", "", "holds no header"),
        (b"id,id\n1,2\n", ", row 1, column 'id'", "the header names it twice"),
        (b"id,\n1,2\n", ", row 1", "column 2 has no name"),
        (b"id,title\n1,a\n2\n", ", row 3, column 'title'", "has 1 entries, the header names 2"),
        (b"id,title\n1,a,b\n", ", row 2, column 'title'", "has 3 entries, the header names 2"),
        (b'id,title\n1,"a\n2,b\n', ", row 2", "unexpected end of data"),
        (b'id,title\n1,"a"b\n', ", row 2", "close every quote"),
        (b"id,title\n1,a\n2,caf\xe9\n", ", row 3, column 'title'", "is not UTF-8"),
        (b"id,t\xeftre\n1,a\n", ", row 1, column 't\\udceftre'", "is not UTF-8"),
        (b"id,title\n1,a\x00b\n", ", row 2, column 'title'", "NUL"),
        ("id,title\n1,a\n".encode("utf-16"), ", row 1, column", "is not UTF-8"),
    ],
)
def test_a_broken_csv_file_is_refused_where_it_breaks(
    data: bytes, where: str, problem: str
) -> None:
    with pytest.raises(RowError) as caught:
        parse_delimited(data, delimiter=",")

    assert caught.value.where().startswith(where)
    assert problem in caught.value.problem


def test_json_numbers_stay_as_they_are_written_and_null_is_empty() -> None:
    content = parse_json_lines(b'{"id": 12, "price": 1.50, "note": null}\n{"id": "x", "price": 0}')

    assert content.columns == {"id": ["12", "x"], "price": ["1.50", "0"], "note": ["", ""]}
    assert content.first_gap == {"note": 2}


def test_blank_lines_of_a_json_file_count_as_lines_but_not_as_rows() -> None:
    content = parse_json_lines(b'{"id": 1}\r\n\r\n{"id": "2\xe2\x80\xa8"}\r\n')

    assert content.columns == {"id": ["1", "2\u2028"]}
    assert content.row_numbers == [1, 3]


@pytest.mark.parametrize(
    ("line", "where", "problem"),
    [
        (b'{"id": 1', ", row 2", "is not JSON"),
        (b"[1]", ", row 2", "holds a JSON list"),
        (b"3", ", row 2", "holds a JSON str"),
        (b'{"id": [1]}', ", row 2, column 'id'", "is a JSON list"),
        (b'{"id": {"a": 1}}', ", row 2, column 'id'", "is a JSON dict"),
        (b'{"id": NaN}', ", row 2", "NaN is no number"),
        (b'{"id": 1, "id": 2}', ", row 2, column 'id'", "names it twice"),
        (b'{"id": "\\u0000"}', ", row 2, column 'id'", "NUL"),
        (b'{"id": "\\ud800"}', ", row 2, column 'id'", "is not UTF-8"),
        (b'{"id": "\xe9"}', ", row 2, column 'id'", "is not UTF-8"),
        (b'\xff\xfe{"id": 1}', ", row 2", "is not UTF-8"),
        (b"[" * 100_000, ", row 2", "is not JSON"),
        (b'{"": 1}', "", "has no name"),
    ],
)
def test_a_broken_json_line_is_refused_where_it_breaks(
    line: bytes, where: str, problem: str
) -> None:
    with pytest.raises(RowError) as caught:
        parse_json_lines(b'{"id": 1}\n' + line + b"\n")

    assert caught.value.where() == where
    assert problem in caught.value.problem


def test_parquet_columns_of_texts_and_numbers_become_text() -> None:
    data = parquet(
        id=pa.array([1, None, 3]),
        sparse_id=pa.array([1.0, None, float("nan")]),
        price=pa.array([0.1, 2.5, 3.0], pa.float32()),
        colour=pa.array(["black", None, "black"]).dictionary_encode(),
        name=pa.array(["a", "nan", ""], pa.large_string()),
        nothing=pa.nulls(3),
    )

    content = parse_parquet(data)

    assert content.row_numbers == [1, 2, 3]
    assert content.columns == {
        "id": ["1", "", "3"],
        "sparse_id": ["1", "", ""],
        "price": ["0.1", "2.5", "3"],
        "colour": ["black", "", "black"],
        "name": ["a", "nan", ""],
        "nothing": ["", "", ""],
    }


def test_a_whole_number_is_the_same_id_in_every_kind_of_file() -> None:
    barcode = 5_901_234_123_457
    sparse = parse_parquet(parquet(id=pa.array([float(barcode), None])))
    narrow = parse_parquet(parquet(id=pa.array([12, 16_777_216], pa.float32())))

    assert sparse.columns == {"id": [str(barcode), ""]}
    assert narrow.columns == {"id": ["12", "16777216"]}
    assert parse_json_lines(b'{"id": 5901234123457.0}').columns == {"id": [str(barcode)]}
    assert parse_json_lines(b'{"id": 5901234123457}').columns == {"id": [str(barcode)]}


@pytest.mark.parametrize("written", ["12.50", "0.1", "1.0e3", "1e5", "-0.0", '"007.0"'])
def test_a_number_that_is_not_plainly_whole_stays_as_it_is_written(written: str) -> None:
    assert parse_json_lines(b'{"id": %s}' % written.encode()).columns == {
        "id": [written.strip('"')]
    }


def test_booleans_and_dates_are_attributes_like_others() -> None:
    data = parquet(
        in_stock=pa.array([True, None]),
        since=pa.array([date(2026, 1, 2), None]),
        seen=pa.array([datetime(2026, 1, 2, 3, 4, 5), None], pa.timestamp("ms")),
    )

    assert parse_parquet(data).columns == {
        "in_stock": ["true", ""],
        "since": ["2026-01-02", ""],
        "seen": ["2026-01-02 03:04:05.000", ""],
    }
    assert parse_json_lines(b'{"a": true, "b": false, "c": null}').columns == {
        "a": ["true"],
        "b": ["false"],
        "c": [""],
    }


@pytest.mark.parametrize("column", [pa.array([[1]]), pa.array([b"a"]), pa.array([{"a": 1}])])
def test_a_parquet_column_of_another_type_is_refused_by_name(column: pa.Array) -> None:
    with pytest.raises(RowError, match="write texts, numbers, booleans or dates") as caught:
        parse_parquet(parquet(title=column))

    assert caught.value.where() == ", column 'title'"


def test_a_parquet_text_that_is_not_utf_8_is_refused_by_column() -> None:
    broken = pa.array([b"caf\xe9"]).view(pa.string())

    with pytest.raises(RowError, match="not UTF-8") as caught:
        parse_parquet(parquet(title=broken))

    assert caught.value.column == "title"


@pytest.mark.parametrize("kept", [0, 4, 100, -1])
def test_a_torn_parquet_file_is_refused(kept: int) -> None:
    data = parquet(title=pa.array(["Sony"] * 100))

    with pytest.raises(RowError, match="not a whole Parquet file"):
        parse_parquet(data[:kept])


def test_a_parquet_file_with_two_columns_of_one_name_is_refused() -> None:
    table = pa.table([pa.array(["a"]), pa.array(["b"])], names=["title", "title"])
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)

    with pytest.raises(RowError, match="twice"):
        parse_parquet(sink.getvalue().to_pybytes())


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from([parse_csv, parse_json_lines]))
def test_any_bytes_are_read_or_refused_in_words(
    data: bytes, parse: Callable[[bytes], Content]
) -> None:
    try:
        content = parse(data)
    except RowError:
        return

    assert all(len(column) == len(content.row_numbers) for column in content.columns.values())


@settings(deadline=None)
@given(st.dictionaries(st.text(min_size=1), st.text(), min_size=1, max_size=5))
def test_whatever_json_says_is_what_is_read(row: dict[str, str]) -> None:
    stripped = {name.strip(): value for name, value in row.items()}
    said = "".join([*row, *row.values()])
    assume(all(stripped) and len(stripped) == len(row) and "\0" not in said)

    content = parse_json_lines(json.dumps(row).encode())

    assert content.columns == {name: [value] for name, value in stripped.items()}
