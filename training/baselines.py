"""What a trained encoder must beat: TF-IDF on character n-grams, and BM25 on words."""

import re
from collections.abc import Callable, Sequence

import bm25s
import numpy as np
from jaxtyping import Float, Int64
from sklearn.feature_extraction.text import TfidfVectorizer

from service.contract.text import normalise
from training.console import progress
from training.evaluation import CatalogueTexts, RankedAnswers, ranked, twins
from training.rules import Search

_SCORES_AT_ONCE = 2**24
"""Queries x products of one block: 128 MB, and as much again twice while the best are found."""

_WORD = re.compile(r"[^\W_]+")


def tfidf_answers(
    query_texts: Sequence[str], catalogue: CatalogueTexts, *, search: Search | None = None
) -> RankedAnswers:
    """Return the best products of each query by cosine of TF-IDF vectors.

    Character 3- and 4-grams within the words of the normalised text, weights fitted on the
    catalogue.
    """
    texts = [normalise(text) for text in catalogue.texts]
    queries = [normalise(text) for text in query_texts]
    vectoriser = TfidfVectorizer(
        analyzer="char_wb", ngram_range=(3, 4), sublinear_tf=True, lowercase=False
    )
    products = vectoriser.fit_transform(texts).T.tocsc()
    similarity, rows = _best(
        lambda block: (vectoriser.transform(queries[block]) @ products).toarray(),
        queries=len(queries),
        products=len(texts),
        k=(search or Search()).reach(len(texts)),
        what="TF-IDF baseline",
    )
    return ranked(
        similarity,
        rows,
        product_ids=catalogue.product_ids,
        has_twin=twins(texts),
        is_blank=np.array([not text for text in queries], dtype=bool),
        search=search,
    )


def bm25_answers(
    query_texts: Sequence[str], catalogue: CatalogueTexts, *, search: Search | None = None
) -> RankedAnswers:
    """Return the best products of each query by BM25 on the words of the normalised text.

    A query that shares no word with the catalogue has no answer, products of the same words are
    twins, and an answer without a word of the query is never accepted. The similarity is
    score / (1 + score): in [0, 1) as a threshold must be, and in the order of the scores.

    Source: Lucene's variant of BM25 with k1 = 1.5 and b = 0.75, neither stemmed nor stopped.
    """
    texts = [_words(text) for text in catalogue.texts]
    queries = [_words(text) for text in query_texts]
    score, rows = _best(
        _bm25_scores(queries, texts),
        queries=len(queries),
        products=len(texts),
        k=(search or Search()).reach(len(texts)),
        what="BM25 baseline",
    )
    return ranked(
        np.where(score > 0, score / (1 + score), np.nan),
        rows,
        product_ids=catalogue.product_ids,
        has_twin=twins([tuple(sorted(words)) for words in texts]),
        is_blank=score[:, 0] <= 0,
        search=search,
    )


def _words(text: str) -> list[str]:
    return _WORD.findall(normalise(text))


def _bm25_scores(
    queries: Sequence[list[str]], texts: Sequence[list[str]]
) -> Callable[[slice], Float[np.ndarray, "query product"]]:
    """Return a function that gives the scores of a block of queries."""
    known = {word for words in texts for word in words}
    if not known:
        return lambda block: np.zeros((len(queries[block]), len(texts)))
    index = bm25s.BM25(method="lucene", k1=1.5, b=0.75)
    index.index(list(texts), show_progress=False)

    def scores(block: slice) -> Float[np.ndarray, "query product"]:
        found = np.zeros((len(queries[block]), len(texts)))
        for row, words in enumerate(queries[block]):
            if words := [word for word in words if word in known]:
                found[row] = index.get_scores(words)
        return found

    return scores


def _best(
    scores: Callable[[slice], Float[np.ndarray, "query product"]],
    *,
    queries: int,
    products: int,
    k: int,
    what: str,
) -> tuple[Float[np.ndarray, "query rank"], Int64[np.ndarray, "query rank"]]:
    """Return the ``k`` best scores and their rows, best first, equal ones in catalogue order."""
    block_size = max(1, _SCORES_AT_ONCE // products)
    values = np.zeros((queries, k))
    rows = np.zeros((queries, k), dtype=np.int64)
    with progress(queries, what, unit="queries") as shown:
        for start in range(0, queries, block_size):
            block = slice(start, start + block_size)
            found = scores(block)
            best = np.argpartition(-found, k - 1, axis=1)[:, :k]
            best_values = np.take_along_axis(found, best, 1)
            order = np.lexsort((best, -best_values), axis=1)
            values[block] = np.take_along_axis(best_values, order, 1)
            rows[block] = np.take_along_axis(best, order, 1)
            shown.advance(len(found))
    return values, rows
