import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import normalize

from training.losses.pairs import Scaling, pair_representation
from training.losses.query_label import QueryLabelObjective

LOG2 = math.log(2)


def units(*shape: int) -> Tensor:
    return normalize(torch.randn(*shape, dtype=torch.float64), dim=-1)


def slow_loss(
    objective: QueryLabelObjective, queries: Tensor, products: Tensor, is_positive: Tensor
) -> tuple[float, float]:
    """Loss and accuracy, one query and one pair at a time, with the objective's own head."""
    losses: list[float] = []
    rights: list[float] = []
    for query, marks in zip(queries, is_positive.tolist(), strict=True):
        if not any(marks) or all(marks):
            continue
        negatives = [n for n, mark in enumerate(marks) if not mark]
        negatives.sort(key=lambda n: -float(query @ products[n]))
        shares: list[float] = []
        for column in [marks.index(True), *negatives[: objective.hardest]]:
            pair = pair_representation(query, products[column])
            shares.append(objective.head(objective.scale(pair)).softmax(dim=0)[1].item())
        wrong = [-math.log(1 - share) for share in shares[1:]]
        losses.append((-math.log(shares[0]) + sum(wrong) / len(wrong)) / 2)
        refused = [share < 0.5 for share in shares[1:]]
        rights.append(((shares[0] > 0.5) + sum(refused) / len(refused)) / 2)
    if not losses:
        return 0.0, math.nan
    return sum(losses) / len(losses), sum(rights) / len(rights)


def by_hand(scaling: Scaling) -> QueryLabelObjective:
    """A head of one unit that reads ten times q1 * l1, as evidence for right."""
    objective = QueryLabelObjective(2, hidden=1, scaling=scaling)
    for parameter in objective.head.parameters():
        torch.nn.init.zeros_(parameter)
    reads, _, answers, _ = objective.head.parameters()
    with torch.no_grad():
        reads[0, 6] = 10
        answers[1, 0] = 1
    return objective


@pytest.mark.parametrize(
    ("scaling", "logit"), [("none", 10.0), ("root_dim", 10 * math.sqrt(2))], ids=str
)
def test_worked_example(scaling: Scaling, logit: float) -> None:
    """The positive's logit is 10 (GELU leaves it), the negative's 0: undecided."""
    objective = by_hand(scaling)

    judgement = objective.judge(torch.eye(2)[:1], torch.eye(2), torch.tensor([[True, False]]))

    expected = (math.log1p(math.exp(-logit)) + LOG2) / 2
    assert judgement.loss.item() == pytest.approx(expected, abs=1e-6)
    assert judgement.accuracy == pytest.approx(0.75)
    assert judgement.chance == pytest.approx(0.5)


@given(
    st.integers(0, 10**6),
    st.integers(1, 4),
    st.integers(1, 5),
    st.sampled_from([1, 3]),
    st.sampled_from(["layer_norm", "root_dim", "none"]),
)
def test_it_equals_the_slow_loop(
    seed: int, queries: int, products: int, hardest: int, scaling: Scaling
) -> None:
    torch.manual_seed(seed)
    objective = QueryLabelObjective(3, hardest=hardest, hidden=4, scaling=scaling).double()
    q, u = units(queries, 3), units(products, 3)
    is_positive = torch.rand(queries, products) < 0.4

    judgement = objective.judge(q, u, is_positive)

    loss, accuracy = slow_loss(objective, q, u, is_positive)
    assert judgement.loss.item() == pytest.approx(loss, abs=1e-9)
    assert judgement.accuracy == pytest.approx(accuracy, nan_ok=True)


def test_gradients_are_those_of_finite_differences() -> None:
    torch.manual_seed(0)
    objective = QueryLabelObjective(3, hardest=2, hidden=4).double()
    is_positive = torch.tensor([[True, False, False, False], [False, True, True, False]])

    def loss(q: Tensor, u: Tensor, *_: Tensor) -> Tensor:
        return objective(q, u, is_positive)

    inputs = (units(2, 3).requires_grad_(), units(4, 3).requires_grad_())
    assert torch.autograd.gradcheck(loss, (*inputs, *objective.parameters()))


