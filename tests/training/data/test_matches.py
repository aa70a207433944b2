from pathlib import Path

import pytest

from service.contract.errors import DataError
from service.contract.text import MAX_TEXT_CHARACTERS
from tests.training.data.labelled import catalogue, labelled, write
from training.data.column_map import ColumnMap
from training.data.matches import (
    LabelledQuery,
    Query,
    check_positives_exist,
    read_matches,
    read_queries,
)

TOO_LONG = "x" * (MAX_TEXT_CHARACTERS + 1)


def test_rows_of_one_query_are_one_query(tmp_path: Path) -> None:
    path = write(
        tmp_path / "matches.csv",
        "query_id,text,product_id,split,user_id,grade",
        "q-1,sony xm4,p-9,train,u-1,2",
        "q-2,bose,p-3,test,,1",
        " q-1 ,sony xm4, p-2 ,train,u-1,2",
        "q-1,sony xm4,p-5,train,u-1,0",
        "q-3,unknown,,test,,",
    )

    assert read_matches(path) == [
        LabelledQuery(
            "q-1", "sony xm4", ("p-2", "p-9"), "train", "u-1", {"p-9": 2, "p-2": 2, "p-5": 0}, 2
        ),
        LabelledQuery("q-2", "bose", (), "test", None, {"p-3": 1}, 3),
        LabelledQuery("q-3", "unknown", (), "test", None, {}, 6),
    ]


def test_a_query_without_a_product_may_list_what_is_wrong_for_it(tmp_path: Path) -> None:
    path = write(
        tmp_path / "matches.csv",
        "query_id,text,product_id,grade",
        "q-1,sony xm9,,",
        "q-1,sony xm9,p-9,0",
        "q-1,sony xm9,p-2,1",
    )

    [query] = read_matches(path)

    assert not query.has_product
    assert query.grades == {"p-9": 0, "p-2": 1}


def test_without_a_grade_every_listed_product_is_right(tmp_path: Path) -> None:
    path = write(tmp_path / "matches.csv", "query_id,text,product_id", "q-1,sony,p-1", "q-2,,")

    queries = read_matches(path)

    assert queries[0] == labelled("q-1", "sony", "p-1", row=2)
    assert queries[1] == labelled("q-2", "", row=3)
    assert [query.has_product for query in queries] == [True, False]


def test_matches_of_other_columns_are_read_with_a_map(tmp_path: Path) -> None:
    path = write(tmp_path / "m.tsv", "id\toffer\tsku", "1\tsony\t7")

    queries = read_matches(path, ColumnMap.parse(["query_id=id", "text=offer", "product_id=sku"]))

    assert queries == [labelled("1", "sony", "7")]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["q-1,a,1,train,u,2", "q-1,b,2,train,u,2"], "row 3, column 'text': query 'q-1' has 'b'"),
        (["q-1,a,1,train,u,2", "q-1,a,2,test,u,2"], "row 3, column 'split': query 'q-1' has"),
        (["q-1,a,1,train,u,2", "q-1,a,2,,u,2"], "row 3, column 'split': query 'q-1' has '' here"),
        (["q-1,a,1,train,u,2", "q-1,a,2,train,v,2"], "row 3, column 'user_id': query 'q-1' has"),
        (
            ["q-1,a,1,,,2", "q-1,a,1,,,0"],
            "row 3, column 'product_id': query 'q-1' names '1' in row",
        ),
        (["q-1,a,,,,", "q-1,a,,,,"], "row 3, column 'product_id': query 'q-1' names '' in row 2"),
        (["q-1,a,1,,,2", "q-1,a,,,,"], "row 3, column 'product_id': is empty"),
        (["q-1,a,1,dev,,2"], "row 2, column 'split': 'dev' is no split; write one of train"),
        (["q-1,a,1,,,3"], "row 2, column 'grade': '3' is no grade"),
        (["q-1,a,1,,,"], "row 2, column 'grade': '' is no grade"),
        (["q-1,a,,,,x"], "row 2, column 'grade': 'x' is no grade"),
        ([" ,a,1,,,2"], "row 2, column 'query_id': is blank"),
        (
            [f"q-1,{TOO_LONG},1,,,2"],
            "row 2, column 'text': is 10001 characters long, at most 10000",
        ),
    ],
)
def test_a_wrong_row_is_refused_with_file_row_and_column(
    tmp_path: Path, lines: list[str], message: str
) -> None:
    header = "query_id,text,product_id,split,user_id,grade"
    path = write(tmp_path / "matches.csv", header, *lines)

    with pytest.raises(DataError) as caught:
        read_matches(path)

    assert str(caught.value).startswith(f"{path}, {message}")


