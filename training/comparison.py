"""The rows that stand beside a trained encoder in every table: what it must beat."""

from collections.abc import Collection, Sequence

from training.baselines import tfidf_answers
from training.data.matches import LabelledQuery
from training.encoder import load_encoder
from training.evaluation import CatalogueTexts, JudgedQueries, judge
from training.retrieval import encoder_answers

TFIDF = "TF-IDF"
UNTRAINED = "untrained encoder"
BASELINES = ("tfidf", "untrained")


def judge_baselines(
    names: Collection[str],
    queries: Sequence[LabelledQuery],
    catalogue: CatalogueTexts,
    *,
    trained_products: Collection[str],
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
