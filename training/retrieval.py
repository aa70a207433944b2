"""Answers of an encoder over a whole catalogue, before export."""

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float32

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
from training.product_vectors import ProductVectors
from training.rules import Rules, Search


@dataclass(frozen=True, eq=False)
class EmbeddedTexts:
    """Queries and catalogue as an encoder sees them.

    Attributes:
        queries: unit embedding of each query.
        products: unit vector of each product, in catalogue order.
        is_blank: true where the query has no text to go by.
        has_twin: true where another product has the same text.
    """

    queries: Float32[np.ndarray, "query dim"]
    products: Float32[np.ndarray, "product dim"]
    is_blank: Bool[np.ndarray, " query"]
    has_twin: Bool[np.ndarray, " product"]

    def where(self, mask: Bool[np.ndarray, " query"]) -> "EmbeddedTexts":
        """Return the queries that ``mask`` picks, beside the whole catalogue."""
        return replace(self, queries=self.queries[mask], is_blank=self.is_blank[mask])

    def answers(self, product_ids: Sequence[str], *, search: Search | None = None) -> RankedAnswers:
        """Return the best products of each query; ``product_ids`` are those of the catalogue."""
        similarity, rows = nearest(self.queries, self.products, search=search)
        return ranked(
            similarity,
            rows,
            product_ids=product_ids,
            has_twin=self.has_twin,
            is_blank=self.is_blank,
            search=search,
        )


def embed_texts(
    encoder: LoadedEncoder,
    query_texts: Sequence[str],
    catalogue: CatalogueTexts,
    *,
    what: str,
    products: Float32[np.ndarray, "product dim"] | None = None,
    product_vectors: ProductVectors | None = None,
) -> EmbeddedTexts:
    """Return queries and catalogue as the encoder sees them.

    Args:
        encoder: of both.
        query_texts: may be blank.
        catalogue: the products to choose from.
        what: names the progress bar.
        products: unit vector of each product, where they are at hand already.
        product_vectors: vectors that stand in place of the embeddings of products' texts.
    """
    tokeniser = encoder.tokeniser
    product_texts, queries = tokeniser(catalogue.texts), tokeniser(query_texts)
    vectors = products
    if vectors is None:
        vectors = embed(encoder.model, product_texts, tokeniser, what=f"{what}: products")
    if product_vectors is not None:
        vectors = product_vectors.laid_over(vectors, catalogue.product_ids, catalogue.texts)
    return EmbeddedTexts(
        queries=embed(encoder.model, queries, tokeniser, what=f"{what}: queries"),
        products=vectors,
        is_blank=np.array([text.is_blank for text in queries], dtype=bool),
        has_twin=twins([text.ids for text in product_texts]),
    )


def encoder_answers(
    encoder: LoadedEncoder,
    query_texts: Sequence[str],
    catalogue: CatalogueTexts,
    *,
    what: str,
    search: Search | None = None,
) -> RankedAnswers:
    """Return the best products of each query, ten unless ``search`` says otherwise.

    ``what`` names the progress bar.
    """
    embedded = embed_texts(encoder, query_texts, catalogue, what=what)
    return embedded.answers(catalogue.product_ids, search=search)


def judge_encoder(  # noqa: PLR0913  # two of them have defaults
    encoder: LoadedEncoder,
    queries: Sequence[LabelledQuery],
    catalogue: CatalogueTexts,
    *,
    trained_products: Set[str],
    what: str,
    products: Float32[np.ndarray, "product dim"] | None = None,
    rules: Rules | None = None,
) -> JudgedQueries:
    """Return the judged answers of an encoder to labelled queries.

    Args:
        encoder: to judge.
        queries: labelled queries.
        catalogue: the products to choose from.
        trained_products: products that count as seen.
        what: names the progress bar.
        products: unit vector of each product, where they are at hand already.
        rules: what counts beside the labels: filtered pairs, weights, depth.
    """
    rules = rules or Rules()
    texts = [query.text for query in queries]
    embedded = embed_texts(encoder, texts, catalogue, what=what, products=products)
    answers = embedded.answers(catalogue.product_ids, search=rules.search(queries))
    return judge(queries, answers, trained_products, rules=rules)
