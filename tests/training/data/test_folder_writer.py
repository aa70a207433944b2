import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.data.labelled import catalogue, labelled
from training.data.folder_writer import write_data_files
from training.data.matches import SPLITS, LabelledQuery, read_matches
from training.data.products import Product, Products, read_products

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)


@st.composite
def queries(draw: st.DrawFn) -> LabelledQuery:
    grades = draw(st.dictionaries(st.sampled_from(["p-1", "p-2", "p-3"]), st.integers(0, 2)))
    return LabelledQuery(
        query_id="q-1",
        text=draw(texts),
        positives=tuple(sorted(product_id for product_id, grade in grades.items() if grade == 2)),
        split=draw(st.sampled_from([*SPLITS, None])),
        user_id=draw(st.sampled_from(["u-1", None])),
        grades=grades,
        row=2,
    )


@settings(deadline=None, max_examples=50)
@given(queries())
def test_any_query_is_read_back_as_it_was(query: LabelledQuery) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_data_files(Path(folder), catalogue("p-1"), [query])

        assert read_matches(Path(folder) / "matches.csv") == [query]


def test_products_are_read_back_as_they_were(tmp_path: Path) -> None:
    products = Products(
        (
            Product("1", 'Quorin "55", black', "TVs", {"colour": "black"}),
            Product("2", " Halvor\nX1 ", None, {"size": "5 ″"}),
        ),
        ("colour", "size"),
    )

    write_data_files(tmp_path, products, [labelled("q", "a", "1")])

    assert read_products(tmp_path / "products.csv") == products


def test_columns_that_nobody_fills_are_left_out(tmp_path: Path) -> None:
    write_data_files(tmp_path, catalogue("1"), [labelled("q-1", "a", "1"), labelled("q-2", "b")])

    assert (tmp_path / "matches.csv").read_text() == (
        "query_id,text,product_id,split\nq-1,a,1,\nq-2,b,,\n"
    )
