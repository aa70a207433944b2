"""The texts that benchmarks send: as long as real offers, and no two alike.

The lengths of real offers are known here by two numbers only, so that nobody needs the offers;
who has them (`SUREMATCH_DATA`) sends the offers themselves.
"""

import math
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from statistics import fmean, pstdev
from typing import Protocol

from service.contract.text import normalise
from service.contract.tokens import TextTokeniser
from training.data.pricerunner import read_pricerunner
from training.data.sources import Order
from training.data.synthetic import make_market

DATA_VARIABLE = "SUREMATCH_DATA"
OFFERS_FOLDER = "pricerunner_dev"
WORDS_OF_PRODUCTS = 600
"""The words of offers of so many invented products are what made-up texts consist of."""

SPECIAL_TOKENS = 2
"""How many tokens of a text the encoder's tokenizer adds itself."""

ZIPF_EXPONENT = 1.0


@dataclass(frozen=True, slots=True)
class Lengths:
    """Log-normal lengths of texts in tokens, special tokens not counted.

    Attributes:
        mu: mean of the natural logarithm.
        sigma: standard deviation of the natural logarithm.
        longest: where lengths are cut; a model reads no more.
    """

    mu: float
    sigma: float
    longest: int

    def draw(self, chance: random.Random) -> int:
        """Return a length of 2 or more."""
        return min(max(round(chance.lognormvariate(self.mu, self.sigma)), 2), self.longest)


REAL_LENGTHS = Lengths(mu=2.711, sigma=0.464, longest=62)
"""Fitted by `fit_lengths` to 25,442 PriceRunner offers (UCI 837; no row of them is kept here).

Tokens as counted by the tokenizer of all-MiniLM-L6-v2 after normalising: mean 16.6, median 16,
95th percentile 28 (the fit: 16.7, 15, 32). The recommended recipe cuts at 62 and two special ones.
"""


class Texts(Protocol):
    """An endless source of texts."""

    what: str

    def take(self, number: int) -> list[str]:
        """Return the next ``number`` texts."""
        ...


def fit_lengths(token_counts: Sequence[int], *, longest: int) -> Lengths:
    """Return the log-normal lengths of texts with so many tokens, by their moments."""
    logarithms = [math.log(tokens) for tokens in token_counts if tokens > 0]
    return Lengths(fmean(logarithms), pstdev(logarithms), longest)


class MadeTexts:
    """Texts of invented shops' words, jumbled to drawn lengths; seeded, all of them distinct."""

    def __init__(
        self,
        words: Sequence[str],
        count_tokens: Callable[[Sequence[str]], Sequence[int]],
        lengths: Lengths,
        *,
        seed: int,
    ) -> None:
        """Take words to write with, a frequent one as often as it shall be frequent.

        Args:
            words: at least one of them must be a single token.
            count_tokens: tokens of each word, special tokens not counted.
            lengths: of the texts.
            seed: the same one gives the same texts.
        """
        self.what = f"made up, log-normal lengths (mu {lengths.mu}, sigma {lengths.sigma})"
        counts = count_tokens(words)
        # words no longer than so many tokens come first, so a text is filled without searching
        self._words = sorted(zip(counts, words, strict=True), key=lambda pair: pair[0])
        self._fitting = [sum(count <= most for count in counts) for most in range(max(counts) + 1)]
        self._lengths = lengths
        self._chance = random.Random(seed)  # noqa: S311  # invents texts, no secrets
        self._sent: set[str] = set()

    def take(self, number: int) -> list[str]:
        """Return the next ``number`` texts, none of which was returned before."""
        return [self._new_text() for _ in range(number)]

    def _new_text(self) -> str:
        while True:
            text = self._text(self._lengths.draw(self._chance))
            if text not in self._sent:
                self._sent.add(text)
                return text

    def _text(self, tokens: int) -> str:
        words: list[str] = []
        while tokens > 0:
            fitting = self._fitting[min(tokens, len(self._fitting) - 1)]
            taken, word = self._words[self._chance.randrange(fitting)]
            words.append(word)
            tokens -= taken
        return " ".join(words)


class OfferTexts:
    """Real offers in a seeded order, each once; then again from the start."""

    def __init__(self, offers: Sequence[str], *, seed: int) -> None:
        self._offers = list(offers)
        random.Random(seed).shuffle(self._offers)  # noqa: S311  # shuffles texts, no secrets
        self._next = 0
        self.what = f"{len(self._offers)} real offers"

    def take(self, number: int) -> list[str]:
        """Return the next ``number`` offers."""
        rows = range(self._next, self._next + number)
        self._next += number
        return [self._offers[row % len(self._offers)] for row in rows]


def shop_words(*, seed: int) -> list[str]:
    """Return the words of the synthetic generator's offers, as often as they occur."""
    offers = make_market(WORDS_OF_PRODUCTS, seed=seed).offers
    return [word for made in offers for word in normalise(made.offer.text).split()]


def real_offers() -> list[str] | None:
    """Return the distinct real offers where `SUREMATCH_DATA` names their folder, else None."""
    folder = os.environ.get(DATA_VARIABLE)
    if not folder:
        return None
    delivery = read_pricerunner(Order(Path(folder) / OFFERS_FOLDER, seed=0))
    return list({normalise(query.text): query.text for query in delivery.queries}.values())


def zipf_mix(texts: Sequence[str], number: int, *, seed: int) -> list[str]:
    """Return ``number`` draws from ``texts``, the r-th of them with a weight of 1 / r."""
    weights = [1 / rank**ZIPF_EXPONENT for rank in range(1, len(texts) + 1)]
    chance = random.Random(seed)  # noqa: S311  # draws texts, no secrets
    return chance.choices(texts, cum_weights=list(accumulate(weights)), k=number)


def texts_to_send(tokenizer: Path, *, seed: int) -> Texts:
    """Return real offers where their folder is named, else texts as long as they are.

    Args:
        tokenizer: the tokenizer file that tokens are counted with.
        seed: the same one gives the same texts.
    """
    offers = real_offers()
    if offers is not None:
        return OfferTexts(offers, seed=seed)
    tokeniser = TextTokeniser.from_file(tokenizer)

    def count_tokens(texts: Sequence[str]) -> list[int]:
        return [len(text.ids) - SPECIAL_TOKENS for text in tokeniser(texts)]

    return MadeTexts(shop_words(seed=seed), count_tokens, REAL_LENGTHS, seed=seed)
