import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from training.losses.supervised_contrastive import supervised_contrastive

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=5)


def slow_loss(similarity: np.ndarray, is_positive: np.ndarray, temperature: float) -> float:
    """The formula read aloud, one pair at a time; a query of positives only adds zero."""
    per_query: list[float] = []
    for row, marks in zip(similarity, is_positive, strict=True):
        losses: list[float] = []
        for p in np.flatnonzero(marks):
            share = math.exp(row[p] / temperature) / sum(math.exp(s / temperature) for s in row)
            losses.append(0.0 if marks.all() else -math.log(share))
        if losses:
            per_query.append(sum(losses) / len(losses))
    return sum(per_query) / len(per_query) if per_query else 0.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_worked_example(dtype: torch.dtype) -> None:
    """Positives at 0.8 and 0.6, a negative at 0.5, temperature 0.1: gaps of 0, 2 and 3."""
    similarity = torch.tensor([[0.8, 0.6, 0.5]], dtype=dtype)
    is_positive = torch.tensor([[True, True, False]])

    loss = supervised_contrastive(similarity, is_positive, temperature=0.1)

    assert loss.dtype == dtype
    assert loss.item() == pytest.approx(1 + math.log(1 + math.exp(-2) + math.exp(-3)), abs=1e-6)


@given(st.data(), SHAPES, st.sampled_from([0.05, 0.2, 1.0]))
def test_it_equals_the_slow_loop(data: st.DataObject, shape: tuple[int, int], t: float) -> None:
    similarity = data.draw(hnp.arrays(np.float64, shape, elements=st.floats(-1, 1)))
    is_positive = data.draw(hnp.arrays(np.bool_, shape))

    loss = supervised_contrastive(
        torch.from_numpy(similarity), torch.from_numpy(is_positive), temperature=t
    )

    assert loss.item() == pytest.approx(slow_loss(similarity, is_positive, t), rel=1e-8, abs=1e-9)


def test_gradients_are_those_of_finite_differences() -> None:
    torch.manual_seed(0)
    similarity = (torch.rand(4, 5, dtype=torch.float64) * 2 - 1).requires_grad_()
    is_positive = torch.rand(4, 5) < 0.4

    assert torch.autograd.gradcheck(
        lambda s: supervised_contrastive(s, is_positive, temperature=0.5), (similarity,)
    )


@pytest.mark.parametrize(
    "marks",
    [[[False, False]], [[True, True]], [[True]], [[False]]],
    ids=["no positive", "no negative", "only a positive", "only a negative"],
)
def test_a_query_without_both_kinds_adds_zero_with_a_finite_gradient(
    marks: list[list[bool]],
) -> None:
    is_positive = torch.tensor(marks)
    similarity = torch.full(is_positive.shape, 0.3, requires_grad=True)

    loss = supervised_contrastive(similarity, is_positive, temperature=0.1)
    loss.backward()

    assert loss.item() == 0
    assert similarity.grad is not None
    assert torch.equal(similarity.grad, torch.zeros_like(similarity))


def test_an_empty_query_does_not_dilute_the_mean() -> None:
    similarity = torch.tensor([[0.8, 0.6], [0.1, 0.2]])
    one = supervised_contrastive(similarity[:1], torch.tensor([[True, False]]), temperature=0.1)

    both = supervised_contrastive(
        similarity, torch.tensor([[True, False], [False, False]]), temperature=0.1
    )

    assert both.item() == pytest.approx(one.item())


def test_positives_compete_with_one_another() -> None:
    """Two equal positives share: neither can do better than one half."""
    similarity = torch.tensor([[0.9, 0.9, -0.9]])

    loss = supervised_contrastive(similarity, torch.tensor([[True, True, False]]), temperature=0.05)

    assert loss.item() == pytest.approx(math.log(2), abs=1e-6)


def test_ignored_pairs_have_no_noticeable_effect() -> None:
    similarity = torch.tensor([[0.5, 0.6, -1.0, -1.0]], dtype=torch.float64)
    is_positive = torch.tensor([[True, False, False, False]])

    loss = supervised_contrastive(similarity, is_positive, temperature=0.1)

    alone = supervised_contrastive(similarity[:, :2], is_positive[:, :2], temperature=0.1)
    assert loss.item() == pytest.approx(alone.item(), abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_similarities_stay_finite(dtype: torch.dtype) -> None:
    similarity = torch.tensor([[-1.0, 1.0], [1.0, -1.0]], dtype=dtype, requires_grad=True)

    loss = supervised_contrastive(similarity, torch.eye(2, dtype=torch.bool), temperature=1e-3)
    loss.backward()

    assert loss.item() == pytest.approx(2000)
    assert similarity.grad is not None
    assert similarity.grad.isfinite().all()


def test_a_temperature_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        supervised_contrastive(
            torch.zeros(1, 1), torch.ones(1, 1, dtype=torch.bool), temperature=0.0
        )
