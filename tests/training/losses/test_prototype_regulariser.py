import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from training.losses.prototype_regulariser import prototype_regulariser

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=6)


def slow_loss(
    text: np.ndarray, prototype: np.ndarray, is_positive: np.ndarray, margin: float, hardest: int
) -> float:
    """One product at a time; a query of one kind only adds zero."""
    total, queries = 0.0, 0
    for query, marks in enumerate(is_positive):
        positives = np.flatnonzero(marks)
        negatives = [
            n for n in np.flatnonzero(~marks) if min(text[query, n], prototype[query, n]) > -1
        ]
        negatives = sorted(negatives, key=lambda n: -prototype[query, n])[:hardest]
        queries += len(positives) > 0
        if len(positives) > 0 and negatives:
            for p in positives:
                total += max(0.0, text[query, p] - prototype[query, p] + margin) / len(positives)
            for n in negatives:
                total += max(0.0, prototype[query, n] - text[query, n] + margin) / len(negatives)
    return total / max(queries, 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_worked_example(dtype: torch.dtype) -> None:
    """Positives fall short by 0.15 and 0; of the two hardest negatives 0.3 and 0: 0.075 + 0.15."""
    text = torch.tensor([[0.7, 0.5, 0.2, 0.5, 0.0]], dtype=dtype)
    prototype = torch.tensor([[0.65, 0.7, 0.4, 0.3, 0.1]], dtype=dtype)
    is_positive = torch.tensor([[True, True, False, False, False]])

    loss = prototype_regulariser(text, prototype, is_positive, margin=0.1, hardest=2)

    assert loss.dtype == dtype
    assert loss.item() == pytest.approx(0.225, abs=1e-6)


@given(st.data(), SHAPES, st.integers(1, 8))
def test_it_equals_the_slow_loop(data: st.DataObject, shape: tuple[int, int], hardest: int) -> None:
    """Prototypes differ within a row: between equal ones the choice would be anybody's."""
    text = data.draw(hnp.arrays(np.float64, shape, elements=st.floats(-1, 1)))
    steps = hnp.arrays(np.int64, shape, elements=st.integers(0, 1000), unique=True)
    prototype = data.draw(steps) / 500 - 1
    is_positive = data.draw(hnp.arrays(np.bool_, shape))

    loss = prototype_regulariser(
        torch.from_numpy(text),
        torch.from_numpy(prototype),
        torch.from_numpy(is_positive),
        hardest=hardest,
    )

    assert loss.item() == pytest.approx(
        slow_loss(text, prototype, is_positive, 0.1, hardest), abs=1e-9
    )


def test_gradients_are_those_of_finite_differences() -> None:
    torch.manual_seed(0)
    text = (torch.rand(4, 6, dtype=torch.float64) * 1.8 - 0.9).requires_grad_()
    prototype = (torch.rand(4, 6, dtype=torch.float64) * 1.8 - 0.9).requires_grad_()
    is_positive = torch.rand(4, 6) < 0.4

    assert torch.autograd.gradcheck(
        lambda t, p: prototype_regulariser(t, p, is_positive, hardest=2), (text, prototype)
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
    text = torch.full(is_positive.shape, 0.3, requires_grad=True)
    prototype = torch.full(is_positive.shape, 0.3, requires_grad=True)

    loss = prototype_regulariser(text, prototype, is_positive)
    loss.backward()

    assert loss.item() == 0
    for similarity in (text, prototype):
        assert similarity.grad is not None
        assert torch.equal(similarity.grad, torch.zeros_like(similarity))


def test_an_empty_query_does_not_dilute_the_mean() -> None:
    text = torch.tensor([[0.8, 0.6], [0.1, 0.2]])
    prototype = torch.tensor([[0.7, 0.7], [0.3, 0.3]])
    one = prototype_regulariser(text[:1], prototype[:1], torch.tensor([[True, False]]))

    both = prototype_regulariser(text, prototype, torch.tensor([[True, False], [False, False]]))

    assert one.item() == pytest.approx(0.4)
    assert both.item() == pytest.approx(one.item())


def test_prototypes_better_by_the_margin_cost_nothing() -> None:
    text = torch.tensor([[0.5, 0.5]])
    prototype = torch.tensor([[0.7, 0.3]])

    loss = prototype_regulariser(text, prototype, torch.tensor([[True, False]]))

    assert loss.item() == 0


def test_a_detached_text_still_moves_the_prototypes() -> None:
    """Both kinds are short of the margin: the positive is pulled up, the negative pushed down."""
    prototype = torch.tensor([[0.5, 0.5]], requires_grad=True)

    prototype_regulariser(
        torch.tensor([[0.5, 0.5]]), prototype, torch.tensor([[True, False]])
    ).backward()

    assert prototype.grad is not None
    assert torch.equal(prototype.grad, torch.tensor([[-1.0, 1.0]]))


@pytest.mark.parametrize("ignored_in", ["text", "prototype", "both"])
def test_ignored_pairs_have_no_effect(ignored_in: str) -> None:
    text = torch.tensor([[0.5, 0.6, 0.9, 0.1]])
    prototype = torch.tensor([[0.4, 0.7, 0.8, 0.2]])
    is_positive = torch.tensor([[True, False, False, False]])
    alone = prototype_regulariser(text[:, :2], prototype[:, :2], is_positive[:, :2])
    ignored = torch.tensor([[False, False, True, True]])

    loss = prototype_regulariser(
        text if ignored_in == "prototype" else text.masked_fill(ignored, -1.0),
        prototype if ignored_in == "text" else prototype.masked_fill(ignored, -1.0),
        is_positive,
    )

    assert loss.item() == pytest.approx(alone.item())


def test_asking_for_more_negatives_than_products_takes_them_all() -> None:
    text = torch.tensor([[0.5, 0.6, 0.2]])
    prototype = torch.tensor([[0.5, 0.5, 0.3]])
    is_positive = torch.tensor([[True, False, False]])

    loss = prototype_regulariser(text, prototype, is_positive, hardest=1000)

    assert torch.equal(loss, prototype_regulariser(text, prototype, is_positive, hardest=2))
    assert loss.item() == pytest.approx(0.1 + (0.0 + 0.2) / 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_similarities_stay_finite(dtype: torch.dtype) -> None:
    text = torch.tensor([[1.0, -0.99]], dtype=dtype, requires_grad=True)
    prototype = torch.tensor([[-1.0, 1.0]], dtype=dtype, requires_grad=True)

    loss = prototype_regulariser(text, prototype, torch.tensor([[True, False]]))
    loss.backward()

    assert loss.item() == pytest.approx(2.1 + 2.09)
    for similarity in (text, prototype):
        assert similarity.grad is not None
        assert similarity.grad.isfinite().all()


def test_a_negative_margin_is_refused() -> None:
    similarity = torch.zeros(1, 1)

    with pytest.raises(ValueError, match="at least 0"):
        prototype_regulariser(
            similarity, similarity, torch.ones(1, 1, dtype=torch.bool), margin=-0.1
        )


def test_no_hardest_negative_is_refused() -> None:
    similarity = torch.zeros(1, 1)

    with pytest.raises(ValueError, match="at least 1"):
        prototype_regulariser(similarity, similarity, torch.ones(1, 1, dtype=torch.bool), hardest=0)
