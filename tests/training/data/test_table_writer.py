from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.contract.errors import DataError
from training.data.table_formats import parse_delimited
from training.data.table_writer import delimited, write_table

entries = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


@settings(deadline=None)
@given(st.lists(st.tuples(entries, entries), max_size=6), st.sampled_from(",\t"))
def test_any_text_survives_a_delimited_file(rows: list[tuple[str, str]], delimiter: str) -> None:
    data = delimited(["a", "b"], rows, delimiter=delimiter)

    columns = parse_delimited(data, delimiter=delimiter).columns

    assert list(zip(columns["a"], columns["b"], strict=True)) == rows


def test_a_single_blank_entry_is_not_lost_as_a_blank_line() -> None:
    assert parse_delimited(
        delimited(["a"], [[""], ["x"]], delimiter=","), delimiter=","
    ).columns == {"a": ["", "x"]}


def test_the_file_reads_plainly(tmp_path: Path) -> None:
    write_table(tmp_path / "p.csv", ["product_id", "title"], [["1", "Sony XM4"], ["2", 'TV 55"']])

    assert (tmp_path / "p.csv").read_text("utf-8") == (
        'product_id,title\n1,Sony XM4\n2,"TV 55"""\n'
    )


@pytest.mark.parametrize("name", ["p.csv.gz", "p.parquet"])
def test_the_same_rows_give_the_same_bytes(tmp_path: Path, name: str) -> None:
    for folder in ("a", "b"):
        write_table(tmp_path / folder / name, ["id"], [["1"]])

    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


ROWS = [["1", 1, 0.25], ["2", None, None]]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.csv", "id,rank,similarity\n1,1,0.25\n2,,\n"),
        (
            "a.jsonl",
            '{"id": "1", "rank": 1, "similarity": 0.25}\n'
            '{"id": "2", "rank": null, "similarity": null}\n',
        ),
    ],
)
def test_numbers_stay_numbers_where_the_kind_of_file_has_them(
    tmp_path: Path, name: str, expected: str
) -> None:
    write_table(tmp_path / name, ["id", "rank", "similarity"], ROWS)

    assert (tmp_path / name).read_text("utf-8") == expected


def test_numbers_in_parquet_stay_numbers_and_a_column_of_nothing_is_text(tmp_path: Path) -> None:
    write_table(tmp_path / "a.parquet", ["id", "rank", "similarity"], ROWS)
    write_table(tmp_path / "b.parquet", ["id"], [])

    assert pq.read_table(tmp_path / "a.parquet").to_pydict() == {
        "id": ["1", "2"],
        "rank": [1, None],
        "similarity": [0.25, None],
    }
    assert pq.read_table(tmp_path / "b.parquet").schema.field("id").type == "string"


def test_a_file_is_replaced_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    write_table(path, ["id"], [["1"]])
    write_table(path, ["id"], [["2"]])

    assert [p.name for p in tmp_path.iterdir()] == ["p.csv"]
    assert path.read_text() == "id\n2\n"
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    link, target = tmp_path / "link.csv", tmp_path / "target.csv"
    link.symlink_to(target)

    write_table(link, ["id"], [["1"]])

    assert link.is_symlink()
    assert target.read_text() == "id\n1\n"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "p.csv").mkdir()
    (tmp_path / "file").write_text("")

    with pytest.raises(DataError, match=r"p\.csv cannot be written"):
        write_table(tmp_path / "p.csv", ["id"], [])
    with pytest.raises(DataError, match=r"p\.csv cannot be written"):
        write_table(tmp_path / "file" / "p.csv", ["id"], [])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "p.csv"]


def test_a_row_of_another_length_is_a_mistake_of_the_programmer(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="2 entries"):
        write_table(tmp_path / "p.csv", ["a", "b"], [["1"]])
