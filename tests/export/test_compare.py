"""Two bundles side by side: changed products, decisions, catalogues, encoders."""

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from export import compare as shown
from export.__main__ import main
from export.changes import Change, Comparison, Side, compare
from service.opening import open_recommender
from tests.tiny import PRODUCTS, write_bundle
from tests.training.data.labelled import labelled, write
from training.data.matches import LabelledQuery, Query

TEXTS = [*(title for _, title, _ in PRODUCTS), "sony wh-1000xm4", "canon eos body", "cable", ""]
QUERIES = [Query(f"q{n}", text, None) for n, text in enumerate(TEXTS)]


def side(folder: Path) -> Side:
    return Side(*open_recommender(folder))


def written(folder: Path, **changes: Any) -> Path:
    return write_bundle(folder, **changes).folder


def compared(
    a: Path, b: Path, queries: Sequence[Query] | Sequence[LabelledQuery] = QUERIES
) -> Comparison:
    return compare(side(a), side(b), queries)


def run(monkeypatch: pytest.MonkeyPatch, *words: str | Path) -> int:
    monkeypatch.setattr(sys, "argv", ["export", "compare", *map(str, words)])
    return main()


def test_a_bundle_compared_with_itself_has_no_change_at_all(tiny_bundle: Path) -> None:
    figures = compared(tiny_bundle, tiny_bundle).figures()

    assert figures["changed"] == figures["changed_best_product"] == 0
    assert figures["same_best_product"] == figures["queries"] == len(QUERIES)
    shift = {"queries": 11, "percentile_5": 0, "median": 0, "percentile_95": 0}
    assert figures["similarity_shift"] == shift
    assert figures["products_only_in_a"] == figures["products_only_in_b"] == 0
    assert figures["labels"] is None


