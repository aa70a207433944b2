import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.baselines import bm25_answers, tfidf_answers
from training.evaluation import CatalogueTexts, RankedAnswers
from training.rules import Search

K1, B = 1.5, 0.75
WORDS = st.lists(st.sampled_from(["acme", "kettle", "blue", "red", "xm4"]), max_size=5)
TEXTS = WORDS.map(" ".join)


def catalogue(*texts: str) -> CatalogueTexts:
    return CatalogueTexts([f"p-{row}" for row in range(len(texts))], texts)


def slow_bm25(query: str, texts: Sequence[str]) -> list[float]:
    """Lucene's formula, word by word, product by product."""
    words_of = [text.split() for text in texts]
    average = sum(map(len, words_of)) / len(texts)
    scores: list[float] = []
    for words in words_of:
        score = 0.0
        for word in query.split():
            count = words.count(word)
            containing = sum(word in others for others in words_of)
            rarity = math.log(1 + (len(texts) - containing + 0.5) / (containing + 0.5))
            if count:
                score += rarity * count / (count + K1 * (1 - B + B * len(words) / average))
        scores.append(score)
    return scores


@given(query=TEXTS, texts=st.lists(TEXTS, min_size=1, max_size=12))
def test_bm25_agrees_with_the_formula_taken_slowly(query: str, texts: list[str]) -> None:
    answers = bm25_answers([query], catalogue(*texts))

    scores = slow_bm25(query, texts)
    if max(scores) == 0:
        assert answers.product_ids == ((),)
        assert np.isnan(answers.similarity[0])
        return
    rows = [int(product.removeprefix("p-")) for product in answers.product_ids[0]]
    assert [scores[row] for row in rows] == pytest.approx(
        sorted(scores, reverse=True)[:10], rel=1e-5
    )
    has_twin = [sorted(text.split()) for text in texts].count(sorted(texts[rows[0]].split())) > 1
    best = max(scores)
    expected = math.nan if has_twin else best / (1 + best)
    assert answers.similarity[0] == pytest.approx(expected, rel=1e-5, nan_ok=True)


def test_bm25_reads_words_and_numbers_of_the_normalised_text() -> None:
    answers = bm25_answers(
        ["SONY wh1000/XM4!", "café"], catalogue("sony: WH1000 xm4", "sony wf", "Cafe\u0301 machine")
    )

    assert [ids[0] for ids in answers.product_ids] == ["p-0", "p-2"]
    assert (answers.similarity > 0).all()
    assert (answers.similarity < 1).all()


def test_equal_scores_come_in_the_order_of_the_catalogue() -> None:
    answers = bm25_answers(["kettle"], catalogue("lamp", "kettle red", "kettle blue", "drill"))

    assert answers.product_ids == (("p-1", "p-2", "p-0", "p-3"),)


@pytest.mark.parametrize("answer", [tfidf_answers, bm25_answers])
def test_products_of_one_text_are_never_accepted(
    answer: Callable[[Sequence[str], CatalogueTexts], RankedAnswers],
) -> None:
    answers = answer(["red kettle", "blue lamp"], catalogue("red kettle", "Red  kettle", "lamp"))

    assert np.isnan(answers.similarity).tolist() == [True, False]


@pytest.mark.parametrize("texts", [("!?", "..."), ("", "")])
def test_a_catalogue_without_a_word_has_no_answer(texts: tuple[str, str]) -> None:
    answers = bm25_answers(["red kettle", "", "!?"], catalogue(*texts))

    assert answers.product_ids == ((), (), ())
    assert np.isnan(answers.similarity).all()


def test_an_answer_that_shares_no_word_is_never_accepted() -> None:
    """Where the only product with a word of the query is passed over."""
    answers = bm25_answers(
        ["red kettle"], catalogue("lamp", "kettle"), search=Search(passed_over=[{"p-1"}])
    )

    assert answers.product_ids == (("p-0",),)
    assert np.isnan(answers.similarity).all()


def test_no_query_is_no_trouble() -> None:
    assert bm25_answers([], catalogue("kettle")).product_ids == ()


def test_bm25_says_nothing_of_its_own(capfd: pytest.CaptureFixture[str]) -> None:
    bm25_answers(["kettle"], catalogue("kettle", "lamp"))

    assert "BM25S" not in capfd.readouterr().err
