from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from export.build import Promise, build_bundle
from export.evaluate import evaluate
from export.operating_point import LabelledSets, labelled_sets
from export.promises import promise_lines
from export.recommend import COLUMNS, SIGNAL_COLUMNS, recommend_file
from export.signals import SignalOptions, identifier_columns
from service.contract import bundle as bundles
from service.contract.bundle import open_bundle
from service.contract.errors import ConfigError
from service.contract.signals import DecidesOn, IdentifierKind
from service.opening import open_recommender
from service.signals.features import LEXICAL_FEATURES
from training.checkpoint import Checkpoint
from training.data.folders import DataFolder
from training.data.matches import LabelledQuery, Query
from training.data.products import Product, Products
from training.data.tables import read_table

GTIN = IdentifierKind.GTIN


def gtin(number: int) -> str:
    """Return a valid GTIN of 13 digits, another one for each number."""
    body = f"{400000000000 + number}"
    total = sum(int(d) * (3 if at % 2 else 1) for at, d in enumerate(body))
    return f"{body}{-total % 10}"


def with_column(products: Products, name: str, entries: Sequence[str]) -> Products:
    items = tuple(
        replace(product, attributes={**product.attributes, name: entry})
        for product, entry in zip(products.items, entries, strict=True)
    )
    return Products(items, (*products.attribute_names, name))


def with_gtins(queries: Sequence[LabelledQuery], of: Mapping[str, str]) -> list[LabelledQuery]:
    return [
        replace(q, text=f"{q.text} {of[q.positives[0]]}") if q.positives else q for q in queries
    ]


@pytest.fixture(scope="module")
def sets(data: DataFolder) -> LabelledSets:
    return labelled_sets(data.split("calibration"), data.split("validation"), seed=0)


