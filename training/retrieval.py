"""Answers of an encoder over a whole catalogue, before export."""

from collections.abc import Sequence, Set

import numpy as np

from training.data.matches import LabelledQuery
from training.embedding import embed
from training.encoder import LoadedEncoder
from training.evaluation import (
    CatalogueTexts,
    JudgedQueries,
    RankedAnswers,
    judge,
    nearest,
    ranked,
    twins,
)


def encoder_answers(
    encoder: LoadedEncoder,
    query_texts: Sequence[str],
    catalogue: CatalogueTexts,
    *,
    what: str,
) -> RankedAnswers:
    """Return the ten best products of each query; ``what`` names the progress bar."""
    tokeniser = encoder.tokeniser
    products, queries = tokeniser(catalogue.texts), tokeniser(query_texts)
    product_embeddings = embed(encoder.model, products, tokeniser, what=f"{what}: products")
    query_embeddings = embed(encoder.model, queries, tokeniser, what=f"{what}: queries")
    similarity, rows = nearest(query_embeddings, product_embeddings)
    return ranked(
        similarity,
        rows,
        product_ids=catalogue.product_ids,
        has_twin=twins([text.ids for text in products]),
        is_blank=np.array([text.is_blank for text in queries], dtype=bool),
    )


def judge_encoder(
    encoder: LoadedEncoder,
    queries: Sequence[LabelledQuery],
    catalogue: CatalogueTexts,
    *,
    trained_products: Set[str],
    what: str,
) -> JudgedQueries:
    """Return the judged answers of an encoder to labelled queries."""
    answers = encoder_answers(encoder, [query.text for query in queries], catalogue, what=what)
    return judge(queries, answers, trained_products)
