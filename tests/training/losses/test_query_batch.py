import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import normalize

from training.losses.pairs import pair_representation
from training.losses.query_batch import (
    CandidateAttention,
    QueryBatchForm,
    QueryBatchObjective,
    beside_mean,
)

FORMS: list[QueryBatchForm] = ["listwise", "batch_aware", "attention"]
every_form = pytest.mark.parametrize("form", FORMS)


def units(*shape: int) -> Tensor:
    return normalize(torch.randn(*shape, dtype=torch.float64), dim=-1)


def attended(attend: CandidateAttention, pairs: list[Tensor]) -> list[Tensor]:
    """Multi-head attention over the real candidates only, one head and one pair at a time."""
    attention, tokens = attend.attention, [attend.project(pair) for pair in pairs]
    width, heads = attention.embed_dim, attention.num_heads
    assert attention.in_proj_weight is not None
    read_all: list[list[Tensor]] = [[] for _ in tokens]
    projected = [attention.in_proj_weight @ token + attention.in_proj_bias for token in tokens]
    for head in range(heads):
        part = slice(head * width // heads, (head + 1) * width // heads)
        q, k, v = ([p.split(width)[i][part] for p in projected] for i in range(3))
        for place, asks in enumerate(q):
            weights = torch.stack([asks @ key for key in k]).div(math.sqrt(width // heads))
            shares = weights.softmax(dim=0)
            read_all[place].append(shares @ torch.stack(v))
    return [
        token + attention.out_proj(torch.cat(read))
        for token, read in zip(tokens, read_all, strict=True)
    ]


def slow_query(objective: QueryBatchObjective, pairs: list[Tensor]) -> tuple[float, float, float]:
    """Loss, accuracy and chance of one query; its positive is the first pair."""
    if objective.form == "batch_aware":
        mean = torch.stack(pairs).mean(dim=0)
        logits = [objective.head(torch.cat((pair, pair - mean))) for pair in pairs]
        rights = [logit.softmax(dim=0)[1].item() for logit in logits]
        negatives = len(rights) - 1
        loss = -math.log(rights[0]) - sum(math.log(1 - r) for r in rights[1:]) / negatives
        right = (rights[0] > 0.5) + sum(r < 0.5 for r in rights[1:]) / negatives
        return loss / 2, right / 2, 0.5
    if objective.attend is not None:
        pairs = attended(objective.attend, pairs)
    scores = [objective.head(pair).item() for pair in pairs]
    share = math.exp(scores[0]) / sum(math.exp(score) for score in scores)
    return -math.log(share), float(scores[0] == max(scores)), 1 / len(scores)


def slow_judgement(
    objective: QueryBatchObjective, queries: Tensor, products: Tensor, is_positive: Tensor
) -> tuple[float, float, float]:
    """Means over the queries that count, one query at a time, with the objective's own head."""
    judged: list[tuple[float, float, float]] = []
    for query, marks in zip(queries, is_positive.tolist(), strict=True):
        if any(marks) and not all(marks):
            negatives = [n for n, mark in enumerate(marks) if not mark]
            negatives.sort(key=lambda n: -float(query @ products[n]))
            columns = [marks.index(True), *negatives[: objective.hardest]]
            pairs = [objective.scale(pair_representation(query, products[c])) for c in columns]
            judged.append(slow_query(objective, pairs))
    if not judged:
        return 0.0, math.nan, math.nan
    loss, accuracy, chance = (sum(column) / len(judged) for column in zip(*judged, strict=True))
    return loss, accuracy, chance


def test_worked_listwise_example() -> None:
    """Scores 10 and 0 and 0 (GELU leaves them): log(1 + 2 e^-10)."""
    objective = QueryBatchObjective(2, hidden=1, scaling="none")
    for parameter in objective.head.parameters():
        torch.nn.init.zeros_(parameter)
    reads, _, answers, _ = objective.head.parameters()
    with torch.no_grad():
        reads[0, 6] = 10
        answers[0, 0] = 1
    products = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])

    judgement = objective.judge(torch.eye(2)[:1], products, torch.tensor([[True, False, False]]))

    assert judgement.loss.item() == pytest.approx(math.log1p(2 * math.exp(-10)), abs=1e-6)
    assert judgement.accuracy == pytest.approx(1)
    assert judgement.chance == pytest.approx(1 / 3)


def test_a_pair_stands_beside_its_difference_from_the_mean_of_the_real_ones() -> None:
    pairs = torch.tensor([[[1.0], [3.0], [100.0]]])

    beside = beside_mean(pairs, torch.tensor([[True, True, False]]))

    assert beside[0, :2].tolist() == [[1, -1], [3, 1]]


@given(
    st.integers(0, 10**6),
    st.integers(1, 4),
    st.integers(1, 5),
    st.sampled_from([1, 3]),
    st.sampled_from(FORMS),
)
def test_it_equals_the_slow_loop(
    seed: int, queries: int, products: int, hardest: int, form: QueryBatchForm
) -> None:
    torch.manual_seed(seed)
    objective = QueryBatchObjective(3, form=form, hardest=hardest, hidden=4).double()
    q, u = units(queries, 3), units(products, 3)
    is_positive = torch.rand(queries, products) < 0.4

    judgement = objective.judge(q, u, is_positive)

    loss, accuracy, chance = slow_judgement(objective, q, u, is_positive)
    assert judgement.loss.item() == pytest.approx(loss, abs=1e-9)
    assert judgement.accuracy == pytest.approx(accuracy, nan_ok=True)
    assert judgement.chance == pytest.approx(chance, nan_ok=True)


@every_form
def test_gradients_are_those_of_finite_differences(form: QueryBatchForm) -> None:
    torch.manual_seed(0)
    objective = QueryBatchObjective(3, form=form, hardest=3, hidden=4).double()
    is_positive = torch.tensor([[True, False, False, False], [False, True, True, False]])

    def loss(q: Tensor, u: Tensor, *_: Tensor) -> Tensor:
        return objective(q, u, is_positive)

    inputs = (units(2, 3).requires_grad_(), units(4, 3).requires_grad_())
    assert torch.autograd.gradcheck(loss, (*inputs, *objective.parameters()))


@every_form
@pytest.mark.parametrize(
    "marks",
    [[[False, False]], [[True, True]], [[True]], [[False]]],
    ids=["no positive", "no negative", "single product", "single negative"],
)
def test_a_query_without_both_kinds_adds_zero_with_a_finite_gradient(
    form: QueryBatchForm, marks: list[list[bool]]
) -> None:
    objective = QueryBatchObjective(2, form=form)
    queries = torch.eye(2)[:1].requires_grad_()
    products = torch.eye(2)[: len(marks[0])].requires_grad_()

    judgement = objective.judge(queries, products, torch.tensor(marks))
    judgement.loss.backward()

    assert judgement.loss.item() == 0
    assert math.isnan(judgement.accuracy)
    for leaf in (queries, products, *objective.parameters()):
        assert leaf.grad is not None
        assert torch.equal(leaf.grad, torch.zeros_like(leaf))


@every_form
def test_queries_that_cannot_be_judged_do_not_dilute_the_mean(form: QueryBatchForm) -> None:
    torch.manual_seed(0)
    objective = QueryBatchObjective(3, form=form).double()
    q, u = units(3, 3), units(4, 3)
    is_positive = torch.tensor([[True, False, False, False], [False] * 4, [True] * 4])

    one = objective(q[:1], u, is_positive[:1])

    assert objective(q, u, is_positive).item() == pytest.approx(one.item())


@every_form
def test_gradient_reaches_the_embeddings_and_the_head(form: QueryBatchForm) -> None:
    torch.manual_seed(0)
    objective = QueryBatchObjective(3, form=form).double()
    q, u = units(4, 3).requires_grad_(), units(4, 3).requires_grad_()

    objective(q, u, torch.eye(4, dtype=torch.bool)).backward()

    reads, _, answers, _ = objective.head.parameters()
    for leaf in (q, u, reads, answers):
        assert leaf.grad is not None
        assert leaf.grad.abs().sum() > 0


@every_form
def test_a_product_neither_positive_nor_negative_is_never_chosen(form: QueryBatchForm) -> None:
    """Two ignored products give padding: it must be as if they were not in the batch."""
    torch.manual_seed(0)
    objective = QueryBatchObjective(3, form=form, hardest=3).double()
    q, u = units(1, 3), units(4, 3)
    is_positive = torch.tensor([[True, False, False, False]])
    is_negative = torch.tensor([[False, False, True, False]])

    judgement = objective.judge(q, u, is_positive, is_negative=is_negative)

    alone = objective.judge(q, u[[0, 2]], torch.tensor([[True, False]]))
    assert judgement.loss.item() == pytest.approx(alone.loss.item())
    assert judgement.accuracy == pytest.approx(alone.accuracy)
    assert judgement.chance == pytest.approx(0.5)


@every_form
def test_the_sampled_positive_is_the_one_that_is_judged(form: QueryBatchForm) -> None:
    torch.manual_seed(0)
    objective = QueryBatchObjective(3, form=form).double()
    q, u = units(1, 3), units(3, 3)
    is_positive = torch.tensor([[True, True, False]])

    loss = objective(q, u, is_positive, sampled=torch.tensor([1]))

    alone = objective(q, u[1:], torch.tensor([[True, False]]))
    assert loss.item() == pytest.approx(alone.item())


@every_form
def test_a_head_that_says_the_same_of_everything_is_at_chance(form: QueryBatchForm) -> None:
    """The positive is the first candidate; a tie must not be won by its place."""
    torch.manual_seed(0)
    objective = QueryBatchObjective(3, form=form, hardest=8).double()
    for parameter in objective.head.parameters():
        torch.nn.init.zeros_(parameter)

    judgement = objective.judge(units(4, 3), units(4, 3), torch.eye(4, dtype=torch.bool))

    assert judgement.accuracy == pytest.approx(judgement.chance)
    assert judgement.chance == pytest.approx(0.5 if form == "batch_aware" else 0.25)


def test_balance_makes_the_two_way_loss_independent_of_the_number_of_negatives() -> None:
    """A head that gives every pair 3:1 for right: (log 4/3 + log 4) / 2."""
    objective = QueryBatchObjective(3, form="batch_aware", hardest=8).double()
    *_, weight, bias = objective.head.parameters()
    torch.nn.init.zeros_(weight)
    with torch.no_grad():
        bias.copy_(torch.tensor([0.0, math.log(3)]))

    loss = objective(units(1, 3), units(7, 3), torch.tensor([[True] + [False] * 6]))

    assert loss.item() == pytest.approx((math.log(4 / 3) + math.log(4)) / 2)


@every_form
def test_a_fresh_head_on_unrelated_texts_is_at_chance(form: QueryBatchForm) -> None:
    torch.manual_seed(0)
    objective = QueryBatchObjective(16, form=form).double()
    is_positive = torch.nn.functional.one_hot(torch.arange(512) % 9, 9).bool()

    judgement = objective.judge(units(512, 16), units(9, 16), is_positive)

    assert judgement.accuracy == pytest.approx(judgement.chance, abs=0.1)


@every_form
def test_the_head_learns_a_separable_toy_problem(form: QueryBatchForm) -> None:
    torch.manual_seed(0)
    objective = QueryBatchObjective(8, form=form, hardest=3, hidden=32).double()
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


def test_the_order_of_the_candidates_tells_attention_nothing() -> None:
    torch.manual_seed(0)
    attend = CandidateAttention(12, 8).double()
    pairs, is_real = torch.rand(1, 4, 12).double(), torch.ones(1, 4, dtype=torch.bool)

    turned = attend(pairs.flip(1), is_real)

    assert torch.allclose(turned.flip(1), attend(pairs, is_real))


def test_less_than_one_negative_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        QueryBatchObjective(2, hardest=0)
