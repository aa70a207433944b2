import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from training.losses import decoupled_softmax

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=5)


def slow_loss(similarity: np.ndarray, is_positive: np.ndarray, temperature: float) -> float:
    """The formula read aloud, one pair at a time."""
    per_query: list[float] = []
    for row, marks in zip(similarity / temperature, is_positive, strict=True):
        losses: list[float] = []
        for positive in np.flatnonzero(marks):
            share = math.exp(row[positive])
            total = share + sum(math.exp(row[n]) for n in np.flatnonzero(~marks))
            losses.append(-math.log(share / total))
        if losses:
            per_query.append(sum(losses) / len(losses))
    return sum(per_query) / len(per_query) if per_query else 0.0


def test_worked_example() -> None:
    """One query, positive at 0.8, negatives at 0.6 and 0.5, temperature 0.1."""
    similarity = torch.tensor([[0.8, 0.6, 0.5]])
    is_positive = torch.tensor([[True, False, False]])

    loss = decoupled_softmax(similarity, is_positive, temperature=0.1)

    assert loss.item() == pytest.approx(math.log(1 + math.exp(-2) + math.exp(-3)), abs=1e-6)


@given(st.data(), SHAPES, st.sampled_from([0.05, 0.2, 1.0]))
def test_it_equals_the_slow_loop(data: st.DataObject, shape: tuple[int, int], t: float) -> None:
    similarity = data.draw(hnp.arrays(np.float64, shape, elements=st.floats(-1, 1)))
    is_positive = data.draw(hnp.arrays(np.bool_, shape))

    loss = decoupled_softmax(
        torch.from_numpy(similarity), torch.from_numpy(is_positive), temperature=t
    )

    assert loss.item() == pytest.approx(slow_loss(similarity, is_positive, t), rel=1e-8, abs=1e-9)


def test_gradients_are_those_of_finite_differences() -> None:
    torch.manual_seed(0)
    similarity = (torch.rand(4, 5, dtype=torch.float64) * 2 - 1).requires_grad_()
    is_positive = torch.rand(4, 5) < 0.4

    assert torch.autograd.gradcheck(
        lambda s: decoupled_softmax(s, is_positive, temperature=0.5), (similarity,)
    )


@pytest.mark.parametrize(
    "marks", [[[False, False]], [[True, True]]], ids=["no positive", "no negative"]
)
def test_a_query_without_both_kinds_adds_zero_with_a_finite_gradient(
    marks: list[list[bool]],
) -> None:
    similarity = torch.tensor([[0.3, -0.9]], requires_grad=True)

    loss = decoupled_softmax(similarity, torch.tensor(marks))
    loss.backward()

    assert loss.item() == 0
    assert similarity.grad is not None
    assert torch.equal(similarity.grad, torch.zeros(1, 2))


def test_an_empty_query_does_not_dilute_the_mean() -> None:
    similarity = torch.tensor([[0.8, 0.6], [0.1, 0.2]])
    one = decoupled_softmax(similarity[:1], torch.tensor([[True, False]]))

    both = decoupled_softmax(similarity, torch.tensor([[True, False], [False, False]]))

    assert both.item() == pytest.approx(one.item())


def test_a_positive_never_competes_with_another_positive() -> None:
    similarity = torch.tensor([[0.8, 0.99, 0.1]])

    loss = decoupled_softmax(similarity, torch.tensor([[True, True, False]]), temperature=0.05)

    assert loss.item() < 1e-5


def test_extreme_similarities_stay_finite() -> None:
    similarity = torch.tensor([[-1.0, 1.0], [1.0, -1.0]], requires_grad=True)

    loss = decoupled_softmax(similarity, torch.eye(2, dtype=torch.bool), temperature=1e-3)
    loss.backward()

    assert loss.item() == pytest.approx(2000)
    assert similarity.grad is not None
    assert similarity.grad.isfinite().all()


def test_a_temperature_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        decoupled_softmax(torch.zeros(1, 1), torch.ones(1, 1, dtype=torch.bool), temperature=0.0)
