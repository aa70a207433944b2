"""What a trained encoder must beat: TF-IDF on character n-grams."""

from collections.abc import Sequence

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from service.contract.text import normalise
from training.console import progress
from training.evaluation import BEST, CatalogueTexts, RankedAnswers, ranked, twins

_SCORES_AT_ONCE = 2**24
"""Queries x products of one block: 128 MB, and as much again twice while the best are found."""


def tfidf_answers(query_texts: Sequence[str], catalogue: CatalogueTexts) -> RankedAnswers:
    """Return the ten best products of each query by cosine of TF-IDF vectors.

    Character 3- and 4-grams within the words of the normalised text, weights fitted on the
    catalogue.
    """
    texts = [normalise(text) for text in catalogue.texts]
    queries = [normalise(text) for text in query_texts]
    vectoriser = TfidfVectorizer(
        analyzer="char_wb", ngram_range=(3, 4), sublinear_tf=True, lowercase=False
    )
    products = vectoriser.fit_transform(texts).T.tocsc()
    k = min(BEST, len(texts))
    block_size = max(1, _SCORES_AT_ONCE // len(texts))
    similarity = np.zeros((len(queries), k))
    rows = np.zeros((len(queries), k), dtype=np.int64)
    with progress(len(queries), "TF-IDF baseline", unit="queries") as shown:
        for start in range(0, len(queries), block_size):
            block = slice(start, start + block_size)
            scores = (vectoriser.transform(queries[block]) @ products).toarray()
            best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
            values = np.take_along_axis(scores, best, 1)
            order = np.lexsort((best, -values), axis=1)
            similarity[block] = np.take_along_axis(values, order, 1)
            rows[block] = np.take_along_axis(best, order, 1)
            shown.advance(len(scores))
    return ranked(
        similarity,
        rows,
        product_ids=catalogue.product_ids,
        has_twin=twins(texts),
        is_blank=np.array([not text for text in queries], dtype=bool),
    )
