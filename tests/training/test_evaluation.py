import numpy as np
import pytest

from training.baselines import tfidf_answers
from training.comparison import judge_baselines
from training.data.matches import LabelledQuery
from training.evaluation import (
    CatalogueTexts,
    RankedAnswers,
    figures_by_group,
    judge,
    nearest,
    ranked,
    retrieval_figures,
    twins,
)

CATALOGUE = CatalogueTexts(
    ["p1", "p2", "p3", "p4"],
    ["Sony WH-1000XM4", "Bose QC45", "Canon EOS R6", "canon  eos r6"],
)


def query(text: str, *positives: str) -> LabelledQuery:
    return LabelledQuery(
        query_id=text,
        text=text,
        positives=positives,
        split="test",
        user_id=None,
        grades=dict.fromkeys(positives, 2),
        row=1,
    )


QUERIES = [
    query("sony wh1000xm4", "p1"),
    query("bose headphones qc 45", "p2", "p9"),
    query("canon eos r6", "p3"),
    query("", "p1"),
    query("unknown thing"),
]


def test_a_worked_example_of_every_figure() -> None:
    """Right, half of the positives found, wrong, blank, no product."""
    answers = RankedAnswers(
        product_ids=(("p1", "p2"), ("p2", "p1"), ("p4", "p1"), (), ("p2",)),
        similarity=np.array([0.9, 0.8, np.nan, np.nan, 0.3]),
    )

    judged = judge(QUERIES, answers, trained_products={"p2"})

    figures = retrieval_figures(judged)
    assert figures["queries"] == 5
    assert figures["precision_at_1"] == pytest.approx(2 / 4)
    assert figures["recall_at_10"] == pytest.approx((1 + 0.5 + 0 + 0) / 4)
    assert figures["oracle_coverage"] == {"0.90": 2 / 5, "0.95": 2 / 5, "0.98": 2 / 5}
    groups = figures_by_group(judged)
    assert (groups["seen"]["queries"], groups["unseen"]["queries"]) == (1, 3)


def test_recall_looks_no_further_than_the_tenth_product() -> None:
    others = tuple(f"other-{n}" for n in range(9))
    answers = RankedAnswers(((*others, "p1"), (*others, "other-9", "p1")), np.array([0.9, 0.9]))

    judged = judge([query("tenth", "p1"), query("eleventh", "p1")], answers, set())

    assert judged.recall.tolist() == [1.0, 0.0]


def test_a_group_without_queries_has_no_figures_rather_than_zero() -> None:
    judged = judge([], RankedAnswers((), np.empty(0)), trained_products=set())

    figures = retrieval_figures(judged)

    assert figures["queries"] == 0
    assert figures["precision_at_1"] is None
    assert figures["oracle_coverage"]["0.95"] is None


def test_tfidf_finds_the_product_by_its_characters() -> None:
    answers = tfidf_answers([q.text for q in QUERIES], CATALOGUE)

    assert answers.product_ids[0][0] == "p1"
    assert answers.product_ids[1][0] == "p2"
    assert 0 < answers.similarity[0] <= 1


def test_twins_and_blank_texts_can_never_be_accepted_by_a_baseline() -> None:
    answers = tfidf_answers([q.text for q in QUERIES], CATALOGUE)

    assert answers.product_ids[2][:2] == ("p3", "p4")
    assert np.isnan(answers.similarity[2])
    assert answers.product_ids[3] == ()
    assert np.isnan(answers.similarity[3])


def test_the_nearest_products_come_best_first_and_equal_ones_in_catalogue_order() -> None:
    products = np.array([[1, 0], [0, 1], [1, 0]], dtype=np.float32)

    similarity, rows = nearest(np.array([[1, 0], [0.6, 0.8]], dtype=np.float32), products)

    assert rows.tolist() == [[0, 2, 1], [1, 0, 2]]
    assert similarity[1].tolist() == pytest.approx([0.8, 0.6, 0.6])


def test_twins_are_products_of_one_text() -> None:
    assert twins(["a", "b", "a", "c"]).tolist() == [True, False, True, False]


def test_ranked_answers_of_twins_have_no_similarity() -> None:
    answers = ranked(
        np.array([[0.9, 0.8], [0.7, 0.6]]),
        np.array([[0, 1], [1, 0]]),
        product_ids=["a", "b"],
        has_twin=np.array([True, False]),
        is_blank=np.array([False, False]),
    )

    assert answers.product_ids == (("a", "b"), ("b", "a"))
    assert np.isnan(answers.similarity[0])
    assert answers.similarity[1] == 0.7


def test_only_the_baselines_asked_for_are_made() -> None:
    found = judge_baselines(
        ["tfidf"],
        QUERIES,
        CATALOGUE,
        trained_products={"p1"},
        base="packaged:nothing",
        max_tokens=8,
    )

    assert list(found) == ["TF-IDF"]
