"""The objective on prefixes of the embeddings, beside that on the whole."""

import numpy as np
import pytest
import torch

from tests.training.objective.embedded import (
    BASES,
    objective_settings,
    random_batch,
    unit_vectors,
)
from training.config_smaller import MatryoshkaSection
from training.losses import decoupled_softmax, unit_prefix
from training.objective.objective import Objective

POSITIVES = [[0], [1], [2], [3, 0]]
QUERIES_OF = np.array([2, 1, 1, 1, 0])
EVERYTHING = (
    "tcm.weight=1.0",
    "tcm.positive_margin=0.9",
    "tcm.negative_margin=0.5",
    "query_label.weight=0.5",
    "query_batch.weight=0.5",
)
LATE = 0.9


def made(*overrides: str, dims: tuple[int, ...] = (), weights: tuple[float, ...] = ()) -> Objective:
    torch.manual_seed(0)
    matryoshka = MatryoshkaSection(dims=dims, weights=weights)
    return Objective(objective_settings(*overrides), 8, QUERIES_OF, matryoshka)


def test_each_prefix_adds_its_objective_with_its_weight() -> None:
    batch = random_batch(POSITIVES, products=5)

    terms = made(dims=(2, 4), weights=(0.5, 3.0))(batch, run_ratio=LATE)

    assert list(terms.losses) == ["dexml", "prefix_2", "prefix_4"]
    for dim, weight in ((2, 0.5), (4, 3.0)):
        similarity = unit_prefix(batch.queries, dim) @ unit_prefix(batch.texts, dim).T
        expected = weight * decoupled_softmax(similarity, batch.is_positive, temperature=0.05)
        assert terms.losses[f"prefix_{dim}"].item() == pytest.approx(expected.item())


@pytest.mark.parametrize("base", BASES)
def test_the_terms_of_the_whole_are_those_without_prefixes(base: str) -> None:
    batch = random_batch(POSITIVES, products=5)
    alone = made(f"base={base}", *EVERYTHING)(batch, run_ratio=LATE)

    beside = made(f"base={base}", *EVERYTHING, dims=(2, 4))(batch, run_ratio=LATE)

    for name, loss in alone.losses.items():
        assert beside.losses[name].item() == pytest.approx(loss.item())
    assert set(beside.losses) - set(alone.losses) == {"prefix_2", "prefix_4"}
    assert {"prefix_2_query_label_accuracy", "prefix_4_positive_margin"} <= set(beside.notes)


@pytest.mark.parametrize("base", ["dexa", "prime"])
def test_the_prefix_of_a_products_vector_is_what_is_compared(base: str) -> None:
    """With an objective of prefixes and one of vectors that are cut already."""
    batch = random_batch(POSITIVES, products=5)
    objective = made(f"base={base}", dims=(3,))
    assert objective.side is not None
    objective.side.refresh(
        unit_vectors(5, 8, seed=1).numpy(),
        unit_vectors(4, 8).numpy(),
        tuple(tuple(rows) for rows in POSITIVES),
        seed=0,
    )
    with torch.no_grad():
        for parameter in objective.side.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))

    found = objective(batch, run_ratio=LATE).losses["prefix_3"]

    short = batch.prefix(3)
    vectors = unit_prefix(objective.products(batch), 3)
    assert not torch.allclose(vectors, short.texts, atol=0.01)
    below = made(f"base={base}")
    below.side = None
    expected = below._terms(short, vectors, LATE).total()  # pyright: ignore[reportPrivateUsage]
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_heads_of_prefixes_are_trained_too_and_come_last() -> None:
    objective = made(*EVERYTHING, dims=(2,))

    objective(random_batch(POSITIVES, products=5), run_ratio=LATE).total().backward()

    parameters = list(objective.head_parameters())
    assert len(parameters) == 2 * len(list(objective.heads.parameters()))
    assert all(parameter.grad is not None for parameter in parameters)


def test_without_prefixes_the_state_has_no_further_keys() -> None:
    """So a run that began before there were prefixes goes on."""
    assert not [key for key in made(*EVERYTHING).state_dict() if "prefix" in key]
    torch.manual_seed(0)
    plain = Objective(objective_settings(*EVERYTHING), 8, QUERIES_OF)
    assert plain.state_dict().keys() == made(*EVERYTHING).state_dict().keys()


def test_a_margin_that_is_left_out_of_a_prefix_says_of_which() -> None:
    auto = ("tcm.weight=1.0", "tcm.positive_margin=auto", "tcm.without_gap=leave_out")
    objective = made(*auto, "tcm.negative_margin=auto", dims=(2,))
    assert objective.left_out() == {}

    objective(random_batch(POSITIVES, products=5), run_ratio=LATE)  # nothing was watched

    assert list(objective.left_out()) == ["this run", "prefix 2"]
