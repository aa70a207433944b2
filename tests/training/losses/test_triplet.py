import math
from typing import Protocol

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor

from training.losses.triplet import dynamic_margin_triplet, hardest_negative_triplet

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=6)
BOTH = pytest.mark.parametrize("objective", [hardest_negative_triplet, dynamic_margin_triplet])


class Objective(Protocol):
    """What both objectives accept."""

    def __call__(
        self,
        similarity: Tensor,
        is_positive: Tensor,
        *,
        hardest: int = 10,
        temperature: float = 0.1,
    ) -> Tensor: ...


def slow_loss(
    similarity: np.ndarray,
    is_positive: np.ndarray,
    *,
    margins: tuple[float, float],
    hardest: int = 10,
    temperature: float = 0.1,
    frozen: np.ndarray | None = None,
) -> float:
    """One triplet at a time; weights and margins are those of ``frozen``, if it is given."""
    fixed = similarity if frozen is None else frozen
    per_query: list[float] = []
    for query, marks in enumerate(is_positive):
        order = sorted(np.flatnonzero(~marks), key=lambda n: -similarity[query, n])[:hardest]
        losses: list[float] = []
        for p in np.flatnonzero(marks):
            weights: list[float] = []
            terms: list[float] = []
            for n in order:
                distance = abs(fixed[query, n] - fixed[query, p])
                margin = min(max(distance, margins[0]), margins[1])
                if fixed[query, n] - fixed[query, p] + margin > 0:
                    weights.append(math.exp(fixed[query, n] / temperature))
                    terms.append(max(0.0, similarity[query, n] - similarity[query, p] + margin))
            weighted = [w * t for w, t in zip(weights, terms, strict=True)]
            losses.append(sum(weighted) / sum(weights) if weights else 0.0)
        if losses:
            per_query.append(sum(losses) / len(losses))
    return sum(per_query) / len(per_query) if per_query else 0.0


def slow_gradient(
    similarity: np.ndarray, is_positive: np.ndarray, *, margins: tuple[float, float], hardest: int
) -> np.ndarray:
    """Central differences of the slow loop, with the weights and margins held still."""
    gradient = np.zeros_like(similarity)
    for entry in np.ndindex(*similarity.shape):
        sides: list[float] = []
        for step in (1e-6, -1e-6):
            moved = similarity.copy()
            moved[entry] += step
            sides.append(
                slow_loss(moved, is_positive, margins=margins, hardest=hardest, frozen=similarity)
            )
        gradient[entry] = (sides[0] - sides[1]) / 2e-6
    return gradient


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_worked_example(dtype: torch.dtype) -> None:
    """Positive at 0.6; 0.7 and 0.5 violate by 0.4 and 0.2 and weigh e^7 and e^5; 0.1 is easy."""
    similarity = torch.tensor([[0.6, 0.7, 0.5, 0.1]], dtype=dtype)
    is_positive = torch.tensor([[True, False, False, False]])

    loss = hardest_negative_triplet(similarity, is_positive, margin=0.3, temperature=0.1)

    expected = (0.4 * math.exp(7) + 0.2 * math.exp(5)) / (math.exp(7) + math.exp(5))
    assert loss.dtype == dtype
    assert loss.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("negative", "expected"),
    [(0.55, 0.05), (0.65, 0.15), (0.8, 0.4), (0.95, 0.65), (0.4, 0.0), (0.1, 0.0)],
    ids=["behind", "just ahead", "inside both bounds", "far ahead", "in step", "far behind"],
)
def test_the_dynamic_margin_is_the_distance_between_its_bounds(
    negative: float, expected: float
) -> None:
    """Positive at 0.6, so the margins are 0.1, 0.1, 0.2, 0.3, 0.2 and 0.3."""
    similarity = torch.tensor([[0.6, negative]], dtype=torch.float64)

    loss = dynamic_margin_triplet(similarity, torch.tensor([[True, False]]))

    assert loss.item() == pytest.approx(expected, abs=1e-9)


@given(st.data(), SHAPES, st.integers(1, 8), st.sampled_from([0.05, 0.1, 1.0]))
def test_it_equals_the_slow_loop(
    data: st.DataObject, shape: tuple[int, int], hardest: int, temperature: float
) -> None:
    similarity = data.draw(hnp.arrays(np.float64, shape, elements=st.floats(-1, 1)))
    is_positive = data.draw(hnp.arrays(np.bool_, shape))
    tensors = torch.from_numpy(similarity), torch.from_numpy(is_positive)

    fixed = hardest_negative_triplet(*tensors, hardest=hardest, temperature=temperature)
    dynamic = dynamic_margin_triplet(*tensors, hardest=hardest, temperature=temperature)

    for loss, margins in ((fixed, (0.3, 0.3)), (dynamic, (0.1, 0.3))):
        slow = slow_loss(
            similarity, is_positive, margins=margins, hardest=hardest, temperature=temperature
        )
        assert loss.item() == pytest.approx(slow, rel=1e-8, abs=1e-9)


