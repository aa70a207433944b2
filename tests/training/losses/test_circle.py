import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from training.losses.circle import circle

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=5)


def slow_loss(
    similarity: np.ndarray,
    is_positive: np.ndarray,
    *,
    margin: float,
    scale: float,
    frozen: np.ndarray | None = None,
) -> float:
    """log(1 + sum over pairs of a positive and a negative); paces are those of ``frozen``."""
    fixed = similarity if frozen is None else frozen
    per_query: list[float] = []
    for row, paces, marks in zip(similarity, fixed, is_positive, strict=True):
        total = 0.0
        negatives = [n for n in np.flatnonzero(~marks) if row[n] > -1]
        for p in np.flatnonzero(marks):
            for n in negatives:
                pull = max(0.0, 1 + margin - paces[p]) * (row[p] - 1 + margin)
                push = max(0.0, paces[n] + margin) * (row[n] - margin)
                total += math.exp(scale * (push - pull))
        if marks.any() and negatives:
            per_query.append(math.log1p(total))
    return sum(per_query) / len(per_query) if per_query else 0.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_worked_example(dtype: torch.dtype) -> None:
    """Positive 0.6, negative 0.3, margin 0.4: paces 0.8 and 0.7, so 10 (0.7 (-0.1) - 0.8 (0))."""
    similarity = torch.tensor([[0.6, 0.3]], dtype=dtype)

    loss = circle(similarity, torch.tensor([[True, False]]), margin=0.4, scale=10.0)

    assert loss.dtype == dtype
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-0.7)), abs=1e-6)


def test_the_default_settings_are_those_of_the_method() -> None:
    similarity = torch.tensor([[0.5, 0.3, -0.7]])
    is_positive = torch.tensor([[True, False, False]])

    loss = circle(similarity, is_positive)

    push = math.exp(80 * 0.7 * -0.1) + 1  # the second negative has a pace of 0
    pull = math.exp(-80 * 0.9 * -0.1)
    assert loss.item() == pytest.approx(math.log(1 + push * pull), rel=1e-5)


@given(st.data(), SHAPES, st.sampled_from([0.0, 0.25, 0.4]), st.sampled_from([1.0, 10.0, 80.0]))
def test_it_equals_the_slow_loop(
    data: st.DataObject, shape: tuple[int, int], margin: float, scale: float
) -> None:
    similarity = data.draw(hnp.arrays(np.float64, shape, elements=st.floats(-1, 1)))
    is_positive = data.draw(hnp.arrays(np.bool_, shape))

    loss = circle(
        torch.from_numpy(similarity), torch.from_numpy(is_positive), margin=margin, scale=scale
    )

    slow = slow_loss(similarity, is_positive, margin=margin, scale=scale)
    assert loss.item() == pytest.approx(slow, rel=1e-8, abs=1e-9)


def test_no_gradient_flows_through_the_paces() -> None:
    """The gradient is that of finite differences of the slow loop, its paces held still."""
    torch.manual_seed(0)
    similarity = (torch.rand(4, 6, dtype=torch.float64) * 2 - 1).requires_grad_()
    is_positive = torch.rand(4, 6) < 0.4
    at, marks = similarity.detach().numpy(), is_positive.numpy()
    expected = np.zeros_like(at)
    for entry in np.ndindex(*at.shape):
        for step in (1e-6, -1e-6):
            moved = at.copy()
            moved[entry] += step
            slow = slow_loss(moved, marks, margin=0.4, scale=4.0, frozen=at)
            expected[entry] += slow / (2 * step)

    circle(similarity, is_positive, margin=0.4, scale=4.0).backward()

    assert similarity.grad is not None
    assert similarity.grad.numpy() == pytest.approx(expected, abs=1e-7)
    assert np.abs(expected).max() > 0.01


def test_gradients_by_hand() -> None:
    """Paces 0.8 and 0.7, scale 10: the sigmoid of -0.7, times 8 down and 7 up."""
    similarity = torch.tensor([[0.6, 0.3]], dtype=torch.float64, requires_grad=True)

    circle(similarity, torch.tensor([[True, False]]), margin=0.4, scale=10.0).backward()

    slope = 1 / (1 + math.exp(0.7))
    assert similarity.grad is not None
    assert similarity.grad[0].tolist() == pytest.approx([-8 * slope, 7 * slope])


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

    loss = circle(similarity, is_positive)
    loss.backward()

    assert loss.item() == 0
    assert similarity.grad is not None
    assert torch.equal(similarity.grad, torch.zeros_like(similarity))


@pytest.mark.parametrize("marks", [[False, False], [True, True]])
def test_a_query_without_both_kinds_does_not_dilute_the_mean(marks: list[bool]) -> None:
    similarity = torch.tensor([[0.5, 0.6], [0.1, 0.2]])
    one = circle(similarity[:1], torch.tensor([[True, False]]))

    both = circle(similarity, torch.tensor([[True, False], marks]))

    assert both.item() == pytest.approx(one.item())


def test_ignored_pairs_have_no_effect() -> None:
    similarity = torch.tensor([[0.5, 0.2, -1.0, -1.0], [0.5, -1.0, -1.0, -1.0]])
    is_positive = torch.tensor([[True, False, False, False]] * 2)

    loss = circle(similarity, is_positive)

    alone = circle(similarity[:1, :2], is_positive[:1, :2])
    assert torch.equal(loss, alone)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_similarities_stay_finite(dtype: torch.dtype) -> None:
    similarity = torch.tensor([[-1.0, 1.0], [1.0, -1.0]], dtype=dtype, requires_grad=True)

    loss = circle(similarity, torch.eye(2, dtype=torch.bool), scale=1000.0)
    loss.backward()

    # by the first query; the negative of the second stands at -1, so that query is left out
    assert loss.item() == pytest.approx(1000 * (1.4 * 0.6 + 2.4 * 1.6))
    assert similarity.grad is not None
    assert similarity.grad.isfinite().all()


@pytest.mark.parametrize("margin", [-0.1, 1.0])
def test_a_margin_outside_its_range_is_refused(margin: float) -> None:
    with pytest.raises(ValueError, match="below 1"):
        circle(torch.zeros(1, 1), torch.ones(1, 1, dtype=torch.bool), margin=margin)


def test_a_scale_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        circle(torch.zeros(1, 1), torch.ones(1, 1, dtype=torch.bool), scale=0.0)
