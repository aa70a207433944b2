"""Offers of made-up shops whose mix drifts from easy ones to misspelt and unknown ones."""

import math
from collections.abc import Generator
from dataclasses import dataclass, replace

from training.data.chance import Chance
from training.data.synthetic import make_market
from training.data.synthetic_catalogue import Invented
from training.data.synthetic_noise import Noise, write_offer

EASY = Noise(name_dropped=0.1, misspelt=0.05, attribute_dropped=0.0, mistaken=0.0)
HARD = Noise(name_dropped=0.8, misspelt=0.6, attribute_dropped=0.5, mistaken=0.0)
MOST_UNKNOWN = 0.5
"""Share of offers without a product where the mix is hardest."""


@dataclass(frozen=True, slots=True)
class Mix:
    """What shops send at one moment.

    Attributes:
        hardness: 0 where offers are as in the catalogue, 1 where they are as bad as they get.
    """

    hardness: float

    @property
    def unknown(self) -> float:
        """Return the share of offers of products that no catalogue has, in [0, 0.5]."""
        return MOST_UNKNOWN * self.hardness

    @property
    def noise(self) -> Noise:
        """Return how often shops do what, between `EASY` and `HARD`."""
        return replace(
            EASY,
            name_dropped=self._between(EASY.name_dropped, HARD.name_dropped),
            misspelt=self._between(EASY.misspelt, HARD.misspelt),
            attribute_dropped=self._between(EASY.attribute_dropped, HARD.attribute_dropped),
        )

    def _between(self, easy: float, hard: float) -> float:
        return easy + (hard - easy) * self.hardness


def mix_at(seconds: float, *, period_seconds: float) -> Mix:
    """Return the mix at a moment: easiest at 0, hardest half a period later, and so on.

    >>> mix_at(0, period_seconds=600).hardness, mix_at(300, period_seconds=600).hardness
    (0.0, 1.0)
    """
    return Mix((1 - math.cos(math.tau * seconds / period_seconds)) / 2)


class Shops:
    """Shops that make offers of the demo's catalogue, and of products that are not in it."""

    def __init__(self, products: int, *, seed: int) -> None:
        """Make up the catalogue of ``products`` that `deploy.demo.first_bundle` trains on."""
        self._known = make_market(products, seed=0).catalogue
        self._strange = make_market(products, seed=1).catalogue
        self._chance = Chance(seed, "traffic")

    def offers(self, number: int, mix: Mix) -> Generator[str]:
        """Yield so many texts, drawn anew."""
        for _ in range(number):
            yield write_offer(self._drawn(mix).parts, self._chance, mix.noise).text

    def _drawn(self, mix: Mix) -> Invented:
        stock = self._strange if self._chance.happens(mix.unknown) else self._known
        return self._chance.choose(stock)
