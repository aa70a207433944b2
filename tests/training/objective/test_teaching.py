import pytest
import torch

from tests.training.objective.embedded import embedded_batch, random_batch, unit_vectors
from training.config_smaller import DistillationSection
from training.losses import embedding_distance, similarity_divergence
from training.objective.teaching import teaching_term

POSITIVES = [[0], [1], [2]]


def settings(**changes: object) -> DistillationSection:
    return DistillationSection.model_validate({"teacher": "somewhere", **changes})


def test_embeddings_of_queries_and_of_products_count_alike_however_many_there_are() -> None:
    student = random_batch(POSITIVES, products=7)
    teacher = random_batch(POSITIVES, products=7, seed=5)

    found = teaching_term(student, teacher, settings(form="embedding", weight=3.0))

    queries = embedding_distance(student.queries, teacher.queries)
    products = embedding_distance(student.texts, teacher.texts)
    assert found.item() == pytest.approx(3.0 * (queries + products).item() / 2)


def test_similarities_are_compared_at_the_given_temperature_whatever_the_teachers_width() -> None:
    student = random_batch(POSITIVES, products=5, dim=4)
    teacher = random_batch(POSITIVES, products=5, dim=9, seed=5)

    found = teaching_term(student, teacher, settings(weight=2.0, temperature=0.3))

    own, wanted = (b.queries @ b.texts.T for b in (student, teacher))
    expected = 2.0 * similarity_divergence(own, wanted, temperature=0.3)
    assert found.item() == pytest.approx(expected.item())


def test_a_pair_that_counts_as_neither_teaches_nothing() -> None:
    queries, texts = unit_vectors(2, 4), unit_vectors(3, 4, seed=1).requires_grad_()
    student = embedded_batch(queries, texts, [[0], [1]], ignored=[[2], [2]])
    teacher = embedded_batch(queries, unit_vectors(3, 4, seed=2), [[0], [1]], ignored=[[2], [2]])

    teaching_term(student, teacher, settings()).backward()

    assert texts.grad is not None
    assert texts.grad[:2].abs().max() > 0
    assert torch.equal(texts.grad[2], torch.zeros(4))
