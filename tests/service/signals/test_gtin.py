import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.signals.gtin import LENGTHS, gtin_of, gtins_in, is_valid

bodies = st.sampled_from(LENGTHS).flatmap(
    lambda n: st.text("0123456789", min_size=n - 1, max_size=n - 1)
)


def checked(body: str) -> str:
    """Return the digits with their check digit, by trying all ten."""
    return next(body + d for d in "0123456789" if _sum(body + d) % 10 == 0)


def _sum(digits: str) -> int:
    """The sum as the specification tells it: weights 3 and 1 in turn, from the right."""
    weights = [1, 3] * 7
    return sum(int(d) * w for d, w in zip(digits[::-1], weights, strict=False))


@pytest.mark.parametrize(
    ("entry", "gtin"),
    [
        ("4006381333931", "04006381333931"),
        ("96385074", "00000096385074"),
        ("012345678905", "00012345678905"),
        ("0 12345 67890 5", "00012345678905"),
        ("978-3-16-148410-0", "09783161484100"),
        ("10012345678902", "10012345678902"),
        ("4006381333932", None),
        ("00000000", None),
        ("0000000000000", None),
        ("400638133393", None),
        ("4.00638E+12", None),
        ("4006381333931.0", None),
        ("\u0664006381333931", None),
        ("n/a", None),
        ("", None),
        ("1" * 200, None),
    ],
)
def test_an_entry_is_this_gtin_or_none(entry: str, gtin: str | None) -> None:
    assert gtin_of(entry) == gtin


@given(bodies)
def test_of_ten_last_digits_exactly_one_is_the_check_digit(body: str) -> None:
    valid = [d for d in "0123456789" if is_valid(body + d)]

    assert valid == ([] if not body.strip("0") else [checked(body)[-1]])


@given(bodies.filter(lambda body: bool(body.strip("0"))), st.integers(0, 12), st.integers(1, 9))
def test_one_wrong_digit_is_always_found(body: str, place: int, off: int) -> None:
    digits = checked(body)
    at = place % len(digits)
    wrong = digits[:at] + str((int(digits[at]) + off) % 10) + digits[at + 1 :]

    assert not is_valid(wrong)


@pytest.mark.parametrize(
    ("text", "found", "wrong"),
    [
        ("sony headphones 4905524930016 black", ("04905524930016",), 0),
        ("4 905524 930016", ("04905524930016",), 0),
        ("ean:4905524930016.", ("04905524930016",), 0),
        ("50 4905524930016 2", ("04905524930016",), 0),
        ("4905524930017", (), 1),
        ("4905524930017 4006381333931", ("04006381333931",), 1),
        ("0000000000000", (), 1),
        ("x4905524930016", (), 0),
        ("4905524930016b", (), 0),
        ("4905524930016" + "0" * 187, (), 0),
        ("iphone 12 64 gb", (), 0),
        ("", (), 0),
    ],
)
def test_a_text_holds_these_gtins(text: str, found: tuple[str, ...], wrong: int) -> None:
    assert (gtins_in(text).valid, gtins_in(text).wrong) == (found, wrong)


@given(st.text("0123456789 -ab", max_size=300))
def test_whatever_is_found_in_a_text_is_valid_and_has_14_digits(text: str) -> None:
    for gtin in gtins_in(text).valid:
        assert len(gtin) == 14
        assert gtin_of(gtin.lstrip("0").zfill(14)) == gtin


def test_a_long_text_of_digits_is_read_without_a_number_per_window() -> None:
    assert gtins_in("1 " * 5000).valid == ()
    assert gtins_in("7" * 10_000).valid == ()
