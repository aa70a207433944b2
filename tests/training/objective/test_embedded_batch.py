import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.training.objective.embedded import batch_of_similarity, embedded_batch, random_batch
from training.objective.embedded_batch import EmbeddedBatch


def ignored_pairs(batch: EmbeddedBatch) -> list[list[int]]:
    return batch.is_ignored.nonzero().tolist()


def test_similarity_is_the_cosine_of_unit_vectors() -> None:
    batch = batch_of_similarity([[0.8, -0.3], [0.1, 0.5]], [[0], [1]])

    found = batch.similarity_to(batch.texts)

    assert found.flatten().tolist() == pytest.approx([0.8, -0.3, 0.1, 0.5])


def test_an_ignored_pair_is_as_far_apart_as_can_be_and_has_no_gradient() -> None:
    batch = batch_of_similarity([[0.8, 0.3], [0.1, 0.5]], [[0], [1]], ignored=[[1], []])

    found = batch.similarity_to(batch.texts)
    found.sum().backward()

    assert found[0, 1] == -1.0
    assert batch.texts.grad is not None
    assert batch.texts.grad[:, :2].tolist() == [[1.0, 1.0], [0.0, 1.0]]


def test_a_pair_is_wrong_only_where_it_is_neither_right_nor_ignored() -> None:
    batch = random_batch([[0, 2], [1]], products=4, ignored=[[3], [0, 2]])

    assert batch.is_negative.tolist() == [[False, True, False, False], [False, False, False, True]]


@pytest.mark.parametrize(
    ("margin", "likely"), [(0.0, [1, 2]), (0.125, [1]), (0.25, []), (-0.5, [1, 2, 4])]
)
def test_negatives_that_beat_the_drawn_positive_by_more_than_the_margin_are_ignored(
    margin: float, likely: list[int]
) -> None:
    """Product 1 beats it by exactly 0.25, product 3 is known to be right, product 4 lies below."""
    similarity = torch.tensor([[0.5, 0.75, 0.625, 0.875, 0.25]])
    batch = random_batch([[0, 3]], products=5)

    found = batch.without_likely_positives(similarity, margin)

    assert ignored_pairs(found) == [[0, column] for column in likely]
    assert not (found.is_ignored & found.is_positive).any()


def test_a_negative_as_similar_as_the_drawn_positive_stays_a_negative() -> None:
    batch = random_batch([[0]], products=2)

    found = batch.without_likely_positives(torch.tensor([[0.5, 0.5]]), 0.0)

    assert found.is_negative.tolist() == [[False, True]]


def test_what_was_ignored_stays_ignored_and_the_given_batch_is_not_changed() -> None:
    batch = random_batch([[0], [1]], products=3, ignored=[[2], []])
    similarity = torch.tensor([[0.5, 0.9, -1.0], [0.2, 0.4, 0.1]])

    found = batch.without_likely_positives(similarity, 0.0)

    assert ignored_pairs(found) == [[0, 1], [0, 2]]
    assert ignored_pairs(batch) == [[0, 2]]
    assert found.texts is batch.texts


def test_dropping_likely_positives_has_no_gradient_of_its_own() -> None:
    batch = random_batch([[0], [1]], products=3)

    found = batch.without_likely_positives(batch.similarity_to(batch.texts), 0.0)

    assert not found.is_ignored.requires_grad


@st.composite
def _cases(draw: st.DrawFn) -> tuple[torch.Tensor, list[list[int]], list[list[int]], float]:
    products = draw(st.integers(1, 5))
    columns = st.integers(0, products - 1)
    positives = draw(st.lists(st.lists(columns, min_size=1, unique=True), min_size=1, max_size=4))
    ignored = [
        [column for column in draw(st.lists(columns, unique=True)) if column not in own]
        for own in positives
    ]
    values = st.integers(-4, 4).map(lambda quarters: quarters / 4)
    row = st.lists(values, min_size=products, max_size=products)
    similarity = draw(st.lists(row, min_size=len(positives), max_size=len(positives)))
    return torch.tensor(similarity), positives, ignored, draw(st.sampled_from([-0.5, 0.0, 0.25]))


@given(_cases())
def test_likely_positives_agree_with_a_slow_loop(
    case: tuple[torch.Tensor, list[list[int]], list[list[int]], float],
) -> None:
    similarity, positives, ignored, margin = case
    queries, products = similarity.shape
    batch = embedded_batch(torch.eye(queries), torch.zeros(products, queries), positives, ignored)

    found = batch.without_likely_positives(similarity, margin)

    for query in range(queries):
        own = similarity[query, positives[query][0]]
        for column in range(products):
            is_right = column in positives[query]
            is_likely = not is_right and bool(similarity[query, column] > own + margin)
            assert found.is_ignored[query, column] == (column in ignored[query] or is_likely)
