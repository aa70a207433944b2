"""Seeded draws that are the same on every machine and with every release of Python."""

import random
from collections.abc import Sequence
from typing import TypeVar

Drawn = TypeVar("Drawn")


class Chance:
    """A stream of draws; streams of another name or seed are independent of it.

    Only `random.Random.random` is used, the one method whose sequence Python promises to keep.

    >>> Chance(7, "colours").choose(["black", "white", "silver"])
    'white'
    """

    def __init__(self, seed: int, name: str) -> None:
        self._random = random.Random(f"{seed} {name}")  # noqa: S311  # invents data, no secrets

    def share(self) -> float:
        """Return a number in [0, 1)."""
        return self._random.random()

    def happens(self, probability: float) -> bool:
        """Return true with this probability."""
        return self.share() < probability

    def below(self, limit: int) -> int:
        """Return a whole number from 0 to below ``limit``."""
        return int(self.share() * limit)

    def choose(self, among: Sequence[Drawn]) -> Drawn:
        """Return one of several."""
        return among[self.below(len(among))]

    def several(self, among: Sequence[Drawn], number: int) -> list[Drawn]:
        """Return ``number`` different ones, in their order; all of them if they are fewer."""
        order = sorted(range(len(among)), key=lambda _: self.share())
        return [among[place] for place in sorted(order[:number])]
