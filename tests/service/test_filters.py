import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.filters import Codes, Mask, Masks, ProductFilter, admits

levels = st.lists(st.sampled_from(["Phones", "Phone", "Android", " >", ""]), min_size=1, max_size=3)
categories = st.none() | levels.map(" > ".join)


@pytest.mark.parametrize(
    ("field", "value", "wanted", "expected"),
    [
        ("category", "Phones", ["Phones"], True),
        ("category", "Phones > Android", ["Phones"], True),
        ("category", "Phones > Android > Old", ["Phones > Android"], True),
        ("category", "Phonebooks", ["Phones"], False),
        ("category", "Phones", ["Phones > Android"], False),
        ("category", "Home > Phones", ["Phones"], False),
        ("category", "Phones>Android", ["Phones"], False),
        ("category", "TVs", ["Phones", "TVs"], True),
        ("category", None, ["Phones"], False),
        ("brand", "Sony", ["LG", "Sony"], True),
        ("brand", "sony", ["Sony"], False),
        ("brand", "Sony > Mobile", ["Sony"], False),
        ("brand", None, [""], False),
    ],
)
def test_a_value_is_admitted_by_its_levels_or_to_the_letter(
    field: str, value: str | None, wanted: list[str], expected: bool
) -> None:
    assert admits(field, value, wanted) is expected


@given(st.lists(categories, max_size=8), st.lists(levels.map(" > ".join), min_size=1, max_size=2))
def test_a_column_of_codes_admits_what_its_values_do(
    values: list[str | None], wanted: list[str]
) -> None:
    column = pa.chunked_array([pa.array(values, pa.string())])

    for field in ("category", "brand"):
        mask = Codes(column).mask(field, wanted)
        assert mask.tolist() == [admits(field, value, wanted) for value in values]


def test_a_column_in_several_chunks_is_one_column() -> None:
    column = pa.chunked_array([pa.array(["a", "b"]), pa.array([None, "a"], pa.string())])

    assert Codes(column).mask("brand", ["a"]).tolist() == [True, False, False, True]


def test_filters_are_the_same_whatever_the_order_of_their_fields_and_values() -> None:
    one = ProductFilter.of({"brand": ["Sony", "LG", "LG"], "category": "Phones"})
    other = ProductFilter.of({"category": ["Phones"], "brand": ["LG", "Sony"]})

    assert one == other
    assert hash(one) == hash(other)
    assert one.fields == ("brand", "category")


def test_a_product_needs_every_field_of_a_filter() -> None:
    wanted = ProductFilter.of({"brand": "Sony", "category": "TVs"})

    assert wanted.admits({"brand": "Sony", "category": "TVs > OLED"}.get)
    assert not wanted.admits({"brand": "Sony", "category": "Phones"}.get)
    assert not wanted.admits({"category": "TVs"}.get)


def test_masks_are_made_once_and_only_so_many_are_kept() -> None:
    made: list[str] = []

    def make(wanted: ProductFilter) -> Mask:
        made.append(wanted.terms[0][1][0])
        return np.ones(2, dtype=bool)

    masks = Masks(most=2)
    a, b, c = (ProductFilter.of({"brand": value}) for value in "abc")

    assert masks.of(a, make) is masks.of(a, make)
    for wanted in (b, a, c, a, b):  # b was used least recently when c came
        masks.of(wanted, make)
    assert made == ["a", "b", "c", "b"]
    with pytest.raises(ValueError, match="read-only"):
        masks.of(a, make)[0] = False
