import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.clustering import shuffled, side_by_side

PAIRS = ((0, 0), (0, 1), (1, 0), (1, 1))
"""Seed and epoch."""


@given(st.integers(1, 200), st.integers(0, 5), st.integers(0, 5))
def test_shuffling_deals_every_query_once_and_the_same_way_again(
    queries: int, seed: int, epoch: int
) -> None:
    order = shuffled(queries, seed=seed, epoch=epoch)

    assert sorted(order.tolist()) == list(range(queries))
    assert np.array_equal(order, shuffled(queries, seed=seed, epoch=epoch))


def test_another_seed_or_epoch_shuffles_another_way() -> None:
    orders = [shuffled(50, seed=seed, epoch=epoch).tolist() for seed, epoch in PAIRS]

    assert len({tuple(order) for order in orders}) == len(PAIRS)


def test_within_one_neighbourhood_the_order_is_drawn_by_seed_and_epoch() -> None:
    orders = [
        side_by_side(families(1, 48), neighbours=48, seed=seed, epoch=epoch).tolist()
        for seed, epoch in PAIRS
    ]

    assert len({tuple(order) for order in orders}) == len(PAIRS)
    assert list(range(48)) not in orders


def families(count: int, size: int) -> np.ndarray:
    """Tight families of unit vectors, interleaved."""
    generator = np.random.default_rng(0)
    centres = generator.normal(size=(count, 16))
    members = np.tile(centres, (size, 1)) + generator.normal(scale=0.01, size=(count * size, 16))
    return (members / np.linalg.norm(members, axis=1, keepdims=True)).astype(np.float32)


def test_members_of_a_family_stand_side_by_side() -> None:
    order = side_by_side(families(6, 8), neighbours=8, seed=1, epoch=0)

    family = order % 6
    assert sorted(order.tolist()) == list(range(48))
    assert (np.diff(family) != 0).sum() <= 20  # 5 at best, about 40 where they are shuffled


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    embeddings = families(6, 8)
    first = side_by_side(embeddings, neighbours=8, seed=1, epoch=0)

    assert np.array_equal(first, side_by_side(embeddings, neighbours=8, seed=1, epoch=0))
    assert not np.array_equal(first, side_by_side(embeddings, neighbours=8, seed=1, epoch=1))


@pytest.mark.parametrize("queries", [1, 2, 5])
def test_fewer_queries_than_a_neighbourhood_are_dealt_as_well(queries: int) -> None:
    order = side_by_side(families(queries, 1), neighbours=16, seed=0, epoch=0)

    assert sorted(order.tolist()) == list(range(queries))
