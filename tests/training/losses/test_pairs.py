import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training.losses.pairs import (
    Candidates,
    PairScaling,
    choose_candidates,
    hardest_negatives,
    pair_representation,
    two_way_judgement,
)


def chosen(is_real: list[list[bool]], counts: list[bool]) -> Candidates:
    marks = torch.tensor(is_real)
    return Candidates(torch.zeros(marks.shape, dtype=torch.long), marks, torch.tensor(counts))


def test_a_pair_is_both_vectors_their_distance_and_their_product() -> None:
    pair = pair_representation(torch.tensor([0.6, 0.8]), torch.tensor([1.0, 0.5]))

    assert torch.allclose(pair, torch.tensor([0.6, 0.8, 1.0, 0.5, 0.4, 0.3, 0.6, 0.4]))


def test_leading_axes_of_a_pair_broadcast() -> None:
    queries, products = torch.rand(3, 1, 2), torch.rand(1, 5, 2)

    pairs = pair_representation(queries, products)

    assert pairs.shape == (3, 5, 8)
    assert torch.equal(pairs[2, 4], pair_representation(queries[2, 0], products[0, 4]))


def test_the_hardest_negatives_are_the_most_similar_ones_that_are_allowed() -> None:
    similarity = torch.tensor([[0.9, 0.1, 0.5, 0.7]])
    is_negative = torch.tensor([[False, True, True, True]])

    columns, is_real = hardest_negatives(similarity, is_negative, 2)

    assert columns.tolist() == [[3, 2]]
    assert is_real.tolist() == [[True, True]]


@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 6), st.integers(1, 8))
def test_the_hardest_negatives_equal_a_sorted_list(
    seed: int, queries: int, products: int, hardest: int
) -> None:
    torch.manual_seed(seed)
    similarity = torch.rand(queries, products)
    is_negative = torch.rand(queries, products) < 0.5

    columns, is_real = hardest_negatives(similarity, is_negative, hardest)

    for query in range(queries):
        allowed = [n for n in range(products) if is_negative[query, n]]
        allowed.sort(key=lambda n: -similarity[query, n].item())
        assert columns[query][is_real[query]].tolist() == allowed[:hardest]
        assert columns.shape[1] == min(hardest, products)


def test_less_than_one_negative_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        hardest_negatives(torch.zeros(1, 1), torch.ones(1, 1, dtype=torch.bool), 0)


def test_a_product_neither_positive_nor_negative_is_never_chosen() -> None:
    queries = torch.tensor([[1.0, 0.0]])
    products = torch.tensor([[0.6, 0.8], [1.0, 0.0], [0.0, 1.0]])

    candidates = choose_candidates(
        queries,
        products,
        torch.tensor([[True, False, False]]),
        hardest=3,
        sampled=None,
        is_negative=torch.tensor([[False, False, True]]),
    )

    assert candidates.columns[candidates.is_real].tolist() == [0, 2]


def test_a_known_positive_is_no_negative_even_where_the_caller_says_so() -> None:
    candidates = choose_candidates(
        torch.eye(2)[:1],
        torch.eye(2),
        torch.tensor([[True, True]]),
        hardest=1,
        sampled=torch.tensor([1]),
        is_negative=torch.ones(1, 2, dtype=torch.bool),
    )

    assert candidates.columns[0, 0] == 1
    assert candidates.counts.tolist() == [False]


def test_a_sampled_column_that_is_no_positive_does_not_count() -> None:
    candidates = choose_candidates(
        torch.eye(2),
        torch.eye(2),
        torch.eye(2, dtype=torch.bool),
        hardest=1,
        sampled=torch.tensor([0, 0]),
        is_negative=None,
    )

    assert candidates.counts.tolist() == [True, False]


@pytest.mark.parametrize("scaling", ["layer_norm", "root_dim"])
def test_scaling_brings_the_entries_of_unit_vectors_to_about_one(scaling: str) -> None:
    torch.manual_seed(0)
    units = torch.nn.functional.normalize(torch.randn(2, 64, 384), dim=-1)
    pairs = pair_representation(units[0], units[1])

    size = PairScaling(384, scaling)(pairs).std()  # pyright: ignore[reportArgumentType]

    assert 0.5 < size < 2


def test_no_scaling_leaves_the_pairs_alone() -> None:
    pairs = torch.rand(3, 8)

    assert torch.equal(PairScaling(2, "none")(pairs), pairs)


def test_the_root_of_dim_is_the_factor() -> None:
    assert torch.equal(PairScaling(9, "root_dim")(torch.ones(1, 36)), torch.full((1, 36), 3.0))


def test_positives_weigh_as_much_as_all_their_negatives_together() -> None:
    """A head that gives every pair 3:1 for right: (log 4/3 + log 4) / 2, for 1 or 3 negatives."""
    logits = torch.tensor([0.0, math.log(3)]).expand(1, 4, 2)
    expected = (math.log(4 / 3) + math.log(4)) / 2

    many = two_way_judgement(logits, chosen([[True] * 4], [True]))
    one = two_way_judgement(logits, chosen([[True, True, False, False]], [True]))

    assert many.loss.item() == pytest.approx(expected)
    assert one.loss.item() == pytest.approx(expected)
    assert many.accuracy == pytest.approx(0.5)


def test_a_head_without_opinion_is_at_chance() -> None:
    judgement = two_way_judgement(torch.zeros(2, 4, 2), chosen([[True] * 4] * 2, [True, True]))

    assert judgement.loss.item() == pytest.approx(math.log(2))
    assert judgement.accuracy == pytest.approx(judgement.chance)
    assert judgement.chance == pytest.approx(0.5)


def test_balanced_accuracy_counts_each_class_once() -> None:
    """Positive right, one of two negatives right: (1 + 1/2) / 2."""
    logits = torch.tensor([[[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]])

    judgement = two_way_judgement(logits, chosen([[True] * 3], [True]))

    assert judgement.accuracy == pytest.approx(0.75)


def test_with_nothing_to_judge_the_accuracy_is_no_number() -> None:
    judgement = two_way_judgement(torch.zeros(1, 2, 2), chosen([[True, False]], [False]))

    assert judgement.loss.item() == 0
    assert math.isnan(judgement.accuracy)
    assert math.isnan(judgement.chance)
