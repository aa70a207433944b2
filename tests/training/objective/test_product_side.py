import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from tests.training.objective.embedded import objective_settings, unit_vectors
from training.objective import product_side
from training.objective.product_side import ProductSide, Prototypes, SharedVectors

DIM = 8
ASKED = np.array([5, 0, 2, 1, 0, 3])
POSITIVES = ((0,), (0, 5), (2,), (3, 5), (0, 2), (0, 5), (0,))
KINDS = pytest.mark.parametrize("kind", [SharedVectors, Prototypes])


def families() -> Tensor:
    """Return the texts of six products, three by three close together."""
    centres = torch.eye(DIM)[:2].repeat_interleave(3, dim=0)
    return normalize(centres + 0.05 * unit_vectors(6, DIM), dim=1)


def made(kind: type[SharedVectors | Prototypes], *overrides: str) -> SharedVectors | Prototypes:
    torch.manual_seed(0)
    settings = objective_settings("products.frequent=2", "products.clusters=2", *overrides)
    return kind(DIM, ASKED, settings.products)


def look_again(side: ProductSide, texts: Tensor, *, seed: int = 0) -> np.ndarray:
    """Refresh with these texts and with queries of this seed; return the queries."""
    queries = unit_vectors(len(POSITIVES), DIM, seed=seed + 100).numpy()
    side.refresh(texts.numpy(), queries, POSITIVES, seed=seed)
    return queries


def everything(side: ProductSide, texts: Tensor) -> Tensor:
    return side(texts, torch.arange(len(texts)))


@KINDS
def test_before_the_first_look_a_product_is_its_text(
    kind: type[SharedVectors | Prototypes],
) -> None:
    side, texts = made(kind), families()

    assert everything(side, texts) is texts
    assert not side.has_vector().any()


@KINDS
def test_products_are_cut_into_clusters_once(kind: type[SharedVectors | Prototypes]) -> None:
    side, texts = made(kind), families()
    look_again(side, texts)
    first = side.cluster.clone()

    look_again(side, texts.flip(0)[[0, 3, 1, 4, 2, 5]], seed=1)

    assert first.unique().tolist() == [0, 1]
    assert len(first[:3].unique()) == len(first[3:].unique()) == 1
    assert torch.equal(side.cluster, first)


@KINDS
@pytest.mark.parametrize(("products", "clusters"), [(1, 1), (2, 1), (3, 1), (7, 3), (40, 20)])
def test_at_most_half_the_products_are_clusters(
    kind: type[SharedVectors | Prototypes], products: int, clusters: int
) -> None:
    settings = objective_settings("products.clusters=65536").products
    side = kind(DIM, np.ones(products, dtype=np.int64), settings)
    queries = unit_vectors(products, DIM, seed=1).numpy()
    positives = tuple((row,) for row in range(products))
    side.refresh(unit_vectors(products, DIM).numpy(), queries, positives, seed=0)

    table = side.vectors if isinstance(side, SharedVectors) else side.network.cluster_vectors
    frequent = products // 2 + 1 if isinstance(side, SharedVectors) else 0  # and nobody's
    assert table.num_embeddings - frequent == clusters
    assert int(side.cluster.max()) < clusters


@KINDS
def test_the_vectors_of_a_restored_side_are_the_same(
    kind: type[SharedVectors | Prototypes],
) -> None:
    side, texts = made(kind), families()
    look_again(side, texts)
    with torch.no_grad():
        for parameter in side.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    other = made(kind)
    other.load_state_dict(side.state_dict())

    assert torch.equal(everything(other, texts), everything(side, texts))
    assert not torch.allclose(everything(side, texts), texts, atol=0.01)


@KINDS
def test_a_part_of_the_products_has_the_vectors_it_has_among_all(
    kind: type[SharedVectors | Prototypes],
) -> None:
    side, texts = made(kind), families()
    look_again(side, texts)
    _shift(side)
    rows = torch.tensor([4, 0, 5])

    assert torch.allclose(side(texts[rows], rows), everything(side, texts)[rows], atol=1e-6)


def test_shared_vectors_start_at_zero_so_products_start_as_their_texts() -> None:
    side, texts = made(SharedVectors), families()
    look_again(side, texts)

    assert side.has_vector().all()
    assert torch.allclose(everything(side, texts), texts, atol=1e-6)


def test_a_vector_is_text_and_cluster_and_own_of_unit_length() -> None:
    side, texts = _shared(), families()
    look_again(side, texts)
    _shift(side)
    own = {0: 2, 5: 3}  # the two products most asked for, after the two clusters

    for product, found in enumerate(everything(side, texts)):
        expected = texts[product] + side.vectors.weight[side.cluster[product]]
        if product in own:
            expected = expected + side.vectors.weight[own[product]]
        assert torch.allclose(found, expected / expected.norm(), atol=1e-6)


