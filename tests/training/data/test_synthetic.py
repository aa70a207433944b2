import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from service.contract.errors import ConfigError
from service.contract.text import normalise
from training.data.matches import LabelledQuery
from training.data.products import Products
from training.data.sources import Delivery, Order
from training.data.splits import deal
from training.data.synthetic import Market, make_market, make_synthetic
from training.data.synthetic_catalogue import Invented, Part
from training.metrics import coverage_at_precision


@pytest.fixture(scope="module")
def delivery() -> Delivery:
    return make_synthetic(Order(None, seed=0))


@pytest.fixture(scope="module")
def market() -> Market:
    return make_market(None, seed=0)


def possible_share(market: Market) -> float:
    """Return the share of offers that a reader who knows every spelling can match at best.

    Products that differ only in what an offer leaves out are all alike to that reader.
    """
    listed = [made for made in market.offers if made.is_listed]
    ways = {made.offer.kept for made in listed}
    alike = Counter((kept, said_of(one, kept)) for kept in ways for one in market.catalogue)
    return float(np.mean([1 / alike[m.offer.kept, said_of(m.of, m.offer.kept)] for m in listed]))


def said_of(one: Invented, kept: tuple[str, ...]) -> tuple[Part, ...]:
    """Return what an offer with these parts says; that there is no suffix is seen as well."""
    return tuple(part for part in one.parts if part[0] in (*kept, "suffix"))


def tfidf(products: Products, queries: list[LabelledQuery]) -> tuple[np.ndarray, np.ndarray]:
    """Return similarity and correctness of the best product by character n-grams."""
    vectoriser = TfidfVectorizer(analyzer="char", ngram_range=(3, 4))
    titles = vectoriser.fit_transform([normalise(p.title) for p in products.items])
    texts = vectoriser.transform([normalise(query.text) for query in queries])
    similarity = (texts @ titles.T).toarray()
    best = similarity.argmax(axis=1)
    ids = products.product_ids()
    is_correct = [ids[row] in q.positives for row, q in zip(best, queries, strict=True)]
    return similarity.max(axis=1), np.array(is_correct)


def test_the_default_size_suits_a_short_demonstration(delivery: Delivery) -> None:
    dealt = deal(delivery.queries, seed=0, shares=delivery.shares)

    number = Counter(query.split for query in dealt)
    lost = [not query.has_product for query in dealt if query.split != "train"]
    assert len(delivery.products) == 600
    assert number["train"] == pytest.approx(2_400, abs=150)
    assert number["validation"] == pytest.approx(500, abs=50)
    assert number["calibration"] == pytest.approx(900, abs=80)
    assert number["test"] == pytest.approx(700, abs=70)
    assert np.mean(lost) == pytest.approx(0.05, abs=0.015)


def test_some_products_have_many_offers_and_some_have_one_or_none(market: Market) -> None:
    number = Counter(made.of.product.product_id for made in market.offers)
    offers = [number[one.product.product_id] for one in market.catalogue]

    assert offers.count(0) >= 5
    assert offers.count(1) >= 30
    assert max(offers) > 50
    assert np.median(offers) == pytest.approx(4, abs=1)


def test_offers_without_a_product_are_of_siblings_that_are_not_listed(market: Market) -> None:
    listed = {one.product.product_id for one in market.catalogue}

    assert all((made.of.product.product_id in listed) == made.is_listed for made in market.offers)
    assert not all(made.is_listed for made in market.offers)


def test_nearly_every_offer_can_be_matched_by_a_reader_who_knows_the_words(
    market: Market,
) -> None:
    assert possible_share(market) >= 0.95


def test_character_n_grams_do_not_solve_it(delivery: Delivery) -> None:
    dealt = deal(delivery.queries, seed=0, shares=delivery.shares)
    held_out = [query for query in dealt if query.split != "train"]

    similarity, is_correct = tfidf(delivery.products, held_out)

    has_product = np.array([query.has_product for query in held_out])
    assert 0.65 <= is_correct[has_product].mean() <= 0.85
    assert coverage_at_precision(similarity, is_correct, 0.95) < 0.15


FROZEN = "fc816c86fccc42ef97b5d2690513659c28971c39aa5c3ef7bf8a96634904903f"
PROGRAM = """
import hashlib, json
from training.data.sources import Order
from training.data.synthetic import make_synthetic
made = make_synthetic(Order(None, seed=5, products=40))
said = [[p.title for p in made.products.items], [[q.text, q.positives] for q in made.queries]]
print(hashlib.sha256(json.dumps(said).encode()).hexdigest())
"""


@pytest.mark.parametrize("hash_seed", ["0", "1"])
def test_the_same_seed_gives_the_same_market_in_every_process(hash_seed: str) -> None:
    finished = subprocess.run(  # noqa: S603  # runs this very Python on the text above
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )

    assert finished.stdout.strip() == FROZEN


def test_another_seed_gives_another_market() -> None:
    assert make_synthetic(Order(None, seed=1, products=5)) != make_synthetic(
        Order(None, seed=2, products=5)
    )


def test_the_smallest_catalogue_has_one_product() -> None:
    assert len(make_synthetic(Order(None, seed=0, products=1)).products) == 1
    with pytest.raises(ConfigError, match="--products 0 makes no catalogue"):
        make_synthetic(Order(None, seed=0, products=0))
