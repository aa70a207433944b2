import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training import clustering
from training.clustering import balanced_clusters, cluster_of_products, dealt, neighbourhoods

PAIRS = ((0, 0), (0, 1), (1, 0), (1, 1))
"""Seed and epoch."""

cluster_lists = st.lists(st.integers(0, 6), min_size=1, max_size=40)


def families(count: int, size: int) -> np.ndarray:
    """Tight families of unit vectors, interleaved."""
    generator = np.random.default_rng(0)
    centres = generator.normal(size=(count, 16))
    members = np.tile(centres, (size, 1)) + generator.normal(scale=0.01, size=(count * size, 16))
    return (members / np.linalg.norm(members, axis=1, keepdims=True)).astype(np.float32)


@given(cluster_lists, st.data(), st.booleans(), st.integers(0, 5), st.integers(0, 5))
def test_every_row_is_dealt_once_and_those_of_one_cluster_side_by_side(
    clusters: list[int], data: st.DataObject, is_clustered: bool, seed: int, epoch: int
) -> None:
    chosen = data.draw(st.lists(st.sampled_from(range(len(clusters))), unique=True))
    rows = np.array(chosen, dtype=np.int64)
    cluster_of = np.array(clusters) if is_clustered else None

    order = dealt(rows, cluster_of, seed=seed, epoch=epoch)

    assert sorted(order.tolist()) == sorted(chosen)
    assert np.array_equal(order, dealt(rows, cluster_of, seed=seed, epoch=epoch))
    if cluster_of is not None:
        changes = int((np.diff(cluster_of[order]) != 0).sum())
        assert changes == max(len({clusters[row] for row in chosen}) - 1, 0)


@pytest.mark.parametrize("cluster_of", [None, np.zeros(48, dtype=np.int64)])
def test_another_seed_or_epoch_deals_one_cluster_another_way(
    cluster_of: np.ndarray | None,
) -> None:
    rows = np.arange(48)
    orders = [dealt(rows, cluster_of, seed=seed, epoch=epoch).tolist() for seed, epoch in PAIRS]

    assert len({tuple(order) for order in orders}) == len(PAIRS)
    assert list(range(48)) not in orders


def test_any_cluster_may_be_dealt_first() -> None:
    clusters = np.repeat(np.arange(4), 3)
    firsts = {
        int(clusters[dealt(np.arange(12), clusters, seed=0, epoch=epoch)[0]]) for epoch in range(20)
    }

    assert firsts == {0, 1, 2, 3}


@pytest.mark.parametrize("most_for_k_means", [0, 48])
def test_members_of_a_family_share_a_neighbourhood(
    most_for_k_means: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(clustering, "_MOST_FOR_K_MEANS", most_for_k_means)
    embeddings = families(6, 8)
    similarity = embeddings @ embeddings.T

    own = neighbourhoods(embeddings, size=8, seed=1)

    is_together = own[:, None] == own
    assert similarity[is_together].mean() > similarity.mean() + 0.3
    assert own.tolist() == neighbourhoods(embeddings, size=8, seed=1).tolist()
    assert capfd.readouterr() == ("", "")


def test_only_beyond_the_rows_that_k_means_can_bear_are_neighbourhoods_of_even_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    uneven = np.repeat(families(2, 1), [10, 38], axis=0)
    monkeypatch.setattr(clustering, "_MOST_FOR_K_MEANS", 48)
    by_k_means = neighbourhoods(uneven, size=24, seed=0)
    monkeypatch.setattr(clustering, "_MOST_FOR_K_MEANS", 47)
    balanced = neighbourhoods(uneven, size=24, seed=0)

    assert sorted(np.bincount(by_k_means).tolist()) == [10, 38]
    assert np.bincount(balanced).tolist() == [24, 24]


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_fewer_rows_than_a_neighbourhood_are_one(rows: int) -> None:
    assert neighbourhoods(families(rows, 1), size=16, seed=0).tolist() == [0] * rows


@given(st.integers(0, 60), st.integers(1, 20), st.integers(0, 3))
def test_balanced_clusters_hold_every_row_once_and_are_even_in_size(
    rows: int, size: int, seed: int
) -> None:
    clusters = balanced_clusters(families(rows, 1), size=size, seed=seed)

    sizes = np.bincount(clusters)
    assert len(clusters) == sizes.sum() == rows
    assert sizes.max(initial=0) <= size
    assert sizes.max(initial=0) - sizes.min(initial=size) <= 1
    assert len(sizes) <= 1 or 2 * rows > size * len(sizes)  # one halving less would not fit


@pytest.mark.parametrize("seed", range(5))
def test_rows_of_one_balanced_cluster_are_far_closer_than_rows_of_any_two(seed: int) -> None:
    embeddings = families(8, 32)
    similarity = embeddings @ embeddings.T

    cluster = balanced_clusters(embeddings, size=32, seed=seed)

    is_together = cluster[:, None] == cluster
    assert similarity[is_together].mean() > 0.6
    assert similarity[~is_together].mean() < 0.1


def test_two_families_of_one_size_are_cut_between_them() -> None:
    cluster = balanced_clusters(families(2, 25), size=25, seed=3)

    assert len({*cluster[0::2].tolist()}) == len({*cluster[1::2].tolist()}) == 1
    assert cluster[0] != cluster[1]


def test_rows_that_cannot_be_told_apart_are_cut_evenly_as_well() -> None:
    cluster = balanced_clusters(np.tile(families(1, 1), (40, 1)), size=10, seed=0)

    assert np.bincount(cluster).tolist() == [10, 10, 10, 10]


def test_balanced_clusters_depend_on_the_seed_alone() -> None:
    embeddings = families(40, 3)
    first, again, other = (
        balanced_clusters(embeddings, size=7, seed=seed).tolist() for seed in (1, 1, 2)
    )

    assert first == again
    assert first != other


def test_clusters_that_hold_nothing_are_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        balanced_clusters(families(2, 2), size=0, seed=0)


def test_products_of_one_cluster_are_far_closer_than_any_two(
    capfd: pytest.CaptureFixture[str],
) -> None:
    embeddings = families(6, 8)
    similarity = embeddings @ embeddings.T

    cluster = cluster_of_products(embeddings, clusters=6, seed=0)

    assert similarity[cluster[:, None] == cluster].mean() > similarity.mean() + 0.3
    assert 2 <= len({*cluster.tolist()}) <= 6
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("products", "most"), [(1, 1), (2, 1), (3, 1), (9, 4), (40, 20)])
def test_there_are_never_more_clusters_than_half_the_products(products: int, most: int) -> None:
    cluster = cluster_of_products(families(products, 1), clusters=1000, seed=0)

    assert len(cluster) == products
    assert 0 <= cluster.min() <= cluster.max() < most


def test_clusters_of_products_depend_on_the_seed_alone() -> None:
    embeddings = families(60, 1)
    first, again, other = (
        cluster_of_products(embeddings, clusters=10, seed=seed).tolist() for seed in (1, 1, 2)
    )

    assert first == again
    assert first != other
