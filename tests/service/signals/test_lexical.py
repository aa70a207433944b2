from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.contract.errors import BundleCorruptError
from service.signals import LexicalIndex
from service.signals.lexical import K1, B, best_rows
from service.signals.words import words_of

TEXTS = ["Sony WH-1000XM4 Black", "Sony WH-1000XM4 Silver", "Canon EOS R6", "?!", "canon canon r5"]
WORDS = ["sony", "canon", "r6", "r5", "black", "unheard", "1000xm4"]


@pytest.fixture(scope="module")
def index() -> LexicalIndex:
    return LexicalIndex.of(TEXTS)


def by_the_formula(query: list[str], texts: list[str]) -> list[float]:
    """BM25 of Lucene's variant, word by word."""
    products = [words_of(text.casefold()) for text in texts]
    mean = sum(map(len, products)) / len(products)
    scores = [0.0] * len(products)
    for word in query:
        holders = sum(word in words for words in products)
        rarity = np.log(1 + (len(products) - holders + 0.5) / (holders + 0.5))
        for row, words in enumerate(products):
            times = words.count(word)
            scores[row] += rarity * times / (times + K1 * (1 - B + B * len(words) / mean))
    return scores


@given(st.lists(st.sampled_from(WORDS), max_size=6))
def test_scores_are_those_of_the_formula(index: LexicalIndex, query: list[str]) -> None:
    np.testing.assert_allclose(index.scores(query), by_the_formula(query, TEXTS), atol=1e-5)


@given(st.lists(st.sampled_from(WORDS), max_size=6))
def test_fresh_products_score_as_those_of_the_bundle_and_those_gone_not_at_all(
    index: LexicalIndex, query: list[str]
) -> None:
    changed = index.with_changes(removed=[0], fresh=[TEXTS[0], TEXTS[2]])

    before, after = index.scores(query), changed.scores(query)
    np.testing.assert_allclose(after[5:], before[[0, 2]], atol=1e-5)
    assert after[0] == 0
    np.testing.assert_array_equal(after[1:5], before[1:])
    assert len(index.scores(query)) == len(TEXTS)


def test_a_further_change_reads_only_the_texts_that_are_new(index: LexicalIndex) -> None:
    before = index.with_changes(removed=[], fresh=[TEXTS[0], TEXTS[1]])

    after = before.with_changes(removed=[0], fresh=[TEXTS[2], TEXTS[0]])

    anew = index.with_changes(removed=[0], fresh=[TEXTS[2], TEXTS[0]])
    for text in TEXTS:
        words = words_of(text.casefold())
        np.testing.assert_array_equal(after.scores(words), anew.scores(words))
    assert vars(after)["_fresh"][1] is vars(before)["_fresh"][0]
    assert len(vars(after)["_weighed"]) == 2  # what is gone is forgotten


@pytest.mark.parametrize("row", [0, 2, 4])
def test_a_query_that_is_a_product_has_its_own_score(index: LexicalIndex, row: int) -> None:
    words = words_of(TEXTS[row].casefold())

    own = sum(by_the_formula([word], TEXTS)[row] for word in words)
    assert index.own_score(words) == pytest.approx(own)
    assert index.own_score([]) == 0


def test_a_query_without_a_known_word_finds_nothing(index: LexicalIndex) -> None:
    assert not index.scores(["unheard", "of"]).any()
    assert len(best_rows(index.scores(["unheard"]), 3)) == 0


def test_the_best_rows_are_ordered_allowed_and_no_more_than_asked_for() -> None:
    scores = np.array([0.5, 0.9, 0.0, 0.9, 0.1], dtype=np.float32)

    assert best_rows(scores, 2).tolist() == [1, 3]
    assert best_rows(scores, 10).tolist() == [1, 3, 0, 4]
    allowed = np.array([True, False, True, False, True])
    assert best_rows(scores, 3, allowed=allowed).tolist() == [0, 4]


def test_an_index_reads_back_what_it_wrote(index: LexicalIndex, tmp_path: Path) -> None:
    index.write(tmp_path)

    again = LexicalIndex.from_folder(tmp_path, index.record)

    for word in WORDS:
        np.testing.assert_array_equal(again.scores([word]), index.scores([word]))


@pytest.mark.parametrize("texts", [["?!", "..."], ["-"]])
def test_a_catalogue_without_any_word_has_an_index_that_finds_nothing(
    texts: list[str], tmp_path: Path
) -> None:
    index = LexicalIndex.of(texts)
    index.write(tmp_path)

    assert not LexicalIndex.from_folder(tmp_path, index.record).scores(["sony"]).any()


def test_an_index_of_other_products_is_refused(index: LexicalIndex, tmp_path: Path) -> None:
    LexicalIndex.of(TEXTS[:2]).write(tmp_path)

    with pytest.raises(BundleCorruptError, match="2 products"):
        LexicalIndex.from_folder(tmp_path, index.record)


def test_a_file_that_is_no_index_is_refused(index: LexicalIndex, tmp_path: Path) -> None:
    index.write(tmp_path)
    (tmp_path / "lexical.indptr.npy").write_bytes(b"torn")

    with pytest.raises(BundleCorruptError, match="no lexical index"):
        LexicalIndex.from_folder(tmp_path, index.record)
