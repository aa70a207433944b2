import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from training.losses import decoupled_softmax, unit_prefix

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=6)


def slow_prefix(embeddings: np.ndarray, dim: int) -> np.ndarray:
    """The definition read aloud, one entry at a time."""
    found = np.zeros((len(embeddings), dim))
    for row, embedding in enumerate(embeddings):
        length = math.sqrt(sum(embedding[entry] ** 2 for entry in range(dim)))
        for entry in range(dim):
            found[row, entry] = embedding[entry] / length if length > 0 else 0.0
    return found


def test_worked_example() -> None:
    """A third of the length lies along the entry that is cut off."""
    embedding = torch.tensor([[0.6, 0.0, 0.8], [0.36, 0.48, 0.8]])

    assert unit_prefix(embedding, 2).flatten().tolist() == pytest.approx([1.0, 0.0, 0.6, 0.8])


@given(st.data(), SHAPES)
def test_it_equals_the_slow_loop(data: st.DataObject, shape: tuple[int, int]) -> None:
    entries = st.one_of(st.just(0.0), st.floats(0.01, 1), st.floats(-1, -0.01))
    embeddings = data.draw(hnp.arrays(np.float64, shape, elements=entries))
    dim = data.draw(st.integers(1, shape[1]))

    found = unit_prefix(torch.from_numpy(embeddings), dim).numpy()

    assert found == pytest.approx(slow_prefix(embeddings, dim), rel=1e-9, abs=1e-12)


def test_gradients_of_an_objective_on_prefixes_are_those_of_finite_differences() -> None:
    torch.manual_seed(0)
    queries, products = (torch.randn(n, 5, dtype=torch.float64).requires_grad_() for n in (3, 4))
    is_positive = torch.eye(3, 4, dtype=torch.bool)

    def loss(asked: torch.Tensor, offered: torch.Tensor) -> torch.Tensor:
        similarity = unit_prefix(asked, 3) @ unit_prefix(offered, 3).T
        return decoupled_softmax(similarity, is_positive, temperature=0.5)

    assert torch.autograd.gradcheck(loss, (queries, products))


def test_what_is_cut_off_has_no_gradient() -> None:
    embeddings = torch.tensor([[0.6, 0.0, 0.8]], requires_grad=True)

    (unit_prefix(embeddings, 2) * torch.tensor([1.0, 2.0])).sum().backward()

    assert embeddings.grad is not None
    assert embeddings.grad[0, 1] > 0
    assert embeddings.grad[0, 2] == 0


@pytest.mark.parametrize("dim", [0, 4])
def test_a_prefix_of_nothing_or_of_more_than_there_is_is_refused(dim: int) -> None:
    with pytest.raises(ValueError, match=f"dim is {dim}, it must be at least 1 and below 4"):
        unit_prefix(torch.ones(2, 3), dim)
