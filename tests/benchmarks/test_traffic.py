"""The texts that benchmarks send."""

from collections import Counter
from collections.abc import Sequence

import pytest

from service.contract.text import normalise
from tests.benchmarks.traffic import (
    REAL_LENGTHS,
    Lengths,
    MadeTexts,
    OfferTexts,
    fit_lengths,
    shop_words,
    zipf_mix,
)


def letters(words: Sequence[str]) -> list[int]:
    """Count a token for each started four letters of each word."""
    return [sum(-(-len(word) // 4) for word in text.split()) for text in words]


def made(seed: int = 0, lengths: Lengths = REAL_LENGTHS) -> MadeTexts:
    return MadeTexts(shop_words(seed=0), letters, lengths, seed=seed)


def test_no_two_made_up_texts_are_alike() -> None:
    texts = made()

    found = texts.take(3000) + texts.take(3000)

    assert len({normalise(text) for text in found}) == 6000


def test_made_up_texts_are_as_long_as_real_offers() -> None:
    counts = letters(made().take(5000))

    found = fit_lengths(counts, longest=REAL_LENGTHS.longest)

    assert found.mu == pytest.approx(REAL_LENGTHS.mu, abs=0.03)
    assert found.sigma == pytest.approx(REAL_LENGTHS.sigma, abs=0.03)
    assert max(counts) <= REAL_LENGTHS.longest


def test_no_text_is_longer_than_the_model_reads() -> None:
    counts = letters(made(lengths=Lengths(mu=5.0, sigma=1.0, longest=12)).take(200))

    assert max(counts) == 12


def test_the_same_seed_gives_the_same_texts() -> None:
    assert made(seed=3).take(50) == made(seed=3).take(50)
    assert made(seed=3).take(50) != made(seed=4).take(50)


def test_lengths_are_fitted_by_the_moments_of_their_logarithms() -> None:
    found = fit_lengths([1, 1, 0], longest=9)

    assert found == Lengths(mu=0.0, sigma=0.0, longest=9)


def test_every_offer_is_sent_before_one_is_sent_again() -> None:
    texts = OfferTexts(["a", "b", "c", "d"], seed=0)

    first, second = texts.take(3), texts.take(5)

    assert sorted(first + second[:1]) == ["a", "b", "c", "d"]
    assert second[1:] == [*first, second[0]]


def test_in_a_zipf_mix_the_second_text_comes_half_as_often_as_the_first() -> None:
    times = Counter(zipf_mix([str(rank) for rank in range(100)], 50_000, seed=0))

    assert times["1"] / times["0"] == pytest.approx(0.5, rel=0.1)
    assert times["9"] / times["0"] == pytest.approx(0.1, rel=0.2)
