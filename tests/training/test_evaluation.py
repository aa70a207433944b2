import numpy as np
import pytest

from service.contract.errors import UsageError
from training.baselines import bm25_answers, tfidf_answers
from training.comparison import judge_baselines
from training.data.folders import DataFolder
from training.data.matches import LabelledQuery
from training.evaluation import (
    CatalogueTexts,
    JudgedQueries,
    RankedAnswers,
    figures_by_group,
    judge,
    nearest,
    ranked,
    retrieval_figures,
    twins,
)
from training.rules import Propensity, Rules, Search, rules_of

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
    assert figures["precision_at_3"] == pytest.approx((1 / 3 + 1 / 3) / 4)
    assert figures["precision_at_5"] == pytest.approx((1 / 5 + 1 / 5) / 4)
    assert figures["mrr_at_10"] == pytest.approx((1 + 1) / 4)
    assert figures["ndcg_at_10"] == pytest.approx((1 + 1 / (1 + 1 / np.log2(3))) / 4)
    assert figures["risk_coverage_area"] == pytest.approx((0 + 0 + 1 / 3 + 1 + 1) / 5)
    assert figures["propensity_scored_precision"] == {"1": None, "3": None, "5": None}
    assert "recall_at_100" not in figures
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
    assert figures["ndcg_at_10"] is None
    assert figures["risk_coverage_area"] is None


def test_measures_of_a_ranking_nobody_looked_at_are_undefined() -> None:
    judged = JudgedQueries(
        np.ones(1), np.ones(1, bool), np.ones(1), np.ones(1, bool), np.ones(1, bool)
    )

    figures = retrieval_figures(judged)

    assert figures["precision_at_1"] == 1
    assert [figures[name] for name in ("precision_at_5", "ndcg_at_10", "mrr_at_10")] == [None] * 3


def test_recall_goes_as_far_as_the_answers_were_asked_to() -> None:
    """The fiftieth product; a catalogue of fifty is no reason to leave the figure out."""
    others = tuple(f"other-{n}" for n in range(49))
    answers = RankedAnswers(((*others, "p1"),), np.array([0.9]), depth=100)

    figures = retrieval_figures(judge([query("deep", "p1")], answers, set()))

    assert (figures["recall_at_10"], figures["recall_at_100"]) == (0.0, 1.0)


def test_propensity_scored_precision_of_a_worked_example() -> None:
    """Weights 1, 2 and 4: query 0 gains 1 of 4 + 1, query 1 gains 2 of 2."""
    answers = RankedAnswers((("p1", "p2"), ("p1", "p2"), ("p1",)), np.array([0.9, 0.8, 0.7]))
    queries = [query("both", "p1", "p3"), query("one", "p2"), query("none")]

    judged = judge(queries, answers, set(), rules=Rules(weights={"p1": 1, "p2": 2, "p3": 4}))

    found = retrieval_figures(judged)["propensity_scored_precision"]
    assert found == {
        "1": pytest.approx(1 / 6),
        "3": pytest.approx(3 / 7),
        "5": pytest.approx(3 / 7),
    }
    only = retrieval_figures(judged.where(np.array([False, True, False])))
    assert only["propensity_scored_precision"] == {"1": 0, "3": 1, "5": 1}


def test_filtered_products_are_neither_answers_nor_positives() -> None:
    rules = Rules(filtered={"one": frozenset({"a"}), "all": frozenset({"a", "b", "c"})})
    queries = [query("one", "a", "b"), query("other", "a"), query("all", "a")]

    answers = ranked(
        np.array([[0.9, 0.8, 0.7]] * 3),
        np.array([[0, 1, 2]] * 3),
        product_ids=["a", "b", "c"],
        has_twin=np.array([True, False, False]),
        is_blank=np.array([False, False, False]),
        search=rules.search(queries),
    )
    judged = judge(queries, answers, {"a"}, rules=rules)

    assert answers.product_ids == (("b", "c"), ("a", "b", "c"), ())
    assert np.isnan(answers.similarity).tolist() == [False, True, True]
    assert answers.similarity[0] == 0.8
    assert judged.is_correct.tolist() == [True, True, False]
    assert judged.has_product.tolist() == [True, True, False]
    assert judged.is_seen.tolist() == [False, True, False]
    assert judged.recall.tolist() == pytest.approx([1, 1, np.nan], nan_ok=True)


def test_a_ranking_with_filtered_products_is_as_deep_as_any() -> None:
    """Twelve products, two of them filtered for the second query: ten are left."""
    products = np.eye(12, dtype=np.float32)
    queries = [query("none", "p0"), query("two", "p0")]
    rules = Rules(filtered={"two": frozenset({"p11", "p10"})})
    search = rules.search(queries)

    similarity, rows = nearest(np.ones((2, 12), dtype=np.float32), products, search=search)
    answers = ranked(
        similarity,
        rows,
        product_ids=[f"p{n}" for n in range(12)],
        has_twin=np.zeros(12, dtype=bool),
        is_blank=np.zeros(2, dtype=bool),
        search=search,
    )

    assert rows.shape == (2, 12)
    assert answers.product_ids == (tuple(f"p{n}" for n in range(10)),) * 2


@pytest.mark.parametrize(("products", "reach"), [(5, 5), (12, 12), (1000, 102)])
def test_a_search_reaches_no_further_than_the_catalogue(products: int, reach: int) -> None:
    assert Search(100, [set(), {"a", "b"}]).reach(products) == reach


def test_the_weights_of_a_folder_are_counted_in_train(data: DataFolder) -> None:
    """24 products have 3 training queries each, 6 have none."""
    rules = rules_of(data, propensity=Propensity(0.6, 2.6))

    weights = rules.weights or {}
    scale = (np.log(72) - 1) * 3.6**0.6
    assert weights["p-lamp-red"] == pytest.approx(1 + scale * 2.6**-0.6)
    assert weights["p-lamp-blue"] == pytest.approx(1 + scale * 5.6**-0.6)
    assert len(weights) == 30


def test_without_a_training_query_there_is_no_propensity(data: DataFolder) -> None:
    assert rules_of(DataFolder(data.path, data.products, tuple(data.split("test")))).weights is None


@pytest.mark.parametrize("text", ["", "0.6", "a,b", "0.6,2.6,1", "0,1", "nan,1", "1,inf"])
def test_a_propensity_that_is_no_pair_of_numbers_is_wrong_usage(text: str) -> None:
    with pytest.raises(UsageError, match="two numbers above 0"):
        Propensity.parse(text)


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


@pytest.mark.parametrize("name", ["tfidf", "bm25"])
def test_baselines_pass_over_filtered_products(name: str) -> None:
    rules = Rules(filtered={QUERIES[0].query_id: frozenset({"p1"})})
    words = [query("sony wh 1000xm4", "p1", "p2"), query("sony", "p1")]
    answers = {"tfidf": tfidf_answers, "bm25": bm25_answers}[name]

    found = answers(
        [q.text for q in words], CATALOGUE, search=Rules({"sony": frozenset({"p1"})}).search(words)
    )

    assert found.product_ids[0][0] == "p1"
    assert "p1" not in found.product_ids[1]
    assert len(found.product_ids[1]) == 3
    assert rules.positives(QUERIES[0]) == frozenset()