@pytest.mark.parametrize(
    "marks",
    [[[False, False]], [[True, True]], [[True]], [[False]]],
    ids=["no positive", "no negative", "single product", "single negative"],
)
def test_a_query_without_both_kinds_adds_zero_with_a_finite_gradient(
    marks: list[list[bool]],
) -> None:
    objective = QueryLabelObjective(2)
    queries = torch.eye(2)[:1].requires_grad_()
    products = torch.eye(2)[: len(marks[0])].requires_grad_()

    judgement = objective.judge(queries, products, torch.tensor(marks))
    judgement.loss.backward()

    assert judgement.loss.item() == 0
    assert math.isnan(judgement.accuracy)
    for leaf in (queries, products, *objective.parameters()):
        assert leaf.grad is not None
        assert torch.equal(leaf.grad, torch.zeros_like(leaf))


def test_an_empty_query_does_not_dilute_the_mean() -> None:
    torch.manual_seed(0)
    objective = QueryLabelObjective(3).double()
    q, u = units(2, 3), units(4, 3)
    is_positive = torch.tensor([[True, False, False, False], [False] * 4])

    one = objective(q[:1], u, is_positive[:1])

    assert objective(q, u, is_positive).item() == pytest.approx(one.item())


def test_gradient_reaches_the_embeddings_and_the_head() -> None:
    torch.manual_seed(0)
    objective = QueryLabelObjective(3, hardest=2).double()
    q, u = units(4, 3).requires_grad_(), units(4, 3).requires_grad_()

    objective(q, u, torch.eye(4, dtype=torch.bool)).backward()

    for leaf in (q, u, *objective.parameters()):
        assert leaf.grad is not None
        assert leaf.grad.abs().sum() > 0


def test_the_sampled_positive_is_the_one_that_is_judged() -> None:
    """The other positive is no negative, so only the sampled column changes the loss."""
    objective = by_hand("none")
    products = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    is_positive = torch.tensor([[True, True, False]])

    loss = objective(torch.eye(2)[:1], products, is_positive, sampled=torch.tensor([1]))

    assert loss.item() == pytest.approx(LOG2, abs=1e-6)


def test_a_product_neither_positive_nor_negative_is_never_a_negative() -> None:
    objective = QueryLabelObjective(3, hardest=3).double()
    torch.manual_seed(0)
    q, u = units(1, 3), units(4, 3)
    is_positive = torch.tensor([[True, False, False, False]])
    is_negative = torch.tensor([[False, False, True, False]])

    loss = objective(q, u, is_positive, is_negative=is_negative)

    alone = objective(q, u[[0, 2]], torch.tensor([[True, False]]))
    assert loss.item() == pytest.approx(alone.item())


def test_a_fresh_head_on_unrelated_texts_is_at_chance() -> None:
    torch.manual_seed(0)
    objective = QueryLabelObjective(16, hardest=8).double()
    is_positive = torch.nn.functional.one_hot(torch.arange(512) % 9, 9).bool()

    judgement = objective.judge(units(512, 16), units(9, 16), is_positive)

    assert judgement.accuracy == pytest.approx(0.5, abs=0.1)
    assert judgement.loss.item() == pytest.approx(LOG2, abs=0.1)


def test_the_head_learns_a_separable_toy_problem() -> None:
    torch.manual_seed(0)
    objective = QueryLabelObjective(8, hardest=3, hidden=32).double()
    products = units(16, 8)
    queries = normalize(products + 0.3 * units(16, 8), dim=1)
    optimiser = torch.optim.Adam(objective.parameters(), lr=5e-3)

    for _ in range(200):
        optimiser.zero_grad()
        objective(queries, products, torch.eye(16, dtype=torch.bool)).backward()
        optimiser.step()

    judgement = objective.judge(queries, products, torch.eye(16, dtype=torch.bool))
    assert judgement.accuracy > 0.95
    assert judgement.loss.item() < 0.3


def test_less_than_one_negative_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        QueryLabelObjective(2, hardest=0)
