import dataclasses
from pathlib import Path

import pytest

from export.operating_point import SET_ASIDE_SHARE, LabelledSets, calibrate, labelled_sets
from export.served_answers import judge_served
from service.contract.errors import CalibrationError
from service.contract.manifest import Calibration
from service.recommender import Recommender
from tests.tiny import PRODUCTS, open_tiny
from training.calibration import thresholds_to_try
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


def test_validation_texts_count_once_as_well() -> None:
    sets = labelled_sets(MANY[:10], [query(50), query(51, "Offer  50"), query(52)], seed=0)

    assert len(sets.validation) == 2


def test_which_part_is_set_aside_follows_from_the_texts_not_from_their_ids() -> None:
    renamed = [dataclasses.replace(q, query_id=f"other-{q.query_id}") for q in MANY]

    assert texts(labelled_sets(renamed, None, seed=0).validation) == texts(
        labelled_sets(MANY, None, seed=0).validation
    )


def offers(step: int) -> list[LabelledQuery]:
    """Texts of two or three words of the tiny catalogue; every fourth names another product."""
    words = [(w, p) for p, title, _ in PRODUCTS[:6] for w in title.split()]
    pairs = [(f"{w} {words[(n + step) % len(words)][0]} {w}", p) for n, (w, p) in enumerate(words)]
    return [query(step * 100 + n, text, p) for n, (text, p) in enumerate(dict(pairs).items())]


@pytest.fixture(scope="module")
def sets() -> LabelledSets:
    return labelled_sets(
        [q for step in range(5, 20) for q in offers(step)],
        [q for step in range(1, 5) for q in offers(step)],
        seed=0,
    )


def calibration_of(recommender: Recommender, sets: LabelledSets) -> Calibration:
    return calibrate(recommender, sets, target_precision=0.2, confidence=0.5)


def test_thresholds_come_from_the_validation_queries_alone(
    tiny_bundle: Path, sets: LabelledSets
) -> None:
    """Taken from the calibration queries they would void the promise."""
    recommender = open_tiny(tiny_bundle)

    point = calibration_of(recommender, sets).operating_point

    assert point is not None
    for part, is_source in ((sets.validation, True), (sets.calibration, False)):
        judged = judge_served(recommender, part, what="queries")
        grid = thresholds_to_try(judged.similarity, judged.is_correct, target_precision=0.2)
        assert (point.threshold in grid) is is_source


def test_the_counts_are_those_of_the_sets(tiny_bundle: Path, sets: LabelledSets) -> None:
    calibration = calibration_of(open_tiny(tiny_bundle), sets)

    assert calibration.queries == len(sets.calibration) > 50
    assert calibration.validation_queries == len(sets.validation) > 20
    assert calibration.operating_point is not None
    assert calibration.operating_point.queries == len(sets.calibration)


def test_the_digest_speaks_of_texts_positives_and_parts_not_of_their_order(
    tiny_bundle: Path, sets: LabelledSets
) -> None:
    def digest(validation: list[LabelledQuery], calibration: list[LabelledQuery]) -> str:
        changed = LabelledSets(validation, calibration)
        return calibration_of(open_tiny(tiny_bundle), changed).data_sha256

    one, rest = sets.calibration[0], sets.calibration[1:]
    original = digest(sets.validation, sets.calibration)

    assert original == digest(sets.validation[::-1], [*rest, one])
    relabelled = dataclasses.replace(one, positives=("p-8",))
    reworded = dataclasses.replace(one, text=f"{one.text} new")
    others = {
        digest(sets.validation, [relabelled, *rest]),
        digest(sets.validation, [reworded, *rest]),
        digest([*sets.validation, one], rest),
    }
    assert len(others - {original}) == 3


def test_no_calibration_query_is_an_error() -> None:
    with pytest.raises(CalibrationError, match="no calibration query"):
        labelled_sets([], MANY[:5], seed=0)


def test_queries_are_not_changed() -> None:
    before = [dataclasses.replace(q) for q in MANY[:10]]
    labelled_sets(MANY[:10], None, seed=0)

    assert before == MANY[:10]


def test_every_similarity_is_counted_whether_it_could_be_accepted_or_not(tiny_bundle: Path) -> None:
    """The live histogram has twins in it too; a blank text has no similarity in either."""
    queries = [query(0, "generic cable", "p-7"), query(1, "canon eos r6 body", "p-4"), query(2, "")]
    sets = LabelledSets(validation=offers(1), calibration=queries)

    calibration = calibration_of(open_tiny(tiny_bundle), sets)

    assert calibration.top_similarity is not None
    assert sum(calibration.top_similarity.counts) == 2
    assert sum(calibration.top_similarity.counts[-3:]) == 2
    assert Calibration.model_validate_json(calibration.model_dump_json()) == calibration
