import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.contract.text import normalise
from service.signals.mpn import mpn_of, mpns_in


@pytest.mark.parametrize(
    ("entry", "mpn"),
    [
        ("WH-1000XM4", "wh1000xm4"),
        (" wh 1000 xm4 ", "wh1000xm4"),
        ("4082C002", "4082c002"),
        ("123456", "123456"),
        ("2024", None),
        ("12345", None),
        ("R5", None),
        ("Black", None),
        ("---", None),
        ("", None),
    ],
)
def test_an_entry_is_compared_in_this_form(entry: str, mpn: str | None) -> None:
    assert mpn_of(entry) == mpn


def test_a_text_holds_parts_that_may_be_part_numbers() -> None:
    assert mpns_in("sony wh-1000xm4/b (4082c002), 2024 black") == ["wh1000xm4b", "4082c002"]


@given(st.text(max_size=40))
def test_a_part_number_that_stands_alone_is_found_in_its_text(entry: str) -> None:
    mpn = mpn_of(entry)

    if mpn is not None:
        assert mpns_in(normalise(mpn)) == [mpn]
