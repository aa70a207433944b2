"""The rows that stand beside a trained encoder in every table: what it must beat."""

from collections.abc import Collection, Sequence, Set
from typing import Any

from training.baselines import bm25_answers, tfidf_answers
from training.category_consistency import threshold_consistency
from training.checkpoint import Checkpoint
from training.data.folders import DataFolder
from training.data.matches import LabelledQuery
from training.encoder import load_encoder
from training.evaluation import CatalogueTexts, JudgedQueries, figures_by_group, judge
from training.retrieval import EmbeddedTexts, embed_texts, encoder_answers
from training.rules import BEST, Propensity, Rules, rules_of

TFIDF = "TF-IDF"
BM25 = "BM25"
UNTRAINED = "untrained encoder"
TRAINED = "trained encoder"
BASELINES = ("tfidf", "bm25", "untrained")


def compare(
    checkpoint: Checkpoint,
    data: DataFolder,
    queries: Sequence[LabelledQuery],
    *,
    propensity: Propensity | None = None,
    depth: int = BEST,
) -> dict[str, dict[str, dict[str, Any]]]:
    """Return figures by system and group of queries: the baselines, then the trained encoder.

    The figures of all queries by the trained encoder have ``opis`` as well: OPIS across
    categories, None where it is undefined.

    Args:
        checkpoint: of the trained encoder.
        data: the folder that the queries are from.
        queries: labelled queries.
        propensity: of the propensity-scored precision.
        depth: how many products of a query are looked at.
    """
    config = checkpoint.config
    catalogue = CatalogueTexts.of(data.products, config.data.product_text)
    rules = rules_of(data, propensity=propensity, depth=depth)
    judged = judge_baselines(
        BASELINES,
        queries,
        catalogue,
        trained_products=checkpoint.trained_products,
        base=config.encoder.base,
        max_tokens=config.encoder.max_tokens,
        rules=rules,
    )
    judged[TRAINED], embedded = judge_trained(checkpoint, queries, catalogue, rules)
    systems = {name: dict(figures_by_group(found)) for name, found in judged.items()}
    consistency = threshold_consistency(embedded, queries, data.products, rules=rules)
    systems[TRAINED]["all"]["opis"] = consistency
    return systems


def judge_trained(
    checkpoint: Checkpoint,
    queries: Sequence[LabelledQuery],
    catalogue: CatalogueTexts,
    rules: Rules,
) -> tuple[JudgedQueries, EmbeddedTexts]:
    """Return the judged answers of the trained encoder, and the embeddings they came from."""
    embedded = embed_texts(
        checkpoint.encoder,
        [query.text for query in queries],
        catalogue,
        what=TRAINED,
        product_vectors=checkpoint.product_vectors,
    )
    answers = embedded.answers(catalogue.product_ids, search=rules.search(queries))
    return judge(queries, answers, checkpoint.trained_products, rules=rules), embedded


def judge_baselines(  # noqa: PLR0913  # the last has a default
    names: Collection[str],
    queries: Sequence[LabelledQuery],
    catalogue: CatalogueTexts,
    *,
    trained_products: Set[str],
    base: str,
    max_tokens: int,
    rules: Rules | None = None,
) -> dict[str, JudgedQueries]:
    """Return the judged answers of the named baselines, by the name a table shows.

    Args:
        names: which of `BASELINES`.
        queries: labelled queries.
        catalogue: the products to choose from.
        trained_products: products that count as seen.
        base: the encoder before training.
        max_tokens: where its texts are cut.
        rules: what counts beside the labels: filtered pairs, weights, depth.

    Raises:
        ConfigError: if the untrained encoder cannot be loaded.
    """
    rules = rules or Rules()
    texts, search = [query.text for query in queries], rules.search(queries)
    answers = {}
    if "tfidf" in names:
        answers[TFIDF] = tfidf_answers(texts, catalogue, search=search)
    if "bm25" in names:
        answers[BM25] = bm25_answers(texts, catalogue, search=search)
    if "untrained" in names:
        answers[UNTRAINED] = encoder_answers(
            load_encoder(base, max_tokens=max_tokens),
            texts,
            catalogue,
            what=UNTRAINED,
            search=search,
        )
    return {
        name: judge(queries, found, trained_products, rules=rules)
        for name, found in answers.items()
    }
