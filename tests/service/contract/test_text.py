import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from service.contract.text import NORMALISER_VERSION, join_product_text, normalise

NASTY = (
    " \t\n\r\x00\x0b\x1c\x1f\x7f\x85\x9f\xa0\xad"  # controls, spaces, soft hyphen
    "\u0130\u0131\u017f\u0345\u0307\u0308\u0301\u1e9e\u03c2\ufb01"  # case and composition traps
    "\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u2060\u3000\ufeff"  # invisible ones
    "\ud800\udbff\udc00\udfff\ufffd\U0001f600\U000e0041"  # halves of pairs and astral ones
    "\u1100\u1161\u11a8\u0958\u0f71\u0f72\u0f80\uff21\u3392"  # Hangul, Devanagari, Tibetan, wide
)
any_character = st.characters() | st.sampled_from(NASTY)
any_text = st.text(any_character, max_size=40)

FROZEN = [
    # spaces
    ("", ""),
    ("   ", ""),
    (" a  b ", "a b"),
    ("a\tb\nc\rd\x0be\x0cf", "a b c d e f"),
    ("a\x1cb\x1db\x1eb\x1fc", "a b b b c"),
    ("a\u00a0b\u2003c\u3000d", "a b c d"),
    ("a\u2028b\u2029c\x85d", "a b c d"),
    # control characters part words, as a space would
    ("a\x00b", "a b"),
    ("\x00", ""),
    ("a\x1b[0mb", "a [0mb"),
    ("a\x7fb\x80c\x9fd", "a b c d"),
    # format characters are dropped: they part nothing
    ("soft\u00adhyphen", "softhyphen"),
    ("wh\u200b1000", "wh1000"),
    ("a\u200c\u200db", "ab"),
    ("\u200e\u200fabc\u202a\u202e", "abc"),
    ("\ufeffabc\u2060", "abc"),
    ("\u200b \u200b", ""),
    ("e\u200b\u0301", "\u00e9"),
    ("\U000e0041a", "a"),
    # case
    ("SONY WH-1000XM4", "sony wh-1000xm4"),
    ("Stra\u00dfe", "strasse"),
    ("STRA\u1e9eE", "strasse"),
    ("\u0130stanbul", "i\u0307stanbul"),
    ("\u0131", "\u0131"),
    ("\u039f\u0394\u039f\u03a3", "\u03bf\u03b4\u03bf\u03c3"),
    ("\u017f", "s"),
    # compatibility forms
    ("\ufb01lm", "film"),
    ("\uff21\uff22\uff23\u3000\uff11\uff12", "abc 12"),
    ("x\u00b2", "x2"),
    ("\u2460\u00bd", "11\u20442"),
    ("\u3392", "mhz"),
    ("\u2122", "tm"),
    ("\u212b", "\u00e5"),
    ("A\u030a", "\u00e5"),
    ("\uff76\uff9e", "\u30ac"),
    ("\u00a8", "\u0308"),
    ("\u1e9b\u0323", "\u1e69"),
    ("\u0390\u01f0", "\u0390\u01f0"),
    ("\u03b9\u0308\u0301", "\u0390"),
    # what is no character at all
    ("\ud800", "\ufffd"),
    ("\udc00\ud800", "\ufffd\ufffd"),
    ("a\ud800b", "a\ufffdb"),
    ("\ud83d\ude00", "\U0001f600"),
    ("\ufffd", "\ufffd"),
    # what stays
    ("\U0001f600", "\U0001f600"),
    ("\u5973\u88c5", "\u5973\u88c5"),
    ("3.5mm \u00b15%", "3.5mm \u00b15%"),
]


@pytest.mark.parametrize(("text", "expected"), FROZEN, ids=ascii)
def test_a_text_keeps_the_form_that_this_version_gave_it(text: str, expected: str) -> None:
    found = normalise(text)

    assert (found, NORMALISER_VERSION) == (expected, 1)


@given(any_text)
@settings(max_examples=500)
@example("\u0345\u0399\u0308\u0301")
@example("\ud83d\ud83d\ude00")
def test_normalising_twice_is_normalising_once(text: str) -> None:
    once = normalise(text)

    assert normalise(once) == once


def test_each_character_of_the_first_plane_is_normalised_once_and_for_all() -> None:
    once = [normalise(chr(code)) for code in range(0x10000)]

    assert [normalise(text) for text in once] == once


@given(any_text)
@settings(max_examples=300)
def test_no_control_format_or_surrogate_character_is_left(text: str) -> None:
    categories = {unicodedata.category(character) for character in normalise(text)}

    assert not categories & {"Cc", "Cf", "Cs"}


@given(any_text)
@settings(max_examples=300)
def test_words_are_parted_by_exactly_one_space(text: str) -> None:
    found = normalise(text)

    assert found == " ".join(found.split())


@given(any_text)
@settings(max_examples=300)
def test_the_result_is_composed_in_the_compatible_form(text: str) -> None:
    found = normalise(text)

    assert unicodedata.is_normalized("NFKC", found)


@given(any_text)
def test_the_result_can_be_written_as_utf_8(text: str) -> None:
    found = normalise(text)

    assert found.encode("utf-8").decode("utf-8") == found


@given(st.text(st.characters(codec="utf-8") | st.sampled_from("a\u0301\u0345\u1e9b\u0323\u00ad")))
@settings(max_examples=300)
def test_composed_and_decomposed_spelling_are_one_text(text: str) -> None:
    composed = normalise(unicodedata.normalize("NFC", text))

    assert composed == normalise(unicodedata.normalize("NFD", text)) == normalise(text)


@given(any_text)
def test_upper_and_lower_case_of_ascii_are_one_text(text: str) -> None:
    ascii_text = text.encode("ascii", "ignore").decode()

    assert normalise(ascii_text.upper()) == normalise(ascii_text.lower())


@given(st.lists(st.none() | any_text))
def test_a_product_text_is_the_words_of_its_columns_in_order(values: list[str | None]) -> None:
    joined = join_product_text(values)

    assert joined.split() == [word for value in values if value for word in value.split()]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], ""),
        ([None], ""),
        (["", "  ", None], ""),
        (["Sony"], "Sony"),
        ([" Sony ", None, "", "WH  1000"], "Sony WH  1000"),
        (["a", "b", "c"], "a b c"),
    ],
)
def test_empty_columns_leave_no_trace_in_a_product_text(
    values: list[str | None], expected: str
) -> None:
    assert join_product_text(values) == expected