def test_a_shown_text_is_short_and_on_one_line(tmp_path: Path) -> None:
    lines = ['q-1,"a\nb",1', f"q-1,{'x' * 500},2"]
    path = write(tmp_path / "matches.csv", "query_id,text,product_id", *lines)

    with pytest.raises(DataError) as caught:
        read_matches(path)

    assert "row 4, column 'text'" in str(caught.value)
    assert r"'a\nb' in row 2" in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("missing", ["query_id", "text", "product_id"])
def test_a_missing_column_is_named(tmp_path: Path, missing: str) -> None:
    there = [name for name in ("query_id", "text", "product_id") if name != missing]
    path = write(tmp_path / "matches.csv", ",".join(there), "1,2")

    with pytest.raises(DataError, match=f"has no column '{missing}', only"):
        read_matches(path)


def test_a_json_row_without_product_id_is_not_taken_as_a_query_without_product(
    tmp_path: Path,
) -> None:
    lines = ['{"query_id": 1, "text": "a", "product_id": 7}', '{"query_id": 2, "text": "b"}']

    with pytest.raises(DataError, match="row 2, column 'product_id': the object lacks it"):
        read_matches(write(tmp_path / "matches.jsonl", *lines))


def test_a_file_without_matches_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no query"):
        read_matches(write(tmp_path / "matches.csv", "query_id,text,product_id"))


def test_queries_are_read_in_their_order_and_may_be_blank(tmp_path: Path) -> None:
    path = write(tmp_path / "q.csv", "query_id,text,user_id,note", "b,sony,u-1,x", "a,,,")

    assert read_queries(path) == [Query("b", "sony", "u-1"), Query("a", "", None)]


def test_a_file_may_hold_no_queries(tmp_path: Path) -> None:
    assert read_queries(write(tmp_path / "q.csv", "query_id,text")) == []


def test_queries_of_other_columns_are_read_with_a_map(tmp_path: Path) -> None:
    path = write(tmp_path / "q.csv", "id,brand,name", "1,sony,xm4")

    queries = read_queries(path, ColumnMap.parse(["query_id=id", "queries:text=brand,name"]))

    assert queries == [Query("1", "sony xm4", None)]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["1,a", "2,b", "1,a"], "row 4, column 'query_id': '1' is the id of row 2 as well"),
        (["1,a", ",b"], "row 3, column 'query_id': is blank"),
        ([f"1,{TOO_LONG}"], "row 2, column 'text': is 10001 characters"),
    ],
)
def test_a_wrong_query_is_refused_with_file_row_and_column(
    tmp_path: Path, lines: list[str], message: str
) -> None:
    path = write(tmp_path / "q.csv", "query_id,text", *lines)

    with pytest.raises(DataError) as caught:
        read_queries(path)

    assert str(caught.value).startswith(f"{path}, {message}")


def test_positives_that_are_no_products_are_counted_and_the_first_is_named() -> None:
    queries = [
        labelled("q-1", "a", "p-1", "p-2"),
        labelled("q-2", "b", "p-8", row=4),
        labelled("q-3", "c", "p-1", "p-9", row=5),
    ]

    with pytest.raises(DataError) as caught:
        check_positives_exist(queries, catalogue("p-1", "p-2"), Path("matches.csv"))

    assert str(caught.value).startswith(
        "matches.csv, row 4, column 'product_id': query 'q-2' names 'p-8', which is not in the "
        "catalogue, like 2 of 5 matches in all"
    )


def test_a_listed_product_that_is_not_right_need_not_be_in_the_catalogue() -> None:
    query = LabelledQuery("q-1", "a", ("p-1",), None, None, {"p-1": 2, "p-9": 0}, 2)

    check_positives_exist([query, labelled("q-2", "b")], catalogue("p-1"), Path("matches.csv"))