@pytest.mark.parametrize(
    ("objective", "margins"),
    [(hardest_negative_triplet, (0.3, 0.3)), (dynamic_margin_triplet, (0.1, 0.3))],
)
def test_no_gradient_flows_through_weights_or_margins(
    objective: Objective, margins: tuple[float, float]
) -> None:
    torch.manual_seed(0)
    similarity = (torch.rand(5, 8, dtype=torch.float64) * 2 - 1).requires_grad_()
    is_positive = torch.rand(5, 8) < 0.3

    objective(similarity, is_positive, hardest=3).backward()

    expected = slow_gradient(
        similarity.detach().numpy(), is_positive.numpy(), margins=margins, hardest=3
    )
    assert similarity.grad is not None
    assert similarity.grad.numpy() == pytest.approx(expected, abs=1e-8)
    assert np.abs(expected).max() > 0.01


@BOTH
def test_gradients_are_those_of_finite_differences_where_nothing_is_detached(
    objective: Objective,
) -> None:
    """One negative weighs 1; far from the positive the dynamic margin sits on a bound."""
    similarity = torch.tensor([[0.1, 0.7, -0.4], [0.3, 0.2, 0.9]], dtype=torch.float64)
    is_positive = torch.tensor([[True, False, False], [True, True, False]])

    assert torch.autograd.gradcheck(
        lambda s: objective(s, is_positive, hardest=1), (similarity.requires_grad_(),)
    )


@BOTH
@pytest.mark.parametrize(
    "marks",
    [[[False, False]], [[True, True]], [[True]], [[False]]],
    ids=["no positive", "no negative", "only a positive", "only a negative"],
)
def test_a_query_without_both_kinds_adds_zero_with_a_finite_gradient(
    objective: Objective, marks: list[list[bool]]
) -> None:
    is_positive = torch.tensor(marks)
    similarity = torch.full(is_positive.shape, 0.3, requires_grad=True)

    loss = objective(similarity, is_positive)
    loss.backward()

    assert loss.item() == 0
    assert similarity.grad is not None
    assert torch.equal(similarity.grad, torch.zeros_like(similarity))


@BOTH
def test_an_empty_query_does_not_dilute_the_mean(objective: Objective) -> None:
    similarity = torch.tensor([[0.5, 0.6], [0.1, 0.2]])
    one = objective(similarity[:1], torch.tensor([[True, False]]))

    both = objective(similarity, torch.tensor([[True, False], [False, False]]))

    assert one.item() > 0
    assert both.item() == pytest.approx(one.item())


@BOTH
def test_negatives_beyond_the_hardest_do_not_count(objective: Objective) -> None:
    similarity = torch.tensor([[0.5, 0.6, 0.55]])
    alone = objective(similarity[:, :2], torch.tensor([[True, False]]))

    loss = objective(similarity, torch.tensor([[True, False, False]]), hardest=1)

    assert loss.item() == pytest.approx(alone.item())


@BOTH
def test_asking_for_more_negatives_than_products_takes_them_all(objective: Objective) -> None:
    similarity = torch.tensor([[0.5, 0.6, 0.55]])
    is_positive = torch.tensor([[True, False, False]])

    loss = objective(similarity, is_positive, hardest=1000)

    assert torch.equal(loss, objective(similarity, is_positive, hardest=2))


@BOTH
def test_ignored_pairs_have_no_effect(objective: Objective) -> None:
    similarity = torch.tensor([[0.5, 0.6, -1.0, -1.0], [-0.6, -1.0, -1.0, -1.0]])
    is_positive = torch.tensor([[True, False, False, False]] * 2)

    loss = objective(similarity, is_positive)

    alone = objective(similarity[:1, :2], is_positive[:1, :2])
    assert loss.item() == pytest.approx(alone.item() / 2)


@BOTH
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_similarities_stay_finite(objective: Objective, dtype: torch.dtype) -> None:
    similarity = torch.tensor([[-1.0, 1.0], [1.0, -1.0]], dtype=dtype, requires_grad=True)

    loss = objective(similarity, torch.eye(2, dtype=torch.bool), temperature=1e-3)
    loss.backward()

    assert loss.item() == pytest.approx(2.3)
    assert similarity.grad is not None
    assert similarity.grad.isfinite().all()


@BOTH
def test_memory_does_not_grow_with_queries_times_products_times_negatives(
    objective: Objective,
) -> None:
    similarity = torch.rand(16, 64, requires_grad=True)
    sizes: list[int] = []

    def note(tensor: Tensor) -> Tensor:
        sizes.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        objective(similarity, torch.eye(16, 64, dtype=torch.bool), hardest=32)

    assert max(sizes) <= 16 * 64


@BOTH
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hardest": 0}, "at least 1"),
        ({"temperature": 0.0}, "above 0"),
    ],
)
def test_settings_below_their_bound_are_refused(
    objective: Objective, settings: dict[str, float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        objective(torch.zeros(1, 1), torch.ones(1, 1, dtype=torch.bool), **settings)  # pyright: ignore[reportArgumentType] -- one table for int and float


def test_a_negative_margin_is_refused() -> None:
    similarity, is_positive = torch.zeros(1, 1), torch.ones(1, 1, dtype=torch.bool)

    with pytest.raises(ValueError, match="at least 0"):
        hardest_negative_triplet(similarity, is_positive, margin=-0.1)
    with pytest.raises(ValueError, match="at least 0"):
        dynamic_margin_triplet(similarity, is_positive, least_margin=-0.1)


def test_margins_the_wrong_way_round_are_refused() -> None:
    with pytest.raises(ValueError, match="must be at least least_margin"):
        dynamic_margin_triplet(
            torch.zeros(1, 1),
            torch.ones(1, 1, dtype=torch.bool),
            least_margin=0.3,
            most_margin=0.2,
        )
