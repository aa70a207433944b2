from typing import Any

import pytest

from service.contract.signals import IdentifierKind, IdentifierRule
from service.signals import IdentifierStatus, IdentifierTable, QueryText, described

GTIN, MPN = IdentifierKind.GTIN, IdentifierKind.MPN
FIRST, SECOND, THIRD = "4905524930016", "4905524930023", "4006381333931"


@pytest.fixture(scope="module")
def table() -> IdentifierTable:
    return IdentifierTable.of(
        {
            GTIN: [
                [FIRST, f"{SECOND}; {THIRD}", "4905524930017", THIRD, None, "0000000000000"],
                [FIRST, None, None, None, None, None],
            ],
            MPN: [["WH-1000XM4", "AB12", None, "ab-12", "2024", "XK200Z"]],
        }
    )


@pytest.mark.parametrize(
    ("query", "status", "kind", "rows"),
    [
        ({"text": f"sony {FIRST}"}, "matched", GTIN, (0,)),
        ({"text": "sony 4 905524 930016 blk"}, "matched", GTIN, (0,)),
        ({"text": "sony", "gtin": SECOND}, "matched", GTIN, (1,)),
        ({"text": "x", "gtin": THIRD}, "ambiguous", GTIN, (1, 3)),
        ({"text": f"{FIRST} and {SECOND}"}, "ambiguous", GTIN, (0, 1)),
        ({"text": FIRST, "gtin": SECOND}, "ambiguous", GTIN, (1, 0)),
        ({"text": "sony wh-1000xm4 black"}, "matched", MPN, (0,)),
        ({"text": "x", "mpn": "wh1000 xm4"}, "matched", MPN, (0,)),
        ({"text": f"case for wh-1000xm4 {SECOND}"}, "matched", GTIN, (1,)),
        ({"text": "wh-1000xm4 or xk200z"}, "ambiguous", MPN, (0, 5)),
        ({"text": "x", "gtin": "4905524930017"}, "invalid_check_digit", None, ()),
        ({"text": "x 4905524930017"}, "invalid_check_digit", None, ()),
        ({"text": "xk200z", "gtin": "4905524930017"}, "matched", MPN, (5,)),
        ({"text": "x", "gtin": "0000000000000"}, "invalid_gtin", None, ()),
        ({"text": "x", "gtin": "n/a"}, "invalid_gtin", None, ()),
        ({"text": "x", "gtin": ""}, "invalid_gtin", None, ()),
        ({"text": "x", "gtin": "96385074"}, "unknown", None, ()),
        ({"text": "x", "mpn": "ab12"}, "unknown", None, ()),
        ({"text": "x", "mpn": "?"}, "unknown", None, ()),
    ],
)
def test_identifiers_name_these_products(
    table: IdentifierTable,
    query: dict[str, Any],
    status: str,
    kind: IdentifierKind | None,
    rows: tuple[int, ...],
) -> None:
    match = table.look_up(QueryText(**query))

    assert match is not None
    assert (match.status, match.kind, match.rows) == (status, kind, rows)
    assert match.row == (rows[0] if status == "matched" else None)


@pytest.mark.parametrize("text", ["", "sony black", "ab12 2024", "96385074", "1" * 200, "2024"])
def test_a_text_without_an_identifier_of_the_catalogue_has_none(
    table: IdentifierTable, text: str
) -> None:
    assert table.look_up(QueryText(text)) is None


def test_products_that_came_and_went_change_what_is_named(table: IdentifierTable) -> None:
    changed = table.with_changes(removed=[3], fresh={6: {GTIN: [FIRST], MPN: ["QQ77"]}})

    def row_of(**given: str) -> tuple[str, tuple[int, ...]]:
        match = changed.look_up(QueryText("", **given))
        assert match is not None
        return match.status, match.rows

    assert row_of(gtin=THIRD) == ("matched", (1,))
    assert row_of(gtin=FIRST) == ("ambiguous", (0, 6))
    assert row_of(mpn="qq77") == ("matched", (6,))
    assert row_of(mpn="ab12") == ("matched", (1,))
    again = changed.with_changes(removed=[], fresh={})
    assert again.look_up(QueryText("", mpn="qq77")) != changed.look_up(QueryText("", mpn="qq77"))
    before = table.look_up(QueryText("", gtin=THIRD))
    assert before is not None
    assert before.status is IdentifierStatus.AMBIGUOUS


def test_a_column_is_described_with_what_cannot_be_used_and_what_is_shared() -> None:
    entries = [FIRST, f"{SECOND}|{THIRD}", "4905524930017", THIRD, None, "n/a", " ", "00000000"]

    column = described(GTIN, "ean", entries)

    assert (column.products, column.unusable, column.shared) == (3, 3, 1)


def test_a_kind_that_was_never_calibrated_is_left_to_the_threshold(table: IdentifierTable) -> None:
    match = table.look_up(QueryText("", gtin=FIRST))

    assert match is not None
    assert match.rule_in({}) is IdentifierRule.BY_THRESHOLD
    assert match.rule_in({MPN: IdentifierRule.ACCEPTED}) is IdentifierRule.BY_THRESHOLD
    assert match.rule_in({GTIN: IdentifierRule.REVIEW}) is IdentifierRule.REVIEW
