import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from training.losses import embedding_distance, similarity_divergence

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=5)


def arrays(data: st.DataObject, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    entries = hnp.arrays(np.float64, shape, elements=st.floats(-1, 1))
    return data.draw(entries), data.draw(entries)


def slow_distance(student: np.ndarray, teacher: np.ndarray) -> float:
    """The formula read aloud, one entry at a time."""
    per_text: list[float] = []
    for own, wanted in zip(student, teacher, strict=True):
        per_text.append(sum((a - b) ** 2 for a, b in zip(own, wanted, strict=True)))
    return sum(per_text) / len(per_text)


def slow_divergence(student: np.ndarray, teacher: np.ndarray, temperature: float) -> float:
    """The formula read aloud, one product at a time."""
    per_query: list[float] = []
    for own, wanted in zip(student, teacher, strict=True):
        mine = [math.exp(value / temperature) for value in own]
        right = [math.exp(value / temperature) for value in wanted]
        shares = [(a / sum(mine), b / sum(right)) for a, b in zip(mine, right, strict=True)]
        per_query.append(sum(b * math.log(b / a) for a, b in shares))
    return sum(per_query) / len(per_query)


def test_worked_distance() -> None:
    """Two texts: embeddings at a right angle, and embeddings that agree."""
    student = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    teacher = torch.tensor([[0.0, 1.0], [0.6, 0.8]])

    assert embedding_distance(student, teacher).item() == pytest.approx(1.0)


def test_opposite_embeddings_are_as_far_apart_as_can_be() -> None:
    student = torch.tensor([[0.6, 0.8]])

    assert embedding_distance(student, -student).item() == pytest.approx(4.0)


def test_worked_divergence() -> None:
    """One query, temperature 1: the teacher's shares are 3/4 and 1/4, the student's halves."""
    student = torch.tensor([[0.2, 0.2]])
    teacher = torch.tensor([[math.log(3) / 2, -math.log(3) / 2]])

    loss = similarity_divergence(student, teacher, temperature=1.0)

    assert loss.item() == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5), abs=1e-6)


@given(st.data(), SHAPES)
def test_the_distance_equals_the_slow_loop(data: st.DataObject, shape: tuple[int, int]) -> None:
    student, teacher = arrays(data, shape)

    loss = embedding_distance(torch.from_numpy(student), torch.from_numpy(teacher))

    assert loss.item() == pytest.approx(slow_distance(student, teacher), rel=1e-9, abs=1e-12)


@given(st.data(), SHAPES, st.sampled_from([0.05, 0.2, 1.0]))
def test_the_divergence_equals_the_slow_loop(
    data: st.DataObject, shape: tuple[int, int], temperature: float
) -> None:
    student, teacher = arrays(data, shape)

    loss = similarity_divergence(
        torch.from_numpy(student), torch.from_numpy(teacher), temperature=temperature
    )

    expected = slow_divergence(student, teacher, temperature)
    assert loss.item() == pytest.approx(expected, rel=1e-8, abs=1e-9)
    assert loss.item() >= -1e-9


def test_gradients_are_those_of_finite_differences() -> None:
    torch.manual_seed(0)
    student = torch.randn(4, 5, dtype=torch.float64).requires_grad_()
    teacher = torch.randn(4, 5, dtype=torch.float64)

    assert torch.autograd.gradcheck(lambda s: embedding_distance(s, teacher), (student,))
    assert torch.autograd.gradcheck(
        lambda s: similarity_divergence(s, teacher, temperature=0.5), (student,)
    )


def test_a_student_that_agrees_has_nothing_to_learn() -> None:
    same = torch.tensor([[0.3, -0.9, 0.1]], requires_grad=True)

    (
        embedding_distance(same, same.detach())
        + similarity_divergence(same, same.detach(), temperature=0.05)
    ).backward()

    assert same.grad is not None
    assert torch.allclose(same.grad, torch.zeros(1, 3), atol=1e-5)


def test_the_divergence_asks_for_the_order_of_likes_not_for_their_height() -> None:
    teacher = torch.tensor([[0.9, 0.5, 0.1]])

    assert similarity_divergence(teacher - 0.3, teacher).item() == pytest.approx(0, abs=1e-5)
    assert similarity_divergence(teacher.flip(1), teacher).item() > 1


def test_extreme_similarities_stay_finite() -> None:
    student = torch.tensor([[-1.0, 1.0]], requires_grad=True)

    loss = similarity_divergence(student, -student.detach(), temperature=1e-3)
    loss.backward()

    assert loss.item() == pytest.approx(2000)
    assert student.grad is not None
    assert student.grad.isfinite().all()


def test_a_temperature_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        similarity_divergence(torch.zeros(1, 1), torch.zeros(1, 1), temperature=0.0)
