import json
from pathlib import Path

import numpy as np
import pytest

from export.evaluate import Evaluation, evaluate, served_figures
from export.plot import draw_evaluation
from service.contract.decision import Decision
from service.contract.errors import DataError, UsageError
from service.opening import open_recommender
from training.command import write_json
from training.data.folders import DataFolder
from training.evaluation import JudgedQueries
from training.metrics import coverage_at_precision


@pytest.fixture(scope="module")
def evaluation(bundle: Path, data: DataFolder) -> Evaluation:
    recommender, manifest = open_recommender(bundle)
    queries = data.split("test") + data.split("calibration")
    return evaluate(recommender, manifest, queries, baselines=("tfidf", "untrained"))


def test_every_figure_equals_a_recount_of_the_services_answers(
    evaluation: Evaluation, bundle: Path, data: DataFolder
) -> None:
    recommender, manifest = open_recommender(bundle)
    queries = data.split("test") + data.split("calibration")
    answers = recommender.recommend([query.text for query in queries], k=10)
    right = [
        a.recommendations[0].product_id in q.positives
        for q, a in zip(queries, answers, strict=True)
    ]
    accepted = [a.decision is Decision.AUTO_ACCEPTED for a in answers]
    answerable = [bool(q.positives) for q in queries]
    recall = [
        len({r.product_id for r in a.recommendations} & set(q.positives)) / len(q.positives)
        for q, a in zip(queries, answers, strict=True)
        if q.positives
    ]

    figures = evaluation.figures()

    assert figures["queries"] == len(queries) == 92
    assert figures["threshold"] == manifest.threshold
    assert figures["accepted"] == sum(accepted)
    assert figures["coverage"] == pytest.approx(sum(accepted) / len(queries))
    both = sum(r and a for r, a in zip(right, accepted, strict=True))
    assert figures["accepted_precision"] == pytest.approx(both / sum(accepted))
    assert figures["precision_at_1"] == pytest.approx(np.mean(np.array(right)[answerable]))
    assert figures["recall_at_10"] == pytest.approx(np.mean(recall))
    similarity = np.array([a.similarity for a in answers])
    for key in ("0.90", "0.95", "0.98"):
        oracle = coverage_at_precision(similarity, np.array(right), float(key))
        assert figures["oracle_coverage"][key] == oracle


def test_the_file_of_figures_has_what_scripts_hold_on_to(
    evaluation: Evaluation, tmp_path: Path
) -> None:
    write_json(tmp_path / "figures.json", evaluation.figures())

    written = json.loads((tmp_path / "figures.json").read_text())
    assert {
        "queries",
        "precision_at_1",
        "recall_at_10",
        "target_precision",
        "confidence",
        "threshold",
        "accepted",
        "coverage",
        "accepted_precision",
        "oracle_coverage",
        "operating_points",
    } <= set(written)
    assert set(written["oracle_coverage"]) == {"0.90", "0.95", "0.98"}
    assert set(written["groups"]) == {"seen", "unseen"}
    assert set(written["baselines"]) == {"TF-IDF", "untrained encoder"}


def test_seen_and_unseen_products_are_told_apart(evaluation: Evaluation) -> None:
    groups = evaluation.figures()["groups"]

    assert groups["unseen"]["queries"] == 6 * 3
    assert groups["seen"]["queries"] == 24 * 3


def test_a_query_of_no_product_is_wrong_when_accepted_and_not_in_the_precision_at_1() -> None:
    judged = JudgedQueries(
        similarity=np.array([0.9, 0.9]),
        is_correct=np.array([True, False]),
        recall=np.array([1.0, np.nan]),
        has_product=np.array([True, False]),
        is_seen=np.array([True, False]),
    )

    figures = served_figures(judged, 0.5, confidence=0.95)

    assert figures["precision_at_1"] == 1.0
    assert (figures["coverage"], figures["accepted_precision"]) == (1.0, 0.5)


def test_nothing_accepted_has_no_precision() -> None:
    judged = JudgedQueries(
        similarity=np.array([0.9, np.nan]),
        is_correct=np.array([True, True]),
        recall=np.ones(2),
        has_product=np.ones(2, dtype=bool),
        is_seen=np.ones(2, dtype=bool),
    )

    figures = served_figures(judged, None, confidence=0.95)

    assert (figures["accepted"], figures["coverage"]) == (0, 0.0)
    assert figures["accepted_precision"] is None


def test_the_table_shows_baselines_and_the_promise_side_by_side(evaluation: Evaluation) -> None:
    lines = evaluation.table()

    assert len({len(line) for line in lines}) == 1
    assert "promised cov@80" in lines[0]
    assert [line.split("|")[1].strip() for line in lines[2:]] == [
        *["TF-IDF"] * 3,
        *["untrained encoder"] * 3,
        *["served bundle"] * 3,
    ]


@pytest.mark.parametrize(
    ("name", "start"), [("a.png", b"\x89PNG"), ("A.PNG", b"\x89PNG"), ("a.svg", b"<?xml")]
)
def test_the_plot_is_drawn_even_into_a_folder_that_is_not_there(
    evaluation: Evaluation, tmp_path: Path, name: str, start: bytes
) -> None:
    draw_evaluation(evaluation, tmp_path / "new" / name)

    assert (tmp_path / "new" / name).read_bytes().startswith(start)


def test_a_plot_of_an_unknown_kind_or_place_is_refused(
    evaluation: Evaluation, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"name a file with \.png, \.svg, \.pdf"):
        draw_evaluation(evaluation, tmp_path / "curves")
    (tmp_path / "taken.png").mkdir()
    with pytest.raises(DataError, match="cannot be written"):
        draw_evaluation(evaluation, tmp_path / "taken.png")
