import pytest
import torch
from torch.nn.functional import normalize

from tests.training.objective.embedded import (
    BASES,
    batch_of_similarity,
    objective_settings,
    random_batch,
    unit_vectors,
)
from training.config_objective import ObjectiveSection
from training.losses.prototype_regulariser import prototype_regulariser
from training.losses.softmax import decoupled_softmax
from training.losses.triplet import dynamic_margin_triplet, hardest_negative_triplet
from training.objective.bases import base_terms

POSITIVES = [[0, 2], [1], [2]]
PRIME_TERMS = ["prime_text", "prime_reverse", "prime_prototype", "prime_regulariser"]


def test_dexml_is_the_decoupled_softmax_at_its_temperature() -> None:
    batch = random_batch(POSITIVES, products=4)
    found = base_terms(batch, batch.texts, objective_settings("temperature=0.2"))

    expected = decoupled_softmax(batch.queries @ batch.texts.T, batch.is_positive, temperature=0.2)
    assert list(found) == ["dexml"]
    assert torch.equal(found["dexml"], expected)


@pytest.mark.parametrize("base", ["ngame", "dexa"])
def test_ngame_and_dexa_are_the_triplet_on_the_vectors_that_are_served(base: str) -> None:
    batch = random_batch(POSITIVES, products=4)
    shifted = unit_vectors(4, 8, seed=9)
    settings = objective_settings(
        f"base={base}", "triplet.margin=0.4", "triplet.hardest=2", "triplet.temperature=0.3"
    )

    found = base_terms(batch, shifted, settings)

    expected = hardest_negative_triplet(
        batch.queries @ shifted.T, batch.is_positive, margin=0.4, hardest=2, temperature=0.3
    )
    assert list(found) == [base]
    assert torch.equal(found[base], expected)


def test_prime_without_prototypes_compares_texts_both_ways() -> None:
    batch = random_batch(POSITIVES, products=4)
    settings = objective_settings(
        "base=prime", "triplet.margin=0.4", "triplet.least_margin=0.2", "triplet.hardest=2"
    )

    found = base_terms(batch, batch.texts, settings)

    similarity = batch.queries @ batch.texts.T
    expected = [
        dynamic_margin_triplet(some, right, least_margin=0.2, most_margin=0.4, hardest=2)
        for some, right in ((similarity, batch.is_positive), (similarity.T, batch.is_positive.T))
    ]
    assert list(found) == PRIME_TERMS[:2]
    assert torch.equal(torch.stack(list(found.values())), torch.stack(expected))
    assert not torch.equal(expected[0], expected[1])


def test_prime_with_prototypes_adds_theirs_and_the_regulariser() -> None:
    batch = random_batch(POSITIVES, products=4)
    prototypes = normalize(batch.texts.detach() + 0.3 * unit_vectors(4, 8, seed=9), dim=1)
    settings = objective_settings(
        "base=prime", "products.regulariser_weight=0.5", "products.regulariser_margin=0.2"
    )

    found = base_terms(batch, prototypes, settings)

    to_text, to_prototype = batch.queries @ batch.texts.T, batch.queries @ prototypes.T
    assert list(found) == PRIME_TERMS
    assert torch.equal(
        found["prime_prototype"], dynamic_margin_triplet(to_prototype, batch.is_positive)
    )
    assert torch.isclose(
        found["prime_regulariser"],
        0.5 * prototype_regulariser(to_text, to_prototype, batch.is_positive, margin=0.2),
    )


def test_the_regulariser_lifts_prototypes_and_does_not_sink_texts() -> None:
    batch = random_batch(POSITIVES, products=4)
    prototypes = unit_vectors(4, 8, seed=9).requires_grad_()
    term = base_terms(batch, prototypes, objective_settings("base=prime"))["prime_regulariser"]

    to_texts, to_prototypes = torch.autograd.grad(
        term, (batch.texts, prototypes), allow_unused=True
    )

    assert to_texts is None
    assert to_prototypes.abs().sum() > 0


@pytest.mark.parametrize("base", BASES)
def test_an_ignored_pair_moves_neither_side_in_any_base(base: str) -> None:
    """Product 3 is right for nobody, and every query ignores it, however close it is."""
    batch = batch_of_similarity(
        [[0.5, 0.4, 0.3, 0.6], [0.3, 0.5, 0.4, 0.6], [0.4, 0.3, 0.5, 0.5]],
        POSITIVES,
        ignored=[[3], [3], [3]],
    )
    prototypes = batch.texts if base != "prime" else batch.texts * 1.0
    torch.stack(list(base_terms(batch, prototypes, _settings(base)).values())).sum().backward()

    assert batch.texts.grad is not None
    assert (batch.texts.grad[3] == 0).all()
    assert (batch.texts.grad[:3].abs().sum(dim=1) > 0).all()


@pytest.mark.parametrize("base", BASES)
def test_a_known_positive_is_never_pushed_away_and_a_negative_never_pulled(base: str) -> None:
    """Product 2 is right for query 0 too, though another one was drawn for it, and beats it."""
    batch = batch_of_similarity(
        [[0.3, 0.5, 0.6, 0.4], [0.3, 0.2, 0.4, 0.5], [0.4, 0.3, 0.2, 0.5]], POSITIVES
    )
    prototypes = batch.texts if base != "prime" else batch.texts * 1.0
    torch.stack(list(base_terms(batch, prototypes, _settings(base)).values())).sum().backward()

    assert batch.texts.grad is not None
    by_pair = batch.texts.grad[:, :3].T  # the queries are the axes
    assert (by_pair[batch.is_positive] <= 0).all()
    assert (by_pair[~batch.is_positive] >= 0).all()
    assert by_pair[0, 0] < 0
    assert by_pair[0, 1] > 0


@pytest.mark.parametrize("base", BASES)
def test_a_batch_of_one_product_has_no_loss_and_a_gradient_that_is_a_number(base: str) -> None:
    batch = random_batch([[0], [0]], products=1)
    terms = base_terms(batch, batch.texts, _settings(base))
    torch.stack(list(terms.values())).sum().backward()

    assert {name: term.item() for name, term in terms.items()} == dict.fromkeys(terms, 0.0)
    assert batch.queries.grad is not None
    assert (batch.queries.grad == 0).all()


def _settings(base: str) -> ObjectiveSection:
    return objective_settings(f"base={base}", "temperature=0.5")