def test_a_product_without_queries_has_its_clusters_vector() -> None:
    side, texts = _shared(), families()
    look_again(side, texts)
    with torch.no_grad():
        side.vectors.weight[side.cluster[2]] = unit_vectors(1, DIM, seed=5)[0]

    shift = everything(side, texts) - texts
    assert ASKED[1] == 0
    assert shift[:3].norm(dim=1).min() > 0.1
    assert shift[3:].norm(dim=1).max() < 1e-6


def test_a_product_that_nobody_asks_for_has_no_vector_of_its_own() -> None:
    """Three may have one, and of the first five only one is asked for."""
    settings = objective_settings("products.frequent=3").products
    side = SharedVectors(DIM, np.array([0, 0, 4, 0, 0, 1]), settings)

    nobody = side.vectors.num_embeddings - 1
    assert side.own.tolist() == [nobody, nobody, nobody - 2, nobody, nobody, nobody - 1]


def test_only_the_vectors_of_the_batch_learn_and_nobodys_never_does() -> None:
    side, texts = _shared(), families()
    look_again(side, texts)

    rows = torch.tensor([0, 1])
    (side(texts[rows], rows) * unit_vectors(2, DIM, seed=7)).sum().backward()

    assert side.vectors.weight.grad is not None
    learns = side.vectors.weight.grad.abs().sum(dim=1) > 0
    assert learns.nonzero().flatten().tolist() == sorted({int(side.cluster[0]), 2})


def test_centroids_are_the_direction_of_the_mean_of_a_products_training_queries() -> None:
    side = _prototypes()
    queries = look_again(side, families())

    for product in range(len(ASKED)):
        own = [queries[row] for row, products in enumerate(POSITIVES) if product in products]
        assert bool(side.has_vector()[product]) == bool(own)
        if own:
            mean = np.mean(own, axis=0)
            expected = mean / np.linalg.norm(mean)
            assert side.centroid[product].tolist() == pytest.approx(expected.tolist(), abs=1e-6)


def test_centroids_of_many_pairs_are_summed_block_by_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole, in_blocks = _prototypes(), _prototypes()
    look_again(whole, families())
    monkeypatch.setattr(product_side, "_PAIRS_AT_ONCE", 3)
    look_again(in_blocks, families())

    assert torch.allclose(in_blocks.centroid, whole.centroid, atol=1e-6)


def test_a_prototype_of_a_product_without_queries_is_its_text() -> None:
    side, texts = _prototypes(), families()
    look_again(side, texts)
    _shift(side)

    found = everything(side, texts)
    assert torch.equal(found[[1, 4]], texts[[1, 4]])
    assert (found - texts)[[0, 2, 3, 5]].norm(dim=1).min() > 0.1
    assert torch.allclose(found.norm(dim=1), torch.ones(6), atol=1e-6)


def test_a_second_look_takes_the_centroids_anew() -> None:
    side, texts = _prototypes(), families()
    look_again(side, texts)
    before = everything(side, texts)

    look_again(side, texts, seed=1)

    assert not torch.allclose(everything(side, texts)[0], before[0], atol=0.01)


def test_no_gradient_reaches_a_centroid() -> None:
    side, texts = _prototypes(), families().requires_grad_()
    look_again(side, texts.detach())

    (everything(side, texts) * unit_vectors(6, DIM, seed=7)).sum().backward()

    assert side.centroid.grad is None
    assert not side.centroid.requires_grad
    assert "centroid" not in dict(side.named_parameters())
    assert texts.grad is not None
    assert (texts.grad.abs().sum(dim=1) > 0).all()


def test_prototypes_without_the_embeddings_of_queries_are_a_mistake() -> None:
    side = _prototypes()

    assert side.needs_queries
    assert not made(SharedVectors).needs_queries
    with pytest.raises(ValueError, match="need the embeddings of the training queries"):
        side.refresh(families().numpy(), None, POSITIVES, seed=0)


def _shared() -> SharedVectors:
    side = made(SharedVectors)
    assert isinstance(side, SharedVectors)
    return side


def _prototypes() -> Prototypes:
    side = made(Prototypes)
    assert isinstance(side, Prototypes)
    return side


def _shift(side: ProductSide) -> None:
    """Move the weights as training would; the vector that belongs to nobody stays zero."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in side.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
        if isinstance(side, SharedVectors):
            side.vectors.weight[-1] = 0
