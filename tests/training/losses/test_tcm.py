import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from training.losses import threshold_consistent_margin

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=5)


def slow_loss(
    similarity: np.ndarray, is_positive: np.ndarray, positive_margin: float, negative_margin: float
) -> float:
    """Means over offending pairs, one pair at a time; queries of one kind only add zero."""
    pull: list[float] = []
    push: list[float] = []
    for row, marks in zip(similarity, is_positive, strict=True):
        if marks.any() and not marks.all():
            pull += [positive_margin - s for s in row[marks] if s <= positive_margin]
            push += [s - negative_margin for s in row[~marks] if s >= negative_margin]
    return sum(float(np.mean(side)) for side in (pull, push) if side)


def test_the_published_worked_value() -> None:
    """Four embeddings of two classes with the paper's margins: 0.19289 + 0.32498."""
    embeddings = torch.nn.functional.normalize(
        torch.tensor([[0.0, 1.0], [0.43, 0.9], [1.0, 0.0], [0.5, 0.5]]), dim=1
    )
    labels = torch.tensor([0, 0, 1, 1])

    loss = threshold_consistent_margin(embeddings @ embeddings.T, labels[:, None] == labels)

    assert loss.item() == pytest.approx(0.19289 + 0.32498, abs=2e-5)


@given(st.data(), SHAPES)
def test_it_equals_the_slow_loop(data: st.DataObject, shape: tuple[int, int]) -> None:
    similarity = data.draw(hnp.arrays(np.float64, shape, elements=st.floats(-1, 1)))
    is_positive = data.draw(hnp.arrays(np.bool_, shape))

    loss = threshold_consistent_margin(
        torch.from_numpy(similarity),
        torch.from_numpy(is_positive),
        positive_margin=0.7,
        negative_margin=0.2,
    )

    assert loss.item() == pytest.approx(slow_loss(similarity, is_positive, 0.7, 0.2), abs=1e-9)


def test_gradients_are_those_of_finite_differences() -> None:
    torch.manual_seed(0)
    similarity = (torch.rand(4, 5, dtype=torch.float64) * 2 - 1).requires_grad_()
    is_positive = torch.rand(4, 5) < 0.4

    assert torch.autograd.gradcheck(
        lambda s: threshold_consistent_margin(s, is_positive), (similarity,)
    )


@pytest.mark.parametrize(
    "marks", [[[False, False]], [[True, True]]], ids=["no positive", "no negative"]
)
def test_a_query_without_both_kinds_adds_zero_with_a_finite_gradient(
    marks: list[list[bool]],
) -> None:
    similarity = torch.tensor([[0.7, 0.8]], requires_grad=True)

    loss = threshold_consistent_margin(similarity, torch.tensor(marks))
    loss.backward()

    assert loss.item() == 0
    assert similarity.grad is not None
    assert torch.equal(similarity.grad, torch.zeros(1, 2))


def test_easy_pairs_do_not_dilute_the_mean() -> None:
    hard = torch.tensor([[0.7, 0.6]])
    with_easy = torch.tensor([[0.7, 0.6, -0.5, 0.1]])

    one = threshold_consistent_margin(hard, torch.tensor([[True, False]]))
    many = threshold_consistent_margin(with_easy, torch.tensor([[True, False, False, False]]))

    assert many.item() == pytest.approx(one.item())


def test_margins_the_wrong_way_round_are_refused() -> None:
    with pytest.raises(ValueError, match="must be below"):
        threshold_consistent_margin(
            torch.zeros(1, 1),
            torch.ones(1, 1, dtype=torch.bool),
            positive_margin=0.5,
            negative_margin=0.5,
        )