@pytest.fixture(scope="module")
def scored(
    checkpoint: Checkpoint,
    data: DataFolder,
    sets: LabelledSets,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A bundle that decides on a score with lexical candidates."""
    out = tmp_path_factory.mktemp("scored") / "bundle"
    options = SignalOptions(lexical=True, score=True)
    promise = Promise(0.8, 0.95)
    build_bundle(checkpoint, data.products, sets, out, promise=promise, signals=options)
    return out


def test_a_bundle_that_decides_on_a_score_says_so_and_serves_it(
    scored: Path, sets: LabelledSets
) -> None:
    manifest = open_bundle(scored).manifest
    assert manifest.decides_on is DecidesOn.SCORE
    assert manifest.signals is not None
    assert manifest.signals.score is not None
    assert manifest.signals.score.queries == len(sets.validation)
    assert manifest.signals.score.features[-2:] == LEXICAL_FEATURES
    assert set(bundles.LEXICAL) <= set(manifest.files)
    assert "at score" in manifest.calibration.explanation or manifest.threshold is None

    recommender, _ = open_recommender(scored)
    for answer in recommender.recommend([q.text for q in sets.calibration], k=3):
        found = [best.score for best in answer.recommendations]
        assert found == sorted((s for s in found if s is not None), reverse=True)


def test_what_was_calibrated_is_what_is_served(scored: Path, sets: LabelledSets) -> None:
    recommender, manifest = open_recommender(scored)

    answers = recommender.recommend([query.text for query in sets.calibration])

    accepted = sum(answer.decision == "auto_accepted" for answer in answers)
    assert manifest.operating_point is not None
    assert accepted == manifest.operating_point.accepted


def test_evaluation_speaks_of_the_score(scored: Path, data: DataFolder) -> None:
    recommender, manifest = open_recommender(scored)

    figures = evaluate(recommender, manifest, data.split("test")).figures()

    assert figures["decides_on"] == "score"
    assert figures["identifier_matches"] == {}
    assert figures["precision_at_1"] > 0.5


def test_answers_for_a_file_name_score_and_identifier(scored: Path, tmp_path: Path) -> None:
    recommender, _ = open_recommender(scored)

    recommend_file(recommender, [Query("q", "acme lamp red", None)], tmp_path / "a.csv", k=2)

    assert tuple(read_table(tmp_path / "a.csv").columns) == COLUMNS + SIGNAL_COLUMNS


def test_the_same_build_gives_the_same_bundle_byte_for_byte_but_for_its_time(
    checkpoint: Checkpoint, data: DataFolder, sets: LabelledSets, scored: Path, tmp_path: Path
) -> None:
    options, promise = SignalOptions(lexical=True, score=True), Promise(0.8, 0.95)
    again = build_bundle(
        checkpoint, data.products, sets, tmp_path / "b", promise=promise, signals=options
    ).manifest
    first = open_bundle(scored).manifest

    assert again.signals == first.signals
    assert {n: again.files[n] for n in bundles.LEXICAL} == {
        n: first.files[n] for n in bundles.LEXICAL
    }


@pytest.mark.parametrize(("is_calibrated", "reason"), [(True, "identifier_match"), (False, None)])
def test_gtins_are_accepted_only_where_calibration_queries_show_what_they_are_worth(
    checkpoint: Checkpoint,
    data: DataFolder,
    tmp_path: Path,
    *,
    is_calibrated: bool,
    reason: str | None,
) -> None:
    ids = data.products.product_ids()
    of = {product_id: gtin(number) for number, product_id in enumerate(ids)}
    products = with_column(data.products, "ean", [of[product_id] for product_id in ids])
    validation, calibration = data.split("validation"), data.split("calibration")
    if is_calibrated:
        validation, calibration = with_gtins(validation, of), with_gtins(calibration, of)
    sets = labelled_sets(calibration, validation, seed=0)

    build_bundle(checkpoint, products, sets, tmp_path / "bundle", promise=Promise(0.8, 0.9))

    recommender, manifest = open_recommender(tmp_path / "bundle")
    assert manifest.signals is not None
    [column] = manifest.signals.identifiers
    assert (column.kind, column.column, column.products) == (GTIN, "ean", len(ids))
    [answer] = recommender.recommend([f"nothing like it {of[ids[3]]}"])
    assert answer.recommendations[0].product_id == ids[3]
    if is_calibrated:
        [point] = manifest.signals.points_at(0.8)
        assert (point.matches, point.wrong, point.is_accepted) == (60, 0, True)
        assert answer.reason == reason
        assert manifest.coverage_at(None) >= 60 / 61
        lines = "\n".join(promise_lines(manifest, shown=0.8))
        assert f" {manifest.coverage_at(None):.3f} |" in lines
        assert "are accepted as well" in lines
        assert "every query goes to review" not in lines
        figures = evaluate(recommender, manifest, with_gtins(data.split("test"), of)).figures()
        assert figures["identifier_matches"] == {"gtin": {"queries": 30, "wrong": 0}}
        assert figures["accepted"] >= 30
        assert figures["accepted_precision"] >= 30 / 31
    else:
        assert manifest.signals.identifier_points == ()
        assert answer.decision == "manual_review" or answer.reason == "above_threshold"


def products_with(names: Sequence[str]) -> Products:
    values = dict.fromkeys(names, "4006381333931")
    items = (Product("a", "A", None, values), Product("b", "B", None, {}))
    return Products(items, tuple(names))


def test_columns_are_found_by_their_names_and_that_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = identifier_columns(products_with(["EAN", "colour", "mpn", "gtin_of_box"]), None)

    assert [(one.kind.value, one.column) for one in found] == [("gtin", "EAN"), ("mpn", "mpn")]
    said = capsys.readouterr()
    assert "column EAN is taken for GTIN (found by its name" in said.out + said.err


def test_columns_that_are_named_are_taken_and_no_others() -> None:
    products = products_with(["ean", "code"])

    assert identifier_columns(products, []) == ()
    [found] = identifier_columns(products, [(GTIN, "code")])
    assert (found.column, found.products, found.unusable, found.shared) == ("code", 1, 0, 0)
    with pytest.raises(ConfigError, match=r"no column 'barcode' .* only ean, code; name one"):
        identifier_columns(products, [(GTIN, "barcode")])
    with pytest.raises(
        ConfigError, match="no column 'ean' for --identifiers, nor any other; write"
    ):
        identifier_columns(products_with([]), [(GTIN, "ean")])


def test_a_column_that_is_not_there_stops_the_build_before_its_work(
    checkpoint: Checkpoint,
    data: DataFolder,
    sets: LabelledSets,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options, promise = SignalOptions([(GTIN, "barcode")]), Promise(0.8, 0.95)

    with pytest.raises(ConfigError, match="no column 'barcode'"):
        build_bundle(
            checkpoint, data.products, sets, tmp_path / "b", promise=promise, signals=options
        )

    assert tuple(capsys.readouterr()) == ("", "")
    assert not list(tmp_path.iterdir())
