"""The rows that stand beside a trained encoder in every table: what it must beat."""

from collections.abc import Collection, Mapping, Sequence, Set
from typing import Any

from training.baselines import tfidf_answers
from training.checkpoint import Checkpoint
from training.data.folders import DataFolder
from training.data.matches import LabelledQuery
from training.encoder import load_encoder
from training.evaluation import CatalogueTexts, JudgedQueries, figures_by_group, judge
from training.retrieval import encoder_answers, judge_encoder

TFIDF = "TF-IDF"
UNTRAINED = "untrained encoder"
TRAINED = "trained encoder"
BASELINES = ("tfidf", "untrained")


def compare(
    checkpoint: Checkpoint, data: DataFolder, queries: Sequence[LabelledQuery]
) -> dict[str, Mapping[str, dict[str, Any]]]:
    """Return figures by system and group of queries: the baselines, then the trained encoder."""
    config = checkpoint.config
    texts = data.products.texts(config.data.product_text)
    catalogue = CatalogueTexts(data.products.product_ids(), texts)
    judged = judge_baselines(
        BASELINES,
        queries,
        catalogue,
        trained_products=checkpoint.trained_products,
        base=config.encoder.base,
        max_tokens=config.encoder.max_tokens,
    )
    judged[TRAINED] = judge_encoder(
        checkpoint.encoder,
        queries,
        catalogue,
        trained_products=checkpoint.trained_products,
        what=TRAINED,
    )
    return {name: figures_by_group(found) for name, found in judged.items()}


def judge_baselines(
    names: Collection[str],
    queries: Sequence[LabelledQuery],
    catalogue: CatalogueTexts,
    *,
    trained_products: Set[str],
    base: str,
    max_tokens: int,
) -> dict[str, JudgedQueries]:
    """Return the judged answers of the named baselines, by the name a table shows.

    Args:
        names: which of `BASELINES`.
        queries: labelled queries.
        catalogue: the products to choose from.
        trained_products: products that count as seen.
        base: the encoder before training.
        max_tokens: where its texts are cut.

    Raises:
        ConfigError: if the untrained encoder cannot be loaded.
    """
    texts = [query.text for query in queries]
    answers = {}
    if "tfidf" in names:
        answers[TFIDF] = tfidf_answers(texts, catalogue)
    if "untrained" in names:
        answers[UNTRAINED] = encoder_answers(
            load_encoder(base, max_tokens=max_tokens),
            texts,
            catalogue,
            what=UNTRAINED,
        )
    return {name: judge(queries, found, trained_products) for name, found in answers.items()}
