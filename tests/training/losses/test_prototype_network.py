import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import gelu, normalize

from training.losses.prototype_network import LabelPrototypeNetwork


def units(*shape: int) -> Tensor:
    return normalize(torch.randn(*shape, dtype=torch.float64), dim=-1)


def shaken(dim: int, clusters: int = 3) -> LabelPrototypeNetwork:
    """A network that has left its start: every weight is random."""
    network = LabelPrototypeNetwork(dim, clusters=clusters).double()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.5)
    return network


def slow_attention(attention: nn.MultiheadAttention, tokens: list[Tensor]) -> list[Tensor]:
    """Self-attention, one head and one token at a time."""
    width, heads = attention.embed_dim, attention.num_heads
    assert attention.in_proj_weight is not None
    projected = [attention.in_proj_weight @ token + attention.in_proj_bias for token in tokens]
    answers: list[Tensor] = []
    for asking in projected:
        read: list[Tensor] = []
        for head in range(heads):
            part = slice(head * width // heads, (head + 1) * width // heads)
            asks = asking.split(width)[0][part]
            keys = torch.stack([p.split(width)[1][part] for p in projected])
            values = torch.stack([p.split(width)[2][part] for p in projected])
            shares = (keys @ asks / math.sqrt(width // heads)).softmax(dim=0)
            read.append(shares @ values)
        answers.append(attention.out_proj(torch.cat(read)))
    return answers


def slow_prototype(
    network: LabelPrototypeNetwork, text: Tensor, cluster: int, centroid: Tensor
) -> Tensor:
    """The formula read aloud for one product: a pre-norm layer over three tokens, their mean."""
    layer = network.layer
    tokens = [text, network.cluster_vectors.weight[cluster], centroid]
    tokens = [token + role for token, role in zip(tokens, network.roles, strict=True)]
    read = slow_attention(layer.self_attn, [layer.norm1(token) for token in tokens])
    tokens = [token + answer for token, answer in zip(tokens, read, strict=True)]
    tokens = [token + layer.linear2(gelu(layer.linear1(layer.norm2(token)))) for token in tokens]
    return normalize(torch.stack(tokens).sum(dim=0) / 3, dim=0)


@given(st.integers(0, 10**6), st.integers(1, 4), st.sampled_from([3, 4, 6]))
def test_it_equals_the_slow_loop(seed: int, products: int, dim: int) -> None:
    torch.manual_seed(seed)
    network = shaken(dim)
    text, centroids = units(products, dim), units(products, dim)
    clusters, known = torch.randint(3, (products,)), torch.rand(products) < 0.7

    prototypes = network(text, clusters, centroids, known)

    for i in range(products):
        slow = slow_prototype(network, text[i], int(clusters[i]), centroids[i])
        assert torch.allclose(prototypes[i], slow if known[i] else text[i], atol=1e-9)


def test_a_fresh_prototype_lies_between_text_and_centroid() -> None:
    """Text (1, 0), centroid (0, 1): at the start the prototype is at 45 degrees."""
    network = LabelPrototypeNetwork(2, clusters=1)
    nn.init.zeros_(network.cluster_vectors.weight)
    text, centroid = torch.eye(2)[:1], torch.eye(2)[1:]

    prototype = network(text, torch.tensor([0]), centroid, torch.tensor([True]))

    assert torch.allclose(prototype, torch.full((1, 2), math.sqrt(0.5)))


def test_a_fresh_prototype_is_close_to_its_text_where_the_queries_are() -> None:
    torch.manual_seed(0)
    network = LabelPrototypeNetwork(64, clusters=5).double()
    text = units(20, 64)

    prototypes = network(text, torch.arange(20) % 5, text, torch.ones(20, dtype=torch.bool))

    assert (prototypes * text).sum(dim=1).min() > 0.99


def test_prototypes_are_unit_vectors() -> None:
    torch.manual_seed(0)
    prototypes = shaken(8)(
        units(6, 8), torch.arange(6) % 3, units(6, 8), torch.tensor([True, False] * 3)
    )

    assert torch.allclose(prototypes.norm(dim=1), torch.ones(6).double())


def test_without_training_queries_the_prototype_is_the_text_exactly() -> None:
    torch.manual_seed(0)
    text = units(4, 8)

    prototypes = shaken(8)(text, torch.zeros(4).long(), units(4, 8), torch.zeros(4).bool())

    assert torch.equal(prototypes, text)


def test_an_absent_centroid_is_not_read() -> None:
    torch.manual_seed(0)
    network = shaken(4)
    text = units(2, 4).requires_grad_()
    centroids = torch.stack((units(4), torch.full((4,), math.nan).double()))

    network(text, torch.tensor([0, 1]), centroids, torch.tensor([True, False])).sum().backward()

    for leaf in (text, *network.parameters()):
        assert leaf.grad is not None
        assert leaf.grad.isfinite().all()


def test_no_gradient_flows_into_the_centroids() -> None:
    torch.manual_seed(0)
    text, centroids = units(3, 4).requires_grad_(), units(3, 4).requires_grad_()

    prototypes = shaken(4)(text, torch.arange(3), centroids, torch.ones(3).bool())
    prototypes[:, 0].sum().backward()

    assert centroids.grad is None
    assert text.grad is not None
    assert text.grad.abs().sum() > 0


def test_gradients_are_those_of_finite_differences() -> None:
    torch.manual_seed(0)
    network, centroids = shaken(4, clusters=2), units(3, 4)

    def prototypes(text: Tensor, *_: Tensor) -> Tensor:
        return network(text, torch.tensor([0, 1, 1]), centroids, torch.tensor([True, True, False]))

    inputs = (units(3, 4).requires_grad_(), *network.parameters())
    assert torch.autograd.gradcheck(prototypes, inputs)


def test_training_and_evaluation_give_the_same_prototypes() -> None:
    torch.manual_seed(0)
    network = shaken(8)
    arguments = (units(5, 8), torch.arange(5) % 3, units(5, 8), torch.ones(5).bool())
    trained = network.train()(*arguments)

    with torch.inference_mode():
        served = network.eval()(*arguments)

    assert torch.allclose(served, trained, atol=1e-9)


def test_every_weight_learns_from_a_fresh_start() -> None:
    """The output projections start at zero: all the rest moves once they have."""
    torch.manual_seed(0)
    network = LabelPrototypeNetwork(8, clusters=3).double()
    before = {name: value.clone() for name, value in network.named_parameters()}
    text, centroids, aims = units(9, 8), units(9, 8), units(9, 8)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)

    def agreement() -> Tensor:
        prototypes = network(text, torch.arange(9) % 3, centroids, torch.ones(9).bool())
        return (prototypes * aims).sum(dim=1).mean()

    for _ in range(200):
        optimiser.zero_grad()
        (-agreement()).backward()
        optimiser.step()

    assert agreement() > 0.95
    for name, parameter in network.named_parameters():
        assert not torch.equal(parameter, before[name]), name


@pytest.mark.parametrize("dim", [8, 6, 5])
def test_the_default_number_of_heads_divides_the_embedding(dim: int) -> None:
    heads = LabelPrototypeNetwork(dim, clusters=1).layer.self_attn.num_heads

    assert heads == {8: 4, 6: 2, 5: 1}[dim]


def test_heads_that_do_not_divide_the_embedding_are_refused() -> None:
    with pytest.raises(ValueError, match="must divide dim 6"):
        LabelPrototypeNetwork(6, clusters=1, heads=4)


def test_no_cluster_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        LabelPrototypeNetwork(4, clusters=0)
