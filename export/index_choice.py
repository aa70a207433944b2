"""Which index a bundle gets: the one asked for, or the fastest by what is measured."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from export.index_families import LEAST_PRODUCTS, build, size_bytes
from export.index_measures import Yardstick
from export.index_options import GIGABYTE
from export.index_tuning import Tuned, tune
from service.contract.errors import ConfigError
from service.contract.retriever_record import Family
from service.retrievers import FlatRetriever
from service.retrievers.approximate import Effort
from training.console import say

SMALL = 20_000
"""Catalogues up to that size stay exact: their search takes less time than their encoder."""
WORTH_IT = 2.0
"""An index is taken in place of the exact one if it is so many times as fast."""
SLOW_TO_BUILD = 200_000
"""Above so many products a graph is built only where it is asked for: it takes minutes."""
FAST = (Family.IVFPQ, Family.IVF, Family.HNSW)
SMALLER = (Family.INT8, Family.FP16)
"""They compare every product as the exact index does: taken only where that has no room."""


@dataclass(frozen=True)
class IndexWish:
    """What index is wanted.

    Attributes:
        family: None chooses one.
        recall: share of the ten exactly nearest products that it must find, in (0, 1].
        memory_bytes: the most that it may take; None is no limit.
        seed: of clusters, and of queries drawn by chance.
    """

    family: Family | None = None
    recall: float = 0.99
    memory_bytes: int | None = None
    seed: int = 0

    def has_room_for(self, family: Family, shape: tuple[int, ...]) -> bool:
        """Return whether the index of a family may take what it will take."""
        return self.memory_bytes is None or size_bytes(family, *shape) <= self.memory_bytes


@dataclass(frozen=True)
class Choice:
    """The index taken; ``flat_ms`` is the time of the exact one, None where it was not built."""

    taken: Tuned
    flat_ms: float | None = None


def choose(
    vectors: Float32[np.ndarray, "product dim"], wanted: IndexWish, yardstick: Yardstick
) -> Choice:
    """Build and tune what is asked for, or whatever may be best, and return the best.

    Small catalogues stay exact. Larger ones get the fastest index that finds what is promised
    and has room, unless the exact one has room too and takes less than twice as long.

    Raises:
        ConfigError: if no such index has the recall or the room.
    """
    if wanted.family not in (None, Family.FLAT):
        _must_be_possible(wanted.family, vectors.shape, wanted)
        return Choice(_must_reach(_fastest([wanted.family], vectors, wanted, yardstick), wanted))
    if not wanted.has_room_for(Family.FLAT, vectors.shape):
        return Choice(_without_flat(vectors, wanted, yardstick))
    flat = _flat(vectors, wanted, yardstick)
    if wanted.family is Family.FLAT or len(vectors) <= SMALL:
        return Choice(flat, flat.milliseconds)
    fastest = _fastest(FAST, vectors, wanted, yardstick)
    if fastest is None or flat.milliseconds < WORTH_IT * fastest.milliseconds:
        return Choice(flat, flat.milliseconds)
    return Choice(fastest, flat.milliseconds)


def _without_flat(
    vectors: Float32[np.ndarray, "product dim"], wanted: IndexWish, yardstick: Yardstick
) -> Tuned:
    if wanted.family is Family.FLAT:
        _must_be_possible(Family.FLAT, vectors.shape, wanted)
    _must_have_room_for_one(vectors.shape, wanted)
    fast = _fastest(FAST, vectors, wanted, yardstick)
    return fast or _must_reach(_fastest(SMALLER, vectors, wanted, yardstick), wanted)


def _fastest(
    families: Iterable[Family],
    vectors: Float32[np.ndarray, "product dim"],
    wanted: IndexWish,
    yardstick: Yardstick,
) -> Tuned | None:
    """Return the fastest of some families that has the room and the recall; None without any."""
    best: Tuned | None = None
    for family in families:
        is_slow = family is Family.HNSW and len(vectors) > SLOW_TO_BUILD and wanted.family is None
        if is_slow or _obstacle(family, vectors.shape, wanted):
            continue
        say(f"building the {family} index")
        built = build(family, vectors, seed=wanted.seed)
        found = tune(built, vectors, yardstick, promised=wanted.recall)
        if found and (best is None or found.milliseconds < best.milliseconds):
            best = found
    return best


def _flat(
    vectors: Float32[np.ndarray, "product dim"], wanted: IndexWish, yardstick: Yardstick
) -> Tuned:
    built = build(Family.FLAT, vectors, seed=wanted.seed)
    retriever = FlatRetriever(built.index)  # pyright: ignore[reportArgumentType]  # of this family
    recall, milliseconds = yardstick.recall(retriever), yardstick.milliseconds(retriever)
    return Tuned(built, Effort(), recall, milliseconds)


def _obstacle(family: Family, shape: tuple[int, ...], wanted: IndexWish) -> str | None:
    """Return why this family cannot be built, or None."""
    if family is Family.IVFPQ and shape[0] < LEAST_PRODUCTS:
        return f"ivfpq needs {LEAST_PRODUCTS} products, there are {shape[0]}; ask for --index flat"
    if not wanted.has_room_for(family, shape):
        needed, allowed = size_bytes(family, *shape), wanted.memory_bytes or 0
        return (
            f"the {family} index of {shape[0]} products needs {needed / GIGABYTE:.2g} GB, "
            f"--index-memory allows {allowed / GIGABYTE:.2g}; allow more, or ask for --index auto"
        )
    return None


def _must_be_possible(family: Family, shape: tuple[int, ...], wanted: IndexWish) -> None:
    obstacle = _obstacle(family, shape, wanted)
    if obstacle is not None:
        raise ConfigError(obstacle)


def _must_have_room_for_one(shape: tuple[int, ...], wanted: IndexWish) -> None:
    if all(_obstacle(family, shape, wanted) for family in FAST + SMALLER):
        possible = [f for f in FAST + SMALLER if not _obstacle(f, shape, IndexWish())]
        smallest = min(possible, key=lambda family: size_bytes(family, *shape))
        needed, allowed = size_bytes(smallest, *shape), wanted.memory_bytes or 0
        message = (
            f"no index has room: the {smallest} index of {shape[0]} products needs "
            f"{needed / GIGABYTE:.2g} GB, --index-memory allows {allowed / GIGABYTE:.2g}; "
            "allow more"
        )
        raise ConfigError(message)


def _must_reach(found: Tuned | None, wanted: IndexWish) -> Tuned:
    if found is None:
        if wanted.family is None:
            which, instead = "no index that there is room for finds", "allow more --index-memory"
        else:
            which, instead = f"the {wanted.family} index does not find", "ask for --index flat"
        message = (
            f"{which} {wanted.recall:.4g} of the ten nearest products, however long it searches; "
            f"ask for a lower --recall, or {instead}"
        )
        raise ConfigError(message)
    return found
