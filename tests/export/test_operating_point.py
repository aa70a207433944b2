import dataclasses

import pytest

from export.operating_point import SET_ASIDE_SHARE, labelled_sets
from service.contract.errors import CalibrationError
from training.data.matches import LabelledQuery


def query(number: int, text: str | None = None, product: str = "p") -> LabelledQuery:
    return LabelledQuery(
        query_id=f"q{number}",
        text=f"offer {number}" if text is None else text,
        positives=(product,),
        split=None,
        user_id=None,
        grades={product: 2},
        row=number + 1,
    )


MANY = [query(n) for n in range(2000)]


def texts(queries: list[LabelledQuery]) -> set[str]:
    return {q.text for q in queries}


def test_without_a_validation_file_a_seeded_part_is_set_aside() -> None:
    sets = labelled_sets(MANY, None, seed=0)

    assert len(sets.validation) + len(sets.calibration) == 2000
    assert not texts(sets.validation) & texts(sets.calibration)
    assert len(sets.validation) / 2000 == pytest.approx(SET_ASIDE_SHARE, abs=0.04)
    assert labelled_sets(MANY, None, seed=0) == sets
    assert labelled_sets(MANY, None, seed=1) != sets


def test_the_part_set_aside_does_not_depend_on_the_order_of_the_file() -> None:
    one = labelled_sets(MANY, None, seed=0)
    other = labelled_sets(MANY[::-1], None, seed=0)

    assert texts(one.validation) == texts(other.validation)


def test_a_text_counts_once_whatever_its_spelling() -> None:
    repeated = [query(0, "Sony TV"), query(1, "sony  tv"), query(2, "other")]

    sets = labelled_sets(repeated, [], seed=0)

    assert len(sets.calibration) == 2


def test_a_text_with_conflicting_products_is_one_row_with_one_product() -> None:
    conflict = [query(0, "sony tv", "p1"), query(1, "sony tv", "p2")]

    [row] = labelled_sets(conflict, [], seed=0).calibration

    assert row.positives in (("p1",), ("p2",))


def test_a_calibration_text_is_not_used_to_choose_the_grid_as_well() -> None:
    sets = labelled_sets(MANY[:10], [query(3), query(50)], seed=0)

    assert texts(sets.validation) == {"offer 50"}


def test_no_calibration_query_is_an_error() -> None:
    with pytest.raises(CalibrationError, match="no calibration query"):
        labelled_sets([], MANY[:5], seed=0)


def test_queries_are_not_changed() -> None:
    before = [dataclasses.replace(q) for q in MANY[:10]]
    labelled_sets(MANY[:10], None, seed=0)

    assert before == MANY[:10]
