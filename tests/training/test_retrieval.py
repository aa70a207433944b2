from pathlib import Path

import numpy as np
import pytest

from tests.training.data.labelled import labelled
from training.data.folders import DataFolder
from training.encoder import LoadedEncoder, load_encoder
from training.evaluation import CatalogueTexts
from training.product_vectors import product_vectors
from training.retrieval import embed_texts, encoder_answers, judge_encoder
from training.rules import Rules


@pytest.fixture(scope="module")
def loaded(encoder: Path) -> LoadedEncoder:
    return load_encoder(str(encoder), max_tokens=24)


@pytest.fixture(scope="module")
def catalogue(data: DataFolder) -> CatalogueTexts:
    return CatalogueTexts(data.products.product_ids(), data.products.texts(["title"]))


def test_a_products_own_text_finds_it(loaded: LoadedEncoder, catalogue: CatalogueTexts) -> None:
    answers = encoder_answers(loaded, catalogue.texts, catalogue, what="test")

    assert [best[0] for best in answers.product_ids] == list(catalogue.product_ids)
    assert answers.similarity == pytest.approx(1, abs=1e-5)


def test_a_trained_vector_stands_in_place_of_its_products_text(
    loaded: LoadedEncoder, catalogue: CatalogueTexts
) -> None:
    """The last product gets the vector of the first one's text, and is no twin of it."""
    first, last = catalogue.texts[0], catalogue.texts[-1]
    bare = embed_texts(loaded, [first], catalogue, what="test")
    vectors = product_vectors(bare.products[:1], [0], [catalogue.product_ids[-1]], [last])

    embedded = embed_texts(loaded, [first], catalogue, what="test", product_vectors=vectors)

    assert np.array_equal(embedded.products[-1], bare.products[0])
    assert np.array_equal(embedded.products[:-1], bare.products[:-1])
    assert not embedded.has_twin.any()
    answers = embedded.answers(catalogue.product_ids)
    assert set(answers.product_ids[0][:2]) == {catalogue.product_ids[0], catalogue.product_ids[-1]}
    assert answers.similarity[0] == pytest.approx(1, abs=1e-5)


def test_a_reworded_product_is_answered_by_its_text(
    loaded: LoadedEncoder, catalogue: CatalogueTexts
) -> None:
    bare = embed_texts(loaded, ["x"], catalogue, what="test")
    vectors = product_vectors(bare.products[:1], [0], [catalogue.product_ids[-1]], ["old text"])

    embedded = embed_texts(loaded, ["x"], catalogue, what="test", product_vectors=vectors)

    assert np.array_equal(embedded.products, bare.products)


def test_the_judge_asks_for_what_the_rules_say(
    loaded: LoadedEncoder, catalogue: CatalogueTexts
) -> None:
    """Without its own product a query's best is another; blank texts have no answer at all."""
    first, second = catalogue.product_ids[:2]
    queries = [labelled("own", catalogue.texts[0], first, second), labelled("blank", " ", first)]
    rules = Rules(filtered={"own": frozenset({first})}, depth=100)

    judged = judge_encoder(
        loaded, queries, catalogue, trained_products={second}, what="test", rules=rules
    )

    assert judged.hits is not None
    assert judged.hits.is_hit.shape == (2, 100)
    assert judged.hits.is_hit.sum(axis=1).tolist() == [1, 0]
    assert judged.hits.positives.tolist() == [1, 1]
    assert judged.is_seen.tolist() == [True, False]
    assert judged.similarity[0] < 1
    assert np.isnan(judged.similarity[1])