def test_another_threshold_changes_decisions_and_no_product(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    closed = written(tmp_path / "closed", threshold=None)

    figures, back = compared(tiny_bundle, closed).figures(), compared(closed, tiny_bundle).figures()

    accepted = figures["decisions"]["accepted_to_review"]
    assert accepted >= 6
    assert figures["changed_best_product"] == 0
    assert figures["changed"] == accepted == back["decisions"]["review_to_accepted"]
    assert sum(figures["decisions"].values()) == len(QUERIES)


def test_an_accepted_answer_that_names_another_product_comes_first(tmp_path: Path) -> None:
    """Bundle B sells the R6 under another id; its text is the same, its id is not."""
    renamed = [("p-44" if i == "p-4" else i, title, kind) for i, title, kind in PRODUCTS]
    a = written(tmp_path / "a", threshold=0.95)
    b = written(tmp_path / "b", threshold=0.6, products=renamed)

    comparison = compared(a, b)

    first = comparison.by_danger()[0]
    assert (first.query.text, first.change) == (
        "Canon EOS R6 Body",
        Change.ACCEPTED_OTHER_PRODUCT,
    )
    assert comparison.lonely_products(first) == ["a", "b"]
    assert (comparison.only_in_a, comparison.only_in_b) == ({"p-4"}, {"p-44"})
    figures = comparison.figures()
    assert figures["decisions"]["accepted_other_product"] == 1
    assert figures["decisions"]["review_to_accepted"] >= 1
    assert figures["changed_with_a_product_of_one_catalogue"] >= 1
    assert sum(figures["decisions"].values()) == len(QUERIES)


def test_bundles_of_different_encoders_and_dimensions_are_compared(
    tiny_bundle: Path, bundle: Path
) -> None:
    """One has 16 numbers and 8 products, the other 32 and 30, and no product in common."""
    comparison = compared(tiny_bundle, bundle)

    figures = comparison.figures()
    assert figures["changed_best_product"] == len(QUERIES) - 1
    assert figures["same_best_product"] == 1, "the blank text has no product in either"
    assert (figures["products_only_in_a"], figures["products_only_in_b"]) == (8, 30)


def test_labels_tell_better_from_worse(tiny_bundle: Path, tmp_path: Path) -> None:
    without = [product for product in PRODUCTS if product[0] != "p-4"]
    b = written(tmp_path / "b", products=without)
    queries = [
        labelled("known", "Canon EOS R6 Body", "p-4"),
        labelled("other", "Nikon Z6 II Body", "p-6"),
        labelled("none", "Bose QuietComfort 45 White"),
    ]

    labels = compared(tiny_bundle, b, queries).figures()["labels"]

    assert (labels["right_to_wrong"], labels["wrong_to_right"]) == (1, 0)
    assert (labels["a"]["precision_at_1"], labels["b"]["precision_at_1"]) == (1.0, 0.5)
    assert (labels["a"]["coverage"], labels["a"]["accepted"], labels["a"]["wrong"]) == (1.0, 3, 1)
    assert labels["a"]["accepted_precision"] == pytest.approx(2 / 3)
    back = compared(b, tiny_bundle, queries).figures()["labels"]
    assert (back["right_to_wrong"], back["wrong_to_right"]) == (0, 1)


def test_no_query_is_no_change_and_no_failure(tiny_bundle: Path) -> None:
    comparison = compared(tiny_bundle, tiny_bundle, [])

    figures = comparison.figures()
    assert (figures["queries"], figures["similarity_shift"]["median"]) == (0, None)
    assert list(shown.report(side(tiny_bundle), side(tiny_bundle), comparison))


def test_the_command_writes_a_row_for_every_changed_query(
    tiny_bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    renamed = [("p-44" if i == "p-4" else i, title, kind) for i, title, kind in PRODUCTS]
    b = written(tmp_path / "b", products=renamed)
    rows = ["q1,Canon EOS R6 Body,p-4", "q2,Nikon Z6 II Body,p-6", "q3,bose white,p-99"]
    matches = write(tmp_path / "matches.csv", "query_id,text,product_id", *rows)

    code = run(
        monkeypatch, "--bundle", tiny_bundle, "--bundle", b, "--matches", matches,
        "--out", tmp_path / "changed.csv", "--json", tmp_path / "figures.json",
    )  # fmt: skip

    assert code == 0
    said = capsys.readouterr()
    with (tmp_path / "changed.csv").open(newline="") as file:
        [row] = csv.DictReader(file)
    assert tuple(row) == shown.COLUMNS + shown.LABEL_COLUMNS
    assert (row["query_id"], row["change"]) == ("q1", "accepted_other_product")
    assert (row["product_a"], row["product_b"]) == ("p-4", "p-44")
    assert (row["decision_a"], row["reason_b"]) == ("auto_accepted", "above_threshold")
    assert row["only_in_one_catalogue"] == "product_a and product_b"
    assert (row["correct_a"], row["correct_b"]) == ("true", "false")
    assert "A auto_accepted (above_threshold) p-4 at 1.0000, only in A" in said.out
    assert "products only in the catalogue of B: 1 (p-44)" in said.out
    assert "best product right in A, wrong in B: 1" in said.out
    assert "1 of 3 queries name a product that is not in the catalogue of bundle A" in said.err
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["bundle_a"]["products"] == 8
    assert figures["bundle_a"]["bundle_id"] != figures["bundle_b"]["bundle_id"]
    assert figures["labels"]["right_to_wrong"] == 1


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "tsv.gz"])
def test_nothing_changed_is_still_a_file_of_any_kind(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    queries = write(tmp_path / "queries.csv", "query_id,text", "q1,Canon EOS R6 Body")
    two = ("--bundle", tiny_bundle, "--bundle", tiny_bundle)

    assert run(monkeypatch, *two, "--queries", queries, "--out", tmp_path / f"c.{kind}") == 0
    assert (tmp_path / f"c.{kind}").exists()


def test_the_screen_says_how_many_changed_queries_it_leaves_out(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shown, "SHOWN", 2)
    comparison = compared(tiny_bundle, written(tmp_path / "closed", threshold=None))
    changed = len(comparison.changed())

    lines = list(shown.changed_lines(comparison, None))
    with_file = list(shown.changed_lines(comparison, Path("all.csv")))

    assert lines[0].startswith(f"changed: {changed} of {len(QUERIES)} queries")
    assert len(lines) == 1 + 2 * 3 + 1
    assert lines[-1] == f"  and {changed - 2} more; --out FILE writes them all"
    assert with_file[-1] == f"written to all.csv: {changed} changed queries"


@pytest.mark.parametrize("count", [0, 1, 3])
def test_two_bundles_are_needed_and_the_message_says_how_many_were_found(
    count: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bundles = [word for _ in range(count) for word in ("--bundle", "b")]

    assert run(monkeypatch, *bundles, "--queries", tmp_path / "queries.csv") == 2
    assert f"two bundles are needed, --bundle names {count}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "one of the arguments --queries --matches is required"),
        (("--queries", "q.csv", "--matches", "m.csv"), "not allowed with argument"),
        (("--queries", "q.csv", "--split", "test"), "--split means nothing for --queries"),
    ],
)
def test_queries_or_labelled_queries_are_given_and_never_both(
    words: tuple[str, ...],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    try:
        code: Any = run(monkeypatch, "--bundle", "a", "--bundle", "b", *words)
    except SystemExit as leaving:
        code = leaving.code
    assert code == 2
    assert said in capsys.readouterr().err


def test_an_output_of_an_unknown_kind_is_said_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--queries", tmp_path / "queries.csv", "--out", tmp_path / "changes.doc")

    assert run(monkeypatch, "--bundle", "a", "--bundle", "b", *words) == 1
    assert "changes.doc is of no kind" in capsys.readouterr().err


def test_a_precision_that_one_bundle_alone_promises_is_said(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    """A caller that asks for 90 % or 98 % would lose its promise if B replaced A."""
    a = written(tmp_path / "a", further={0.9: 0.6, 0.98: 0.9, 0.99: None})
    b = written(tmp_path / "b", threshold=None, further={0.5: 0.4, 0.98: None})
    comparison = compared(a, b)

    lines = list(shown.report(side(a), side(b), comparison))
    same = shown.report(side(tiny_bundle), side(tiny_bundle), comparison)

    assert "precisions that only A promises: 90%, 95%, 98%" in lines
    assert "precisions that only B promises: 50%" in lines
    assert not [line for line in same if line.startswith("precisions")]
    assert shown.side_figures(side(b))["operating_points"] == [
        {"target_precision": 0.95, "threshold": None},
        {"target_precision": 0.5, "threshold": 0.4},
        {"target_precision": 0.98, "threshold": None},
    ]
